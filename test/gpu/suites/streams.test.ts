import { beforeAll, describe, expect, test } from 'vitest';
import { stateOf } from '../../../native/group.js';
import { EpgenArgumentError, type Group } from '../../../native/index.js';
import { combineReference } from '../../../native/reference/index.js';
import type { Built } from '../../support/built.js';
import { dispatchCall, expectedOutputs } from '../../support/exchange.js';
import { buildSpec } from '../harness/built.js';
import { failureOf, gpuSpec, inputsOf, rankCounts } from '../support/gpu-specs.js';

describe.each(rankCounts)('%i ranks', (numRanks) => {
  let built: Built;
  beforeAll(async () => {
    built = await buildSpec(gpuSpec(numRanks));
  });

  const drawn = (seed: number) => {
    const inputs = inputsOf(built.spec, 'distinct', seed);
    return { inputs, want: expectedOutputs(built.spec, inputs) };
  };
  const callsOf = (group: Group, { inputs }: ReturnType<typeof drawn>) =>
    group.ranks.map((rank, r) => dispatchCall(rank, built.spec, inputs[r]!));
  const sumsOf = (want: ReturnType<typeof drawn>['want']) => {
    const { ranks, hidden, combineDtype: dtype } = built.spec;
    const perRank = want.map(({ x, handle }) => ({ x, slot: handle.slot }));
    return combineReference({ ranks, hidden, dtype, perRank } as never) as readonly Uint16Array[];
  };

  test('two windows in flight at once, 50 rounds, every result compared', async () => {
    await using group = await built.open({ windows: 2 });
    const checks: Promise<void>[] = [];
    for (let round = 0; round < 50; round++) {
      const flights = [0, 1].map((window) => {
        const made = drawn(2 * round + window);
        const asyncFinish = window === 0 || round % 5 !== 4;
        const received = group.enqueueDispatch(
          callsOf(group, made).map((call) => ({ ...call, asyncFinish, window })),
        );
        const combined = group.enqueueCombine(
          received.map(({ x, handle, event }) => ({
            x,
            handle,
            asyncFinish,
            previousEvent: event,
          })),
        );
        return { made, received, combined };
      });
      for (const { made, received, combined } of flights) {
        for (const [r, { x, numRecvTokens }] of received.entries()) {
          checks.push(
            Promise.all([x.toArray(), numRecvTokens.toArray()]).then(([bits, [count]]) => {
              expect(count).toBe(made.want[r]!.numRows);
              expect(bits.subarray(0, made.want[r]!.x.length)).toEqual(made.want[r]!.x);
            }),
          );
        }
        const sums = sumsOf(made.want);
        for (const [r, { x }] of combined.entries()) {
          checks.push(x.toArray().then((bits) => expect(bits).toEqual(sums[r])));
        }
      }
      // Nothing is collected before a wait, and the arena of 2 ranks holds five rounds.
      if (round % 3 === 2) await Promise.all(checks.splice(0));
    }
    await Promise.all(checks);
  });

  test('streams of the caller, made here or elsewhere, order calls on both sides', async () => {
    await using group = await built.open();
    const made = drawn(3);
    const rank = group.ranks[0]!;
    using own = disposing(rank.createStream());
    for (const stream of [own.stream, rank.createStream().pointer]) {
      const given = callsOf(group, made);
      const received = await group.dispatch(
        given.map((call, r) => (r === 0 ? { ...call, stream } : call)),
      );
      const combined = await group.combine(
        received.map(({ x, handle }, r) => ({ x, handle, ...(r === 0 && { stream }) })),
      );
      expect(await combined[0]!.x.toArray()).toEqual(sumsOf(made.want)[0]);
    }
    await expect(
      group.dispatch(callsOf(group, made).map((call) => ({ ...call, stream: 1n }))),
    ).rejects.toThrow(EpgenArgumentError);
  });

  test('an asynchronous call runs beside the own stream', async () => {
    await using group = await built.open({ deadlineMs: 10_000 });
    const made = drawn(4);
    const given = callsOf(group, made);
    const events = group.ranks.map((rank) => rank.record());
    for (const rank of group.ranks) {
      stateOf(group).callSync((raw) => raw.delay(rank.index, 500e6));
    }
    const start = performance.now();
    await group.dispatch(
      given.map((call, r) => ({ ...call, asyncFinish: true, previousEvent: events[r]! })),
    );
    expect(performance.now() - start).toBeLessThan(400);
  });

  test('a failure on one window ends waits on the others, and recover() brings all back', async () => {
    await using group = await built.open({
      windows: 2,
      firstDeadlineMs: 200,
      deadlineMs: 60_000,
    });
    const given = callsOf(group, drawn(5));
    const start = performance.now();
    const lonely = [0, 1].map((window) =>
      failureOf(group.ranks[0]!.dispatch({ ...given[0]!, asyncFinish: true, window })),
    );
    await Promise.all(lonely);
    expect(performance.now() - start).toBeLessThan(5_000);
    await group.recover();
    for (const window of [1, 0]) {
      const made = drawn(6);
      const received = await group.dispatch(
        callsOf(group, made).map((call) => ({ ...call, asyncFinish: true, window })),
      );
      expect(await received[0]!.x.toArray()).toEqual(made.want[0]!.x);
    }
  });
});

function disposing<T extends { dispose(): void }>(stream: T) {
  return { stream, [Symbol.dispose]: () => stream.dispose() };
}
