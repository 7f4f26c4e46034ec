import { beforeAll, describe, expect, test } from 'vitest';
import type { RawGroup } from '../../native/addon-types.js';
import { LowLatencyTimer, lowLatencyOperations } from '../../native/bench/time-low-latency.js';
import { loadRaw } from '../native/raw-exchange.js';
import { type Built, buildSpec } from '../support/built.js';
import { lowLatencySpecs } from '../support/low-latency-specs.js';

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
      const timer = await LowLatencyTimer.open({ group, spec, sizes, ...options });
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
