// The benchmark of a packed folder (test/gpu/pack.mjs):
//   ./run-bench [--ranks N] [--tokens N] [--windows N] [--rounds N] [--low-latency]
import { existsSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { SpecInput } from '../../generator/spec.js';
import { type BenchInput, bench, resultFileName } from '../../native/bench/bench.js';
import { benchLowLatency } from '../../native/bench/low-latency.js';
import { lowLatencyReportLines } from '../../native/bench/low-latency-report.js';
import { reportLines } from '../../native/bench/report.js';
import type { BenchHost } from '../gpu/harness/bench-host.js';

const rankCounts = [1, 2, 4, 8];

/** DeepSeek's shape with 32 experts a rank, and with all 256; as bf16 and as fp8. */
function lowLatencySpecs(ranks: number): readonly SpecInput[] {
  const shape = { ranks, hidden: 7168, topk: 8, ht: { maxTokensPerRank: 256 } };
  return (['bf16', 'fp8_e4m3'] as const).flatMap((dtype): SpecInput[] => [
    { ...shape, experts: 32 * ranks, ll: { maxTokensPerRank: 256, dtype } },
    { ...shape, experts: 256, ll: { maxTokensPerRank: 128, dtype, combineDtype: dtype } },
  ]);
}

export const specs: readonly SpecInput[] = [
  ...rankCounts.map((ranks) => ({ ranks, hidden: 7168 })),
  ...[2, 4, 8].flatMap(lowLatencySpecs),
];

/** The compiled probe, where `test/bench/probe/build.sh test/bench/probe/probe` was run before packing. */
const probe = 'test/bench/probe/probe';
export const extras: readonly string[] = existsSync(probe) ? [probe] : [];

export async function main(host: BenchHost, argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      ranks: { type: 'string' },
      tokens: { type: 'string' },
      windows: { type: 'string' },
      rounds: { type: 'string' },
      seed: { type: 'string' },
      'low-latency': { type: 'boolean', default: false },
    },
  });
  const number = (text: string | undefined) => (text === undefined ? undefined : Number(text));
  const largest = [8, 4, 2].find((ranks) => ranks <= host.numDevices) ?? 1;
  const ranks = number(values.ranks) ?? largest;
  const probePath = join(host.dir, probe);
  // One GPU has no wire.
  const hasProbe = ranks > 1 && existsSync(probePath);
  if (hasProbe) await chmod(probePath, 0o755);
  const isLowLatency = values['low-latency'];
  for (const input of isLowLatency ? lowLatencySpecs(ranks) : [{ ranks, hidden: 7168 }]) {
    const { spec, sizes, dir } = await host.buildSpec(input);
    const given = {
      ...{ spec, sizes, addonPath: join(dir, 'addon', 'cuda.node') },
      probePath: hasProbe ? probePath : undefined,
      numTokens: number(values.tokens),
      numWindows: number(values.windows),
      numRounds: number(values.rounds),
      seed: number(values.seed),
      sources: host.manifest,
      command: ['run-bench', ...argv].join(' '),
    };
    const { result, lines } = await (isLowLatency ? lowLatency(given) : highThroughput(given));
    // Paths are those inside the folder, wherever that is.
    const text = JSON.stringify(result).replaceAll(`${host.dir}/`, '');
    await writeFile(join(host.out, resultFileName(result)), `${text}\n`);
    for (const line of lines) console.log(line);
  }
}

async function highThroughput(input: BenchInput) {
  const result = await bench(input);
  return { result, lines: reportLines(result) };
}

async function lowLatency(input: BenchInput) {
  const result = await benchLowLatency(input);
  return { result, lines: lowLatencyReportLines(result) };
}
