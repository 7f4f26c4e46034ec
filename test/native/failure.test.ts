import { beforeAll, expect, test } from 'vitest';
import type { RawAddon, RawGroup } from '../../native/addon-types.js';
import { failureOf, loadRaw, type RawCall, rawAddonPath, rawCall } from './raw-exchange.js';

const routing = [0n, 3n, 1n, 2n];
let addon: RawAddon;
beforeAll(async () => {
  addon = loadRaw(await rawAddonPath());
});

async function withCalls(
  use: (group: RawGroup, calls: readonly RawCall[]) => Promise<void>,
): Promise<void> {
  const group = addon.openGroup({ seed: 1n, deadlineMs: 100, firstDeadlineMs: 150 });
  try {
    await use(group, [await rawCall(group, 0, routing), await rawCall(group, 1, routing)]);
  } finally {
    await group.dispose();
  }
}

test('the call that waited gets the timeout, everything else the abort, until reset', () =>
  withCalls(async (group, [first, second]) => {
    const timeout = failureOf(first!.dispatch());
    const behind = failureOf(group.synchronize(0));
    expect(await timeout).toMatchObject({
      code: 'EPGEN_TIMEOUT',
      detail: {
        kind: 'timeout',
        waitedMs: 150,
        idleRanks: [1],
        records: [{ op: 'dispatch', rank: 0, peer: 1 }],
      },
    });
    expect(await behind).toMatchObject({
      code: 'EPGEN_ABORTED',
      detail: { cause: { code: 'EPGEN_TIMEOUT' } },
    });
    expect((await failureOf(second!.dispatch())).code).toBe('EPGEN_ABORTED');
    expect(() => second!.enqueue()).toThrow(/stopped after an earlier failure/);

    await group.reset(7);
    const counts = await Promise.all([first!.dispatch(), second!.dispatch()]);
    expect(counts.map((count) => [...count.numTokensPerExpert])).toEqual([
      [2, 2],
      [2, 2],
    ]);
    await Promise.all([group.synchronize(0), group.synchronize(1)]);
  }));

test('a timeout that nobody awaited is told once, by the next operation of its rank', () =>
  withCalls(async (group, [first]) => {
    first!.enqueue();
    expect((await failureOf(group.synchronize(0))).code).toBe('EPGEN_TIMEOUT');
    expect((await failureOf(group.synchronize(0))).code).toBe('EPGEN_ABORTED');
  }));

test('a bad index rejects its own call or, where nobody waits, the next operation; the group goes on', () =>
  withCalls(async (group, [, second]) => {
    const bad = await rawCall(group, 0, [0n, 1n, 2n, -9007199254740993n]);
    const detail = { kind: 'expert-index', rank: 0, token: 1, k: 1, value: -9007199254740993n };
    const [failure, counts] = await Promise.all([failureOf(bad.dispatch()), second!.dispatch()]);
    expect(failure).toMatchObject({ code: 'EPGEN_ARGUMENT', detail });
    expect(counts.numRecvTokens).toBe(3);

    bad.enqueue();
    second!.enqueue();
    expect(await failureOf(group.synchronize(0))).toMatchObject({ code: 'EPGEN_ARGUMENT', detail });
    await group.synchronize(0);
    await group.synchronize(1);
  }));

test('more calls than there are count records wait their turn', () =>
  withCalls(async (group, [first, second]) => {
    const counted = [first!, second!].flatMap(({ dispatch }) =>
      Array.from({ length: 50 }, dispatch),
    );
    await Promise.all(counted);
    expect(group.counters().map((counter) => counter.dispatch)).toEqual([50, 50]);
  }));

test('calls that nobody waits for never wait, and still tell of a bad index', () =>
  withCalls(async (group, [first, second]) => {
    const bad = await rawCall(group, 0, [0n, 1n, 2n, 4n]);
    group.hold();
    for (let call = 0; call < 50; ++call) {
      (call === 49 ? bad : first!).enqueue();
      second!.enqueue();
    }
    expect(group.counters().map((counter) => counter.dispatch)).toEqual([50, 50]);
    group.release();
    const detail = { kind: 'expert-index', rank: 0, token: 1, k: 1, value: 4 };
    expect(await failureOf(group.synchronize(0))).toMatchObject({ code: 'EPGEN_ARGUMENT', detail });
    await Promise.all([group.synchronize(0), group.synchronize(1)]);
  }));

test('dispose ends what is pending', () =>
  withCalls(async (group, [first]) => {
    const pending = failureOf(first!.dispatch());
    await group.dispose();
    expect((await pending).code).toBe('EPGEN_DISPOSED');
  }));
