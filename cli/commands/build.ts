import { relative } from 'node:path';
import type { Command } from 'commander';
import { type BuildReport, buildAddon } from '../../generator/compile.js';
import { EpgenError, EpgenUnsupportedError } from '../../generator/errors.js';
import { generateFor } from '../../generator/generate.js';
import { findCommand } from '../../generator/toolchain.js';
import { buildSummary } from '../build-summary.js';
import { ensureImportsEntry } from '../imports-entry.js';
import type { Context } from '../main.js';
import type { Output } from '../output.js';
import { type SelectedSpec, selectSpecs } from '../select-specs.js';
import { addSpecOptions, type SpecFlagValues } from '../spec-flags.js';
import { type CliTask, runTasks } from '../task-list.js';

interface BuildCommandOptions extends SpecFlagValues {
  readonly out?: string;
  readonly force?: boolean;
  readonly imports: boolean;
  readonly backend?: readonly string[];
}

export function define(command: Command, { output }: Context): void {
  command.argument('[specs...]', 'spec files, or names in specs/ (default: all of specs/)');
  addSpecOptions(command);
  command
    .option('--out <dir>', 'folder to write (default: generated/<name>)')
    .option('--force', 'write even where another spec or other files are')
    .option(
      '--backend <name>',
      'cpu or cuda, repeatable (default: cpu)',
      (name: string, all: readonly string[] = []) => [...all, name],
    )
    .option('--no-imports', 'leave package.json as it is')
    .option('--json', 'print progress and results as JSON lines')
    .action((specs: string[], options: BuildCommandOptions) => build(specs, options, output));
}

async function build(
  names: readonly string[],
  { force = false, imports, backend: backends = [], ...flags }: BuildCommandOptions,
  output: Output,
): Promise<void> {
  requireBuildable(backends);
  const selected = await selectSpecs(names, flags);
  const reports = new Map<SelectedSpec, BuildReport>();
  const tasks: CliTask[] = selected.map((one) => ({
    title: one.spec.name,
    run: async (say) => {
      const report = await buildOne(one, { force, say, output });
      reports.set(one, report);
      const done = report.upToDate ? 'up to date' : 'built';
      return `${one.spec.name}: ${done} in ${report.seconds.toFixed(1)} s`;
    },
  }));
  await runTasks(tasks, output);

  const [first] = selected;
  if (imports && first) await ensureImportsEntry(first.outDir, output);
  for (const [{ spec, outDir }, report] of reports) {
    const summary = buildSummary(spec, report);
    output.record({ event: 'built', dir: outDir, ...summary.record });
    output.line();
    for (const line of summary.lines) output.line(line);
  }
  if (backends.length === 0) await noteCuda(output);
}

async function buildOne(
  { spec, source, outDir }: SelectedSpec,
  context: { readonly force: boolean; say(text: string): void; readonly output: Output },
): Promise<BuildReport> {
  const { force, say, output } = context;
  const start = performance.now();
  // The text appears with its addon, so that a build that fails leaves the module that was there.
  const files = await generateFor(outDir, spec, source, { force });
  const report = await buildAddon({
    generatedDir: outDir,
    files,
    spec,
    backend: 'cpu',
    onProgress: (progress) => {
      output.record({ event: 'progress', name: spec.name, ...progress });
      const { text, done, total } = progress;
      say(done === undefined ? text : `[${done}/${total}] ${text}`);
    },
  });
  const { written, unchanged } = report.text;
  output.record({ event: 'generated', name: spec.name, dir: outDir, written, unchanged });
  if (written.length > 0) say(`wrote ${written.length} files to ${relative('', outDir) || '.'}`);
  return { ...report, seconds: (performance.now() - start) / 1000 };
}

function requireBuildable(backends: readonly string[]): void {
  for (const backend of backends) {
    if (backend === 'cuda') {
      throw new EpgenUnsupportedError(
        'This version builds the cpu backend; the cuda addon cannot be built yet',
      );
    }
    if (backend !== 'cpu') {
      throw new EpgenError(`Expected --backend to be cpu or cuda but received ${backend}`, {
        code: 'EPGEN_ARGUMENT',
      });
    }
  }
}

/** Says why a machine that has nvcc still gets the CPU backend only. */
async function noteCuda(output: Output): Promise<void> {
  const nvcc = await findCommand('nvcc');
  if (nvcc === undefined) return;
  const reason = 'this version compiles the CUDA kernels in its tests only';
  output.record({ event: 'skipped', backend: 'cuda', nvcc, reason });
  output.line();
  output.line(`cuda: no addon, ${reason}`);
}
