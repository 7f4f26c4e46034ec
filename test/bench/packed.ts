// The benchmark of a packed folder (test/gpu/pack.mjs): ./run-bench [--ranks N] [--tokens N] [--windows N] [--rounds N]
import { existsSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { SpecInput } from '../../generator/spec.js';
import { bench, resultFileName } from '../../native/bench/bench.js';
import { reportLines } from '../../native/bench/report.js';
import type { BenchHost } from '../gpu/harness/bench-host.js';

export const specs: readonly SpecInput[] = [1, 2, 4, 8].map((ranks) => ({ ranks, hidden: 7168 }));

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
    },
  });
  const number = (text: string | undefined) => (text === undefined ? undefined : Number(text));
  const largest = [8, 4, 2].find((ranks) => ranks <= host.numDevices) ?? 1;
  const ranks = number(values.ranks) ?? largest;
  const { spec, sizes, dir } = await host.buildSpec({ ranks, hidden: 7168 });
  const probePath = join(host.dir, probe);
  // One GPU has no wire.
  const hasProbe = ranks > 1 && existsSync(probePath);
  if (hasProbe) await chmod(probePath, 0o755);
  const result = await bench({
    ...{ spec, sizes, addonPath: join(dir, 'addon', 'cuda.node') },
    probePath: hasProbe ? probePath : undefined,
    numTokens: number(values.tokens),
    numWindows: number(values.windows),
    numRounds: number(values.rounds),
    seed: number(values.seed),
    sources: host.manifest,
    command: ['run-bench', ...argv].join(' '),
  });
  await writeFile(join(host.out, resultFileName(result)), `${JSON.stringify(result)}\n`);
  for (const line of reportLines(result)) console.log(line);
}
