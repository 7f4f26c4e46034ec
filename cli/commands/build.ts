import { relative } from 'node:path';
import type { Command } from 'commander';
import { type BuildTarget, checkArch, DEFAULT_ARCH } from '../../generator/build-target.js';
import { type BuildReport, buildAddons } from '../../generator/compile.js';
import { EpgenError } from '../../generator/errors.js';
import { generateFor } from '../../generator/generate.js';
import { findToolchain } from '../../generator/toolchain.js';
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
  readonly arch: string;
}

export function define(command: Command, { output }: Context): void {
  command.argument('[specs...]', 'spec files, or names in specs/ (default: all of specs/)');
  addSpecOptions(command);
  command
    .option('--out <dir>', 'folder to write (default: generated/<name>)')
    .option('--force', 'write even where another spec or other files are')
    .option(
      '--backend <name>',
      'cpu or cuda, repeatable (default: cpu, and cuda where nvcc is found)',
      (name: string, all: readonly string[] = []) => [...all, name],
    )
    .option('--arch <name>', 'what CUDA kernels are compiled for', DEFAULT_ARCH)
    .option('--no-imports', 'leave package.json as it is')
    .option('--json', 'print progress and results as JSON lines')
    .action((specs: string[], options: BuildCommandOptions) => build(specs, options, output));
}

async function build(
  names: readonly string[],
  { force = false, imports, backend: backends = [], arch, ...flags }: BuildCommandOptions,
  output: Output,
): Promise<void> {
  const targets = await chooseTargets(backends, checkArch(arch), output);
  const selected = await selectSpecs(names, flags);
  const reports = new Map<SelectedSpec, readonly BuildReport[]>();
  const tasks: CliTask[] = selected.map((one) => ({
    title: one.spec.name,
    run: async (say) => {
      const start = performance.now();
      const made = await buildOne(one, targets, { force, say, output });
      reports.set(one, made);
      const done = made.every(({ upToDate }) => upToDate) ? 'up to date' : 'built';
      const seconds = (performance.now() - start) / 1000;
      return `${one.spec.name}: ${done} in ${seconds.toFixed(1)} s`;
    },
  }));
  await runTasks(tasks, output);

  const [first] = selected;
  if (imports && first) await ensureImportsEntry(first.outDir, output);
  for (const [{ spec, outDir }, made] of reports) {
    const { lines, records } = buildSummary(spec, made);
    for (const record of records) output.record({ event: 'built', dir: outDir, ...record });
    output.line();
    for (const line of lines) output.line(line);
  }
}

/** One report per target, in order. */
async function buildOne(
  { spec, source, outDir }: SelectedSpec,
  targets: readonly BuildTarget[],
  context: { readonly force: boolean; say(text: string): void; readonly output: Output },
): Promise<readonly BuildReport[]> {
  const { force, say, output } = context;
  // The text appears with the addons, so that a build that fails leaves the module that was there.
  const files = await generateFor(outDir, spec, source, { force });
  const reports = await buildAddons({
    generatedDir: outDir,
    files,
    spec,
    targets,
    onProgress: (progress, backend) => {
      output.record({ event: 'progress', name: spec.name, backend, ...progress });
      const { text, done, total } = progress;
      const step = done === undefined ? text : `[${done}/${total}] ${text}`;
      say(targets.length > 1 ? `${backend}: ${step}` : step);
    },
  });
  const { written = [], unchanged = [] } = reports[0]?.text ?? {};
  output.record({ event: 'generated', name: spec.name, dir: outDir, written, unchanged });
  if (written.length > 0) say(`wrote ${written.length} files to ${relative('', outDir) || '.'}`);
  return reports;
}

/** The targets that were asked for; by default those that this machine can compile. */
async function chooseTargets(
  backends: readonly string[],
  arch: string,
  output: Output,
): Promise<readonly BuildTarget[]> {
  const cuda: BuildTarget = { backend: 'cuda', arch };
  if (backends.length > 0) {
    return [...new Set(backends)].map((name) => {
      if (name === 'cpu') return { backend: 'cpu' };
      if (name === 'cuda') return cuda;
      throw new EpgenError(`Expected --backend to be cpu or cuda but received ${name}`, {
        code: 'EPGEN_ARGUMENT',
      });
    });
  }
  const { nvcc } = await findToolchain();
  if (nvcc.problem === undefined) return [{ backend: 'cpu' }, cuda];
  output.record({ event: 'skipped', backend: 'cuda', reason: nvcc.problem });
  return [{ backend: 'cpu' }];
}
