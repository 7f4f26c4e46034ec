import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { stateOf } from '../../native/group.js';
import type { Group, Rank } from '../../native/index.js';
import { combineReference } from '../../native/reference/index.js';
import { type Built, buildSpec } from '../support/built.js';
import { dispatchCall, expectedOutputs, receivedDifferences } from '../support/exchange.js';
import { dispatchInputs, unequalTokens } from '../support/routing.js';

const shape = { ranks: 2, hidden: 64, experts: 8, topk: 2 };
const maxTokens = 24;

let built: Built;
let group: Group | undefined;

beforeAll(async () => {
  built = await buildSpec({
    ...shape,
    ht: { maxTokensPerRank: maxTokens },
    channels: { memory: { count: 2 } },
  });
});
afterEach(async () => {
  await group?.dispose();
  group = undefined;
});

function drawn(seed: number) {
  const numTokens = unequalTokens(shape.ranks, maxTokens, seed);
  const inputs = dispatchInputs({ ...shape, seed, numTokens, pattern: 'distinct' });
  return { inputs, want: expectedOutputs(built.spec, inputs) };
}

/** What every rank's combine of its received rows gives. */
function sumsOf(want: ReturnType<typeof drawn>['want']) {
  const { ranks, hidden, combineDtype: dtype } = built.spec;
  const perRank = want.map(({ x, handle }) => ({ x, slot: handle.slot }));
  return combineReference({ ranks, hidden, dtype, perRank } as never) as readonly Uint16Array[];
}

function calls(of: Group, { inputs }: ReturnType<typeof drawn>) {
  return of.ranks.map((rank, r) => dispatchCall(rank, built.spec, inputs[r]!));
}

const streamOfWindow = (window: number) => 1 + window;

function delay(rank: Rank, ms: number, stream = 0) {
  stateOf(group!).callSync((raw) => raw.delay(rank.index, ms * 1e6, stream));
}

test('a chain of asynchronous calls, each after the event of the one before', async () => {
  group = await built.open({ seed: 3 });
  for (let round = 0; round < 20; round++) {
    const made = drawn(round);
    const received = await group.dispatch(
      calls(group, made).map((call) => ({ ...call, asyncFinish: true })),
    );
    const differences = await Promise.all(
      received.map((got, r) => receivedDifferences(built.spec, r, got, made.want[r]!)),
    );
    expect(differences.flat()).toEqual([]);
    const combined = await group.combine(
      received.map(({ x, handle, event }) => ({
        x,
        handle,
        previousEvent: event,
        asyncFinish: true,
      })),
    );
    combined.forEach(({ event }, r) => {
      group!.ranks[r]!.wait(event!);
    });
    const sums = await Promise.all(combined.map(({ x }) => x.toArray()));
    expect(sums).toEqual(sumsOf(made.want));
  }
});

test('two windows in flight at once, with different contents', async () => {
  group = await built.open({ seed: 5, windows: 2 });
  const of = group;
  const flight = (window: number, seed: number, isAsync: boolean) => {
    const made = drawn(seed);
    const options = { asyncFinish: isAsync };
    const received = of.enqueueDispatch(
      calls(of, made).map((call) => ({ ...call, ...options, window })),
    );
    const combined = of.enqueueCombine(
      received.map(({ x, handle }) => ({ x, handle, ...options })),
    );
    return { made, received, combined };
  };
  const checks: Promise<void>[] = [];
  for (let round = 0; round < 50; round++) {
    // Now and then one window's calls run on the ranks' own streams.
    const flights = [flight(0, 2 * round, true), flight(1, 2 * round + 1, round % 5 !== 4)];
    for (const { made, received, combined } of flights) {
      const arrived = received.map(async ({ x, numRecvTokens }, r) => {
        const [[count], bits] = await Promise.all([numRecvTokens.toArray(), x.toArray()]);
        expect(count).toBe(made.want[r]!.numRows);
        expect(bits.subarray(0, made.want[r]!.x.length)).toEqual(made.want[r]!.x);
      });
      const summed = combined.map(async ({ x }, r) => {
        expect(await x.toArray()).toEqual(sumsOf(made.want)[r]);
      });
      checks.push(...arrived, ...summed);
    }
  }
  await Promise.all(checks);
});

test('windows run at once: one that waits for a late peer does not hold up the other', async () => {
  group = await built.open({ seed: 6, windows: 2, deadlineMs: 60_000 });
  const [first, second] = [drawn(1), drawn(2)];
  const ended: number[] = [];
  // Time jumps where nothing else is to be done: all has to be there when it starts.
  stateOf(group).callSync((raw) => raw.hold());
  delay(group.ranks[1]!, 5_000, streamOfWindow(0));
  const run = async (window: number, made: typeof first) => {
    const received = await group!.dispatch(
      calls(group!, made).map((call) => ({ ...call, asyncFinish: true, window })),
    );
    ended.push(window);
    return received;
  };
  const runs = [run(0, first), run(1, second)];
  stateOf(group).callSync((raw) => raw.release());
  await Promise.all(runs);
  expect(ended).toEqual([1, 0]);
});

