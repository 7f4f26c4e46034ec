import { describe, expect, test } from 'vitest';
import type { AnyTensor } from '../../../native/index.js';
import { buildSpec } from '../../support/built.js';
import {
  callHooks,
  combineTokens,
  delayRank,
  dispatchTokens,
  drawOutputs,
  drawTokens,
  expectedRows,
  llOf,
  together,
} from '../../support/low-latency.js';
import { type LowLatencySpecName, lowLatencySpecs } from '../../support/low-latency-specs.js';
import { unequalTokens } from '../../support/routing.js';

// What a spec with ll.stats counts on request: tokens of each expert over calls, and time waited for each rank.

const names = [
  'two ranks, top-32, UE8M0, fp8 both ways',
  'three ranks, one block of scales, fp8 both ways',
  'five ranks, top-6',
  'seven ranks, one channel',
] as const satisfies readonly LowLatencySpecName[];

describe.each(names)('%s', (name) => {
  test.each([
    ['whole calls', false],
    ['calls with hooks', true],
  ])('counts of each expert add up over calls: %s', async (_, hooks) => {
    const built = await buildSpec(lowLatencySpecs[name]);
    const { spec } = built;
    await using group = await built.open({ seed: 73 });
    const numLocalExperts = spec.experts / spec.ranks;
    const start = group.ranks.map((_, r) =>
      Int32Array.from({ length: numLocalExperts }, (_, e) => 1000 * r + e),
    );
    const stats = group.ranks.map((rank, r) => rank.tensor('i32', [numLocalExperts], start[r]!));
    for (let call = 0; call < 12; call++) {
      const numTokens = unequalTokens(spec.ranks, llOf(spec).maxTokensPerRank, call);
      const inputs = drawTokens(spec, { seed: call, numTokens, pattern: 'duplicates' });
      // Every third call counts nothing.
      const counts = call % 3 !== 2;
      const received = dispatchTokens(group, spec, inputs, (r) => ({
        returnRecvHook: hooks,
        ...(counts && { cumulativeStats: stats[r] }),
      }));
      if (hooks) callHooks(received);
      if (!counts) continue;
      for (const [r, { numTokensPerExpert }] of expectedRows(spec, inputs).entries()) {
        numTokensPerExpert.forEach((count, e) => {
          start[r]![e]! += count;
        });
      }
    }
    expect(await Promise.all(stats.map((tensor) => tensor.toArray()))).toEqual(start);
  });

  test('time waited for each rank: the late one’s is at least as long as it was late', async () => {
    const built = await buildSpec(lowLatencySpecs[name]);
    const { spec } = built;
    await using group = await built.open({ seed: 74, deadlineMs: 60_000 });
    const { ranks } = spec;
    const zeros = Array<number>(ranks).fill(0);
    const tensors = () => group.ranks.map((rank) => rank.tensor('i64', [ranks], zeros));
    const [inDispatch, inCombine] = [tensors(), tensors()];
    const numTokens = group.ranks.map(() => llOf(spec).maxTokensPerRank);
    const inputs = drawTokens(spec, { seed: 1, numTokens, pattern: 'distinct' });
    const want = expectedRows(spec, inputs);
    const late = ranks - 1;
    // On devices, what is uploaded before its own call holds up a rank too.
    const ns = group.backend === 'cuda' ? 200_000_000 : 20_000_000;
    // Twice: times are added to what is there.
    for (const round of [1, 2]) {
      together(group, () => {
        delayRank(group, late, ns);
        const received = dispatchTokens(group, spec, inputs, (r) => ({ waitStats: inDispatch[r] }));
        delayRank(group, late, ns);
        const flight = { inputs, want, received, outputs: drawOutputs(spec, want, 1) };
        combineTokens(group, spec, flight, (r) => ({ waitStats: inCombine[r] }));
      });
      // With a credit it is the send that waits for late ranks, before it sends rows.
      expectWaits(await readAll(inDispatch), llOf(spec).credit ? [] : [late], round * ns);
      expectWaits(await readAll(inCombine), [late], round * ns);
    }
  });

  /** Whoever is not late waits about so long for those that are, and not for others. */
  function expectWaits(times: readonly number[][], late: readonly number[], ns: number): void {
    for (const [r, waited] of times.entries()) {
      for (const [source, time] of waited.entries()) {
        const isLong = late.includes(source) && !late.includes(r);
        const what = `rank ${r} for ${source}: ${time} ns`;
        expect(time >= (isLong ? 0.9 * ns : 0), what).toBe(true);
        expect(time < (isLong ? 1.5 * ns : 0.5 * ns), what).toBe(true);
      }
    }
  }

  async function readAll(tensors: readonly AnyTensor[]): Promise<number[][]> {
    const arrays = await Promise.all(tensors.map((tensor) => tensor.toArray()));
    return arrays.map((array) => Array.from(array as BigInt64Array, Number));
  }
});
