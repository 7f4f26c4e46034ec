import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { layoutFromPlan } from '../../generator/layout.js';
import { planFromSpec } from '../../generator/plan.js';
import { parseSpec } from '../../generator/spec.js';
import type { RawAddon, RawDevice, RawGroup } from '../../native/addon-types.js';
import { bench, resultFileName } from '../../native/bench/bench.js';
import { benchLowLatency } from '../../native/bench/low-latency.js';
import { lowLatencyOperations } from '../../native/bench/low-latency-calls.js';
import { lowLatencyNumbersOf } from '../../native/bench/low-latency-numbers.js';
import { LowLatencyTimer } from '../../native/bench/time-low-latency.js';
import { checkLowLatencyChannels } from '../../native/low-latency-arguments.js';
import type { RankState } from '../../native/rank-state.js';
import type { Region, Sizes, Spec } from '../../native/spec-types.js';
import { loadRaw } from '../native/raw-exchange.js';
import { type Built, buildSpec } from '../support/built.js';
import { lowLatencySpecs } from '../support/low-latency-specs.js';
import { FakeRawGroup, fakeAddon } from './fake-addon.js';

/** The cpu backend with a clock: every round takes rank + 1 ms. */
function withClock(group: RawGroup): RawGroup {
  let numEvents = 0;
  const clock = {
    event: () => numEvents++,
    elapsedMs: (rank: number) => rank + 1,
    startBarrier: () => undefined,
  };
  return new Proxy(group, {
    get(target, name) {
      if (name in clock) return clock[name as keyof typeof clock];
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

describe.each([
  ['two ranks, hidden 64', ['dispatch', 'combine', 'staged combine', 'pair']],
  ['three ranks, one block of scales, fp8 both ways', ['dispatch', 'staged combine', 'pair']],
] as const)('%s', (name, operations) => {
  let built: Built;
  beforeAll(async () => {
    built = await buildSpec(lowLatencySpecs[name]);
  });

  test('every operation is launched alone and in graphs, as often as asked', async () => {
    const { spec, sizes } = built;
    const raw = loadRaw(built.addonPath).openGroup({
      ...{ seed: 1n, deadlineMs: 60_000, firstDeadlineMs: 60_000 },
    });
    try {
      const options = { numWindows: 2, numRounds: 5, seed: 1 };
      const group = withClock(raw);
      const numbers = lowLatencyNumbersOf(spec, sizes)!;
      const timer = await LowLatencyTimer.open({ group, spec, numbers, ...options });
      expect(await timer.emptyUs()).toHaveLength(5);
      const before = raw.counters()[0]!;
      const times = await timer.times(3);
      expect(lowLatencyOperations(spec)).toEqual(operations);
      expect(times.map(({ operation, launch }) => `${operation}: ${launch}`)).toEqual(
        operations.flatMap((operation) => [
          `${operation}: eager`,
          `${operation}: graph`,
          `${operation}: graph of 16`,
        ]),
      );
      for (const { launch, samples, selections, remoteSelections } of times) {
        const us = 1e3 * spec.ranks;
        expect(samples).toEqual(Array(10).fill(launch === 'graph of 16' ? us / 16 : us));
        expect(selections).toBe(3 * spec.topk);
        expect(remoteSelections).toBeLessThan(selections);
        expect(remoteSelections).toBeGreaterThan(0);
      }
      const { llDispatch, llCombine } = raw.counters()[0]!;
      const numRounds = 2 * (4 + 5) * (1 + 1 + 16);
      expect(llDispatch - before.llDispatch).toBe(2 * numRounds + 2 * 2);
      expect(llCombine - before.llCombine).toBe((operations.length - 1) * numRounds);
    } finally {
      await raw.dispose();
    }
  });
});

describe('a run of a spec with i32 indices and packed scales', () => {
  const name = 'two ranks, top-32, UE8M0, fp8 both ways';
  const spec = parseSpec(lowLatencySpecs[name], name) as Spec;
  const sizes = sizesOf(spec);
  let numRuns = 0;
  const folder = mkdtempSync(join(tmpdir(), 'epgen-bench-'));
  afterAll(() => {
    rmSync(folder, { recursive: true });
    Reflect.deleteProperty(globalThis, 'epgenBenchAddon');
  });

  /** What a run of `measure` launches and writes, on GPUs that are none, over a wire of 100 GB/s. */
  async function benched<R>(measure: (input: Parameters<typeof bench>[0]) => Promise<R>) {
    const raw = new TimedFake();
    const device = { name: 'NVIDIA H100 80GB HBM3' } as RawDevice;
    const addon: RawAddon = {
      ...fakeAddon(raw),
      backend: 'cuda',
      probe: () => ({
        ...{ driver: 13000, runtime: 13000, links: [], peerAccess: [], reason: null },
        devices: [
          { ...device, ordinal: 0 },
          { ...device, ordinal: 1 },
        ],
      }),
    };
    Reflect.set(globalThis, 'epgenBenchAddon', addon);
    const addonPath = join(folder, `${numRuns++}.cjs`);
    writeFileSync(addonPath, 'module.exports = globalThis.epgenBenchAddon;');
    const probePath = join(folder, 'probe');
    const rates = { tests: [{ test: 'copy-engine', medianUs: 1, gbPerS: 100 }] };
    writeFileSync(
      probePath,
      `#!/bin/sh\nfor last; do :; done\necho '${JSON.stringify(rates)}' > "$last"\n`,
    );
    chmodSync(probePath, 0o755);
    const run = { numTokens: 3, numWindows: 3, numRounds: 2, sources: undefined, command: 'test' };
    return { raw, result: await measure({ spec, sizes, addonPath, probePath, ...run }) };
  }

  test.each([
    ['dispatch', 3, bench],
    ['llDispatch', 5, benchLowLatency],
  ] as const)('%s finds indices of the type that the spec has', async (op, most, measure) => {
    const { raw } = await benched<unknown>(measure);
    const calls = raw.launches.filter((launch) => launch.op === op);
    for (const { rank, call } of [calls[0]!, calls.at(-1)!]) {
      const { topkIdx = 0n } = call as { readonly topkIdx?: bigint };
      const numWords = 3 * spec.topk;
      expect(raw.blocks.get(topkIdx)).toBe(4 * most * spec.topk);
      const chosen = new Int32Array(await raw.read(rank, topkIdx, 4 * numWords));
      for (let k = 0; k < numWords; k += spec.topk) {
        const token = chosen.subarray(k, k + spec.topk);
        expect(new Set(token).size).toBe(spec.topk);
        expect(Math.min(...token)).toBeGreaterThanOrEqual(0);
        expect(Math.max(...token)).toBeLessThan(spec.experts);
      }
    }
  });

  test('the wire is charged for rows with one byte of scales per 128 elements, and f32 in combine', async () => {
    const { result } = await benched(benchLowLatency);
    const dispatch = 512 + 512 / 128;
    const combine = 512 + (4 * 512) / 128;
    const of = { dispatch, combine, 'staged combine': combine, pair: dispatch + combine };
    for (const { operation, remoteSelections, remoteBytes, wireUs } of result.lines) {
      expect(remoteBytes).toBe(remoteSelections * of[operation]);
      expect(wireUs).toBe(remoteBytes / 100 / 1e3);
    }
    // As DeepEP counts.
    const { gbPerS, selections, us } = result.lines[0]!;
    expect(gbPerS).toBeCloseTo((selections * (512 + 512 / 32 + 16)) / us.median / 1e3);
  });

  test('a timed call has the channels of one that does not say how many', async () => {
    const { result } = await benched(benchLowLatency);
    const { numLlChannels: numChannels = 0 } = sizes;
    for (const { grid, numTokens } of result.lines) {
      expect(grid).toBe(usualChannels(spec.ranks, { numChannels, numTokens }));
    }
  });

  test('results of both kinds of calls and of one day lie in different files', async () => {
    const date = '2027-01-02T03:04:05.678Z';
    const names = await Promise.all(
      [bench, benchLowLatency].map(async (measure) => {
        const { result } = await benched<Parameters<typeof resultFileName>[0]>(measure);
        return resultFileName({ ...result, date });
      }),
    );
    const rest = `${spec.name}-2xH100-80GB-HBM3.json`;
    expect(names).toEqual([`2027-01-02-bench-ht-${rest}`, `2027-01-02-bench-ll-${rest}`]);
  });

  test.each([
    ['numTokens', 0, '--tokens to be a whole number of at least 1 but received 0'],
    ['numTokens', Number.NaN, '--tokens to be a whole number of at least 1 but received NaN'],
    ['numTokens', 17, /--tokens to be at most (ll\.)?maxTokensPerRank, (16|5), but received 17/],
    ['numWindows', 0, /--windows to be a whole number of at least [13] but received 0/],
    ['numRounds', 1.5, '--rounds to be a whole number of at least 1 but received 1.5'],
  ])('%s of %d is refused, not taken for the default', async (option, value, message) => {
    for (const measure of [bench, benchLowLatency]) {
      const run = benched<unknown>((input) => measure({ ...input, [option]: value }));
      await expect(run).rejects.toThrow(message);
    }
  });
});

test.each([
  [1, 4, 1],
  [3, 256, 3],
  [128, 1, 4],
  [128, 16, 16],
  [128, 256, 128],
])('of %d channels a call of %d tokens on four GPUs has %d', (numChannels, numTokens, want) => {
  expect(usualChannels(4, { numChannels, numTokens })).toBe(want);
});

/** Those of a call on so many GPUs that does not say how many. */
function usualChannels(
  numRanks: number,
  exchange: { readonly numChannels: number; readonly numTokens: number },
): number {
  const group = { backend: 'cuda', dims: { numRanks } };
  return checkLowLatencyChannels({ group } as RankState, 'numChannels', undefined, exchange);
}

/** Memory and launches without kernels, and a clock: rank + 1 ms. */
class TimedFake extends FakeRawGroup {
  override event(): number {
    return 0;
  }

  override elapsedMs(rank = 0): number {
    return rank + 1;
  }

  override startBarrier(): void {}
}

function sizesOf(spec: Spec): Sizes {
  const plan = planFromSpec(spec as ReturnType<typeof parseSpec>);
  const { regions } = layoutFromPlan(plan);
  const camelCase = (name: string) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
  const named = regions.map((region): [string, Region] => [camelCase(region.name), region]);
  return { ...plan, regions: Object.fromEntries(named) } as unknown as Sizes;
}
