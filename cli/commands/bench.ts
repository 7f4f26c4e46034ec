import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import { EpgenError, EpgenToolError, EpgenUnsupportedError } from '../../generator/errors.js';
import {
  type BenchResult,
  bench,
  HT_RUN,
  type RunDefaults,
  resultFileName,
} from '../../native/bench/bench.js';
import { sourcesOf } from '../../native/bench/git-state.js';
import {
  benchLowLatency,
  LL_RUN,
  LL_TOKENS,
  type LowLatencyBenchResult,
} from '../../native/bench/low-latency.js';
import { lowLatencyReportLines } from '../../native/bench/low-latency-report.js';
import { reportLines } from '../../native/bench/report.js';
import { hasHighThroughput } from '../../native/high-throughput.js';
import type { Sizes, Spec } from '../../native/spec-types.js';
import type { Context } from '../main.js';
import type { Output } from '../output.js';
import { selectSpecs } from '../select-specs.js';

interface BenchOptions {
  readonly backend: string;
  readonly lowLatency?: boolean;
  readonly tokens?: number;
  readonly windows?: number;
  readonly rounds?: number;
  readonly seed?: number;
  readonly probe?: string;
  readonly out: string;
  readonly allowDirty?: boolean;
}

export function define(command: Command, { output }: Context): void {
  command
    .argument('<spec>', 'spec file, or name in specs/, that was built for cuda')
    .option('--backend <name>', 'cuda; an emulated machine is refused', 'cuda')
    .option('--low-latency', 'time low-latency calls; default: where the spec has no others')
    .option(
      '--tokens <n>',
      `tokens a rank (default: ht.maxTokensPerRank; low latency: ${LL_TOKENS.join(', ')} in turn)`,
      Number,
    )
    .option(
      '--windows <n>',
      `fresh routings (default: ${windows(HT_RUN)}; low latency: ${windows(LL_RUN)})`,
      Number,
    )
    .option(
      '--rounds <n>',
      `timed calls of each operation a window (default: ${HT_RUN.numRounds}; low latency: ${LL_RUN.numRounds})`,
      Number,
    )
    .option('--seed <n>', 'seed of the first routing (default: 1)', Number)
    .option('--probe <file>', 'the compiled probe, to measure the wire first')
    .option('--out <dir>', 'folder for the results file', '.')
    .option('--allow-dirty', 'measure sources that differ from the commit, and say so')
    .option('--json', 'print the result as one JSON record')
    .action((name: string, options: BenchOptions) => run(name, options, output));
}

function windows({ numWindows, minWindows }: RunDefaults): string {
  return `${numWindows}, at least ${minWindows}`;
}

async function run(name: string, options: BenchOptions, output: Output): Promise<void> {
  requireCuda(options.backend);
  const [selected] = await selectSpecs([name], {});
  if (selected === undefined) throw new Error('selectSpecs gave no spec for a name');
  const { outDir } = selected;
  const sources = sourcesOf(process.cwd());
  const { spec, sizes, addonPath } = await builtModule(name, outDir);
  if (sources !== undefined && sources.dirty.length > 0 && options.allowDirty !== true) {
    throw new EpgenError(
      `Expected sources that are committed but ${sources.dirty.length} files differ from the commit, such as ${sources.dirty[0]?.slice(3)}`,
      { code: 'EPGEN_ARGUMENT', hint: 'Commit them, or record that they differ: --allow-dirty' },
    );
  }
  const input = {
    ...{ spec, sizes, addonPath, sources },
    probePath: options.probe === undefined ? undefined : resolve(options.probe),
    numTokens: options.tokens,
    numWindows: options.windows,
    numRounds: options.rounds,
    seed: options.seed,
    command: ['epgen', ...process.argv.slice(2)].join(' '),
  };
  if (options.lowLatency !== true && hasHighThroughput(input)) {
    const result = await bench(input);
    await tell(output, options.out, result, reportLines(result));
  } else {
    const result = await benchLowLatency(input);
    await tell(output, options.out, result, lowLatencyReportLines(result));
  }
}

async function tell(
  output: Output,
  folder: string,
  result: BenchResult | LowLatencyBenchResult,
  lines: readonly string[],
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, resultFileName(result));
  await writeFile(path, `${JSON.stringify(result)}\n`);
  output.record({ event: 'benched', path, ...result });
  for (const line of lines) output.line(line);
  output.line();
  output.line(`wrote ${relative('', path)}`);
}

function requireCuda(backend: string): void {
  if (backend === 'cuda') return;
  if (backend === 'cpu') {
    throw new EpgenUnsupportedError(
      'Expected --backend to be cuda but received cpu: times of an emulated machine mean nothing',
    );
  }
  throw new EpgenError(`Expected --backend to be cuda but received ${backend}`, {
    code: 'EPGEN_ARGUMENT',
  });
}

/** What was built into `folder`. */
async function builtModule(name: string, folder: string) {
  const addonPath = join(folder, 'addon', 'cuda.node');
  const modulePath = join(folder, 'index.js');
  const missing = [addonPath, modulePath].find((path) => !existsSync(path));
  if (missing !== undefined) {
    throw new EpgenToolError(`Expected ${name} to be built for cuda but found no ${missing}`, {
      hint: `Build it: epgen build ${name} --backend cuda`,
    });
  }
  const { spec, sizes } = (await import(pathToFileURL(modulePath).href)) as {
    readonly spec: Spec;
    readonly sizes: Sizes;
  };
  return { spec, sizes, addonPath };
}