test('stream objects order calls on both sides', async () => {
  group = await built.open({ seed: 7 });
  const rank = group.ranks[0]!;
  const stream = rank.createStream();
  const made = drawn(4);
  const given = calls(group, made);
  const raw = rank.tensor('u8', [16], new Uint8Array(16).fill(1));
  const copy = rank.tensor('u8', [16], new Uint8Array(16));
  const number = 2;
  const copyOn = (of: number) =>
    stateOf(group!).callSync((to) => to.copy(0, copy.pointer, raw.pointer, 16, of));
  stream.wait(rank.record());
  delay(rank, 50, number);
  copyOn(number);
  const received = await group.dispatch([{ ...given[0]!, stream }, given[1]!]);
  // The call came after the stream's copy, so what is read behind the call sees it.
  expect([...(await copy.toArray())]).toEqual(new Array(16).fill(1));
  delay(rank, 50);
  await raw.copyFrom(new Uint8Array(16).fill(2));
  rank.wait(stream.record());
  stream.wait(rank.record());
  copyOn(number);
  rank.wait(stream.record());
  expect([...(await copy.toArray())]).toEqual(new Array(16).fill(2));
  const combined = await group.combine([
    { x: received[0]!.x, handle: received[0]!.handle, stream },
    { x: received[1]!.x, handle: received[1]!.handle },
  ]);
  expect(await combined[0]!.x.toArray()).toEqual(sumsOf(made.want)[0]);
  stream.dispose();
});

test('previousEvent takes the place of what the own stream has', async () => {
  group = await built.open({ seed: 8, deadlineMs: 60_000 });
  const made = drawn(5);
  const given = calls(group, made);
  const filled = (rank: Rank, value: number) =>
    rank.tensor('u8', [16], new Uint8Array(16).fill(value));
  const tensors = group.ranks.map((rank) => [0, 1, 2].map((value) => filled(rank, value)));
  const events = group.ranks.map((rank) => rank.record());
  const raw = stateOf(group).raw;
  raw.hold();
  for (const [r, [, old, late]] of tensors.entries()) {
    delay(group.ranks[r]!, 10_000);
    raw.copy(r, old!.pointer, late!.pointer, 16);
  }
  const pending = group.dispatch(
    given.map((call, r) => ({ ...call, asyncFinish: true, previousEvent: events[r]! })),
  );
  for (const [r, [seen, old]] of tensors.entries()) {
    raw.copy(r, seen!.pointer, old!.pointer, 16, streamOfWindow(0));
  }
  raw.release();
  const received = await pending;
  for (const [r, [seen, old]] of tensors.entries()) {
    expect([...(await old!.toArray())]).toEqual(new Array(16).fill(2));
    expect([...(await seen!.toArray())]).toEqual(new Array(16).fill(1));
    expect(await received[r]!.x.toArray()).toEqual(made.want[r]!.x);
  }
});

test('copies of an asynchronous dispatch are there at its event', async () => {
  group = await built.open({ seed: 9 });
  const made = drawn(6);
  const received = await group.dispatch(
    calls(group, made).map((call) => ({ ...call, asyncFinish: true, copy: true })),
  );
  for (const [r, { event, x }] of received.entries()) {
    group.ranks[r]!.wait(event!);
    expect(await x.toArray()).toEqual(made.want[r]!.x);
  }
});

describe('one fate', () => {
  test('a dispatch on window 1 is aborted with window 0, and both work again after recover', async () => {
    group = await built.open({ seed: 10, windows: 2, firstDeadlineMs: 40, deadlineMs: 5_000 });
    const made = drawn(7);
    const given = calls(group, made);
    const [first, second] = await Promise.allSettled(
      [0, 1].map((window) =>
        group!.ranks[0]!.dispatch({ ...given[0]!, asyncFinish: true, window }),
      ),
    );
    expect([first, second]).toMatchObject([
      { reason: { code: 'EPGEN_TIMEOUT' } },
      { reason: { code: 'EPGEN_ABORTED' } },
    ]);
    await expect(group.ranks[1]!.dispatch(given[1]!)).rejects.toMatchObject({
      code: 'EPGEN_ABORTED',
    });
    await group.recover();
    for (const window of [1, 0]) {
      const received = await group.dispatch(
        calls(group, made).map((call) => ({ ...call, asyncFinish: true, window })),
      );
      expect(await received[1]!.x.toArray()).toEqual(made.want[1]!.x);
    }
  });

  test('a call that waits on another window leaves long before its own deadline', async () => {
    group = await built.open({ seed: 11, windows: 2, firstDeadlineMs: 40, deadlineMs: 3_600_000 });
    const given = calls(group, drawn(8));
    const [first, second] = await Promise.allSettled(
      [0, 1].map((window) =>
        group!.ranks[0]!.dispatch({ ...given[0]!, asyncFinish: true, window }),
      ),
    );
    expect([first, second]).toMatchObject([
      { reason: { code: 'EPGEN_TIMEOUT' } },
      { reason: { code: 'EPGEN_ABORTED' } },
    ]);
  });
});

test('a timer keeps firing while a peer is late', async () => {
  group = await built.open({ seed: 12, deadlineMs: 60_000 });
  const given = calls(group, drawn(9));
  let numTicks = 0;
  const timer = setInterval(() => {
    numTicks += 1;
  }, 10);
  const first = group.ranks[0]!.dispatch(given[0]!);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await Promise.all([first, group.ranks[1]!.dispatch(given[1]!)]);
  clearInterval(timer);
  expect(numTicks).toBeGreaterThan(50);
});
