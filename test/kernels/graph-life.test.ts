import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { stateOf } from '../../native/group.js';
import {
  EpgenArgumentError,
  EpgenStaleError,
  EpgenTimeoutError,
  type Graph,
  type Group,
} from '../../native/index.js';
import { type Built, buildSpec } from '../support/built.js';
import { dispatchCall } from '../support/exchange.js';
import { combinedFlaws, failureOf, ReplayInputs } from '../support/replays.js';

const deadlineMs = 300;
let built: Built;
let group: Group;
let inputs: ReplayInputs;

beforeAll(async () => {
  built = await buildSpec({
    ...{ ranks: 2, hidden: 16, experts: 4, topk: 2 },
    ht: { maxTokensPerRank: 6, liveResults: 2 },
    channels: { memory: { count: 2 } },
  });
});
beforeEach(async () => {
  group = await built.open({ seed: 5, deadlineMs });
  inputs = new ReplayInputs(group, built.spec, [6, 3]);
});
afterEach(() => group.dispose());

function pair() {
  const received = group.enqueueDispatch(inputs.calls);
  const combined = group.enqueueCombine(received.map(({ x, handle }) => ({ x, handle })));
  return { received, combined };
}

/** One replay, and every bit of its sums. */
async function expectReplay(graph: { replay(): ReturnType<typeof pair> }, seed: number) {
  const { written, want } = inputs.fill(seed);
  const { combined } = graph.replay();
  const rows = want.map(({ x }) => x);
  expect(await combinedFlaws(built.spec, 'the replay', combined, want, rows)).toEqual([]);
  await written;
}

/** Where the next block of each rank would come from. */
function nextBlocks(): bigint[] {
  return group.ranks.map((rank) => {
    const probe = rank.tensor('u8', [1 << 20]);
    const { pointer } = probe;
    probe.dispose();
    return pointer;
  });
}

describe('what a replay gives', () => {
  test('throws before the first replay', async () => {
    const received: ReturnType<typeof pair>['received'][] = [];
    const combined: ReturnType<typeof pair>['combined'][] = [];
    await group.capture(() => {
      const outcome = pair();
      received.push(outcome.received);
      combined.push(outcome.combined);
    });
    const pattern = /has not been replayed yet/;
    expect(() => received[0]![0]!.x.pointer).toThrow(pattern);
    expect(() => combined[0]![0]!.x.pointer).toThrow(pattern);
    expect((await failureOf(received[0]![0]!.handle.slot())).message).toMatch(pattern);
    expect(await failureOf(received[0]![0]!.numRecvTokens.toArray())).toBeInstanceOf(
      EpgenStaleError,
    );
  });

  test('received rows live as after enqueueDispatch; handles and sums as long as the graph', async () => {
    const graph = await group.capture(pair);
    const first = graph.replay();
    graph.replay();
    expect(first.received[0]!.x.pointer).toBeGreaterThan(0n);
    const third = graph.replay();
    expect(() => first.received[0]!.x.pointer).toThrow(
      /2 dispatches were enqueued on rank 0 since.*liveResults/,
    );
    expect(third.combined[0]!.x.pointer).toBe(first.combined[0]!.x.pointer);
    expect(await first.received[0]!.handle.slot()).toEqual(await third.received[0]!.handle.slot());
    third.combined[0]!.x.dispose();
    third.received[0]!.handle.dispose();
    expect(third.combined[0]!.x.pointer).toBeGreaterThan(0n);
    graph.dispose();
    graph.dispose();
    expect(() => third.combined[0]!.x.pointer).toThrow(/its graph was disposed/);
    expect(await failureOf(third.received[0]!.handle.slot())).toBeInstanceOf(EpgenArgumentError);
    expect(() => graph.replay()).toThrow(
      'Expected a live graph but received one that was disposed',
    );
  });

  test('rows may be written again once a later replay brought new ones', async () => {
    const sending = await group.capture(() => group.enqueueDispatch(inputs.calls));
    const zeros = new Uint16Array(12 * 16);
    for (let replay = 0; replay < 7; replay++) {
      const received = sending.replay();
      await received[0]!.x.copyFrom(zeros);
      group.enqueueCombine(received.map(({ x, handle }) => ({ x, handle })));
      expect((await failureOf(received[0]!.x.copyFrom(zeros))).message).toMatch(
        /handed to combine/,
      );
    }
  });

  test('its handles go with each other, not with those of other dispatches', async () => {
    await using twice = await group.capture(() => [pair().received, pair().received] as const);
    const eager = group.enqueueDispatch(inputs.calls);
    const [, second] = twice.replay();
    const call = (received: typeof eager, r: number) => ({
      x: group.ranks[r]!.combineInput(received[r]!.handle),
      handle: received[r]!.handle,
    });
    const mixed = (one: typeof eager, other: typeof eager) => () =>
      group.enqueueCombine([call(one, 0), call(other, 1)]);
    expect(mixed(second, eager)).toThrow(
      /the call of rank 1 to be of call 3 of graph \d+, as on rank 0, but received that of dispatch 1/,
    );
    const [first] = twice.replay();
    expect(mixed(first, second)).toThrow(/of call 1 of graph .* received that of call 3 of graph/);
    expect((await failureOf(group.capture(mixed(first, second)))).message).toMatch(/of call 3 of/);
    mixed(first, twice.replay()[0])();
    await twice.ended();
  });

  test('memory comes from the capture, and goes back with the graph', async () => {
    const before = nextBlocks();
    const graph = await group.capture(pair);
    const captured = nextBlocks();
    expect(captured).not.toEqual(before);
    for (let replay = 0; replay < 20; replay++) graph.replay();
    expect(nextBlocks()).toEqual(captured);
    await graph.ended();
    expect(nextBlocks()).toEqual(captured);
    graph.dispose();
    expect(nextBlocks()).toEqual(before);
  });

  test('a graph that is disposed while its replays run', async () => {
    const raw = stateOf(group).callSync((raw) => raw);
    const graph = await group.capture(pair);
    raw.hold();
    const { want } = inputs.fill(3);
    for (let replay = 0; replay < 3; replay++) {
      for (const rank of group.ranks) raw.delay(rank.index, 1e6 * (1 + rank.index));
      graph.replay();
    }
    const { combined } = graph.replay();
    const rows = want.map(({ x }) => x);
    const flaws = combinedFlaws(built.spec, 'the last', combined, want, rows);
    graph.dispose();
    raw.release();
    expect(await flaws).toEqual([]);
    await using next = await group.capture(pair);
    await expectReplay(next, 4);
  });
});

describe('what goes wrong in a replay', () => {
  test('an expert index out of range is told by ended(), once, and the graph goes on', async () => {
    const graph = await group.capture(pair);
    await expectReplay(graph, 1);
    const indices = new BigInt64Array(12).fill(1n);
    indices[7] = 99n;
    await inputs.calls[0]!.topkIdx.copyFrom(indices);
    graph.replay();
    await inputs.calls[0]!.topkIdx.copyFrom(new BigInt64Array(12)).catch(() => undefined);
    inputs.fill(2);
    for (let replay = 0; replay < 5; replay++) graph.replay();
    await graph.ended();
    await inputs.calls[0]!.topkIdx.copyFrom(indices);
    graph.replay();
    graph.replay();
    const error = await failureOf(graph.ended());
    expect(error).toBeInstanceOf(EpgenArgumentError);
    expect(error.message).toContain('rank 0: topkIdx[3][1] is 99, expected -1 or 0..3');
    await graph.ended();
    await expectReplay(graph, 5);
  });

  test('a rank that comes too late: a timeout that names the wait, then a stale graph', async () => {
    const graph = await group.capture(pair);
    await expectReplay(graph, 1);
    // Held, since an idle machine skips a delay.
    const raw = stateOf(group).callSync((raw) => raw);
    raw.hold();
    raw.delay(1, 50 * deadlineMs * 1e6);
    const { received, combined } = graph.replay();
    raw.release();
    const error = await failureOf(graph.ended());
    expect(error).toBeInstanceOf(EpgenTimeoutError);
    expect(error.message).toMatch(/rank 0 waited in dispatch for .* of rank 1/);
    expect(error.message).not.toMatch(/never called/);
    expect((await failureOf(combined[0]!.x.toArray())).code).toBe('EPGEN_ABORTED');
    expect(() => graph.replay()).toThrow(/gave up after an earlier error/);
    await group.recover();
    expect(() => graph.replay()).toThrow(EpgenStaleError);
    expect(() => graph.replay()).toThrow(/capture it again/);
    expect(() => received[0]!.x.pointer).toThrow(EpgenStaleError);
    expect(() => combined[0]!.x.pointer).toThrow(EpgenStaleError);
    expect(await failureOf(received[0]!.handle.slot())).toBeInstanceOf(EpgenStaleError);
    graph.dispose();
    const again = await group.capture(pair);
    await expectReplay(again, 2);
  });

  test('a tensor that the graph reads was disposed', async () => {
    const graph = await group.capture(pair);
    await expectReplay(graph, 1);
    inputs.calls[1]!.x.dispose();
    expect(() => graph.replay()).toThrow(
      'Expected perRank[1].x to be a live tensor but received one that was disposed',
    );
  });

  test('ranks that have made different numbers of calls', async () => {
    const graph = await group.capture(pair);
    const ahead = group.ranks[0]!.dispatch(inputs.calls[0]!);
    const message = 'but rank 0 has made 1 dispatches, rank 1 0';
    expect(() => graph.replay()).toThrow(message);
    expect((await failureOf(group.capture(pair))).message).toContain(message);
    await Promise.all([ahead, group.ranks[1]!.dispatch(inputs.calls[1]!)]);
    graph.replay();
    await graph.ended();
  });
});

describe('a capture that is refused leaves everything as it was', () => {
  const rank = () => group.ranks[0]!;
  const call = () => inputs.calls[0]!;
  let ended: Graph;
  beforeEach(async () => {
    ended = await group.capture(() => undefined);
  });
  const refusals: Readonly<Record<string, readonly [() => unknown, string | RegExp]>> = {
    'group.dispatch': [() => group.dispatch(inputs.calls), /group\.dispatch/],
    'rank.dispatch': [() => rank().dispatch(call()), /rank\.dispatch/],
    'rank.tensor': [() => rank().tensor('u8', [4]), /it called rank\.tensor/],
    'a read': [() => call().x.toArray(), /reads memory/],
    'a write': [() => call().x.copyFrom(new Uint16Array(6 * 16)), /writes memory/],
    'a layout query': [() => rank().getDispatchLayout(call()), /getDispatchLayout/],
    'dispose of an input': [() => call().x.dispose(), /dispose\(\) of a tensor/],
    recovery: [() => group.recover(), /group\.recover/],
    'waiting for a graph': [() => ended.ended(), /it called graph\.ended/],
    'a capture in a capture': [() => group.capture(pair), /group\.capture/],
    'a promise': [async () => void pair(), /to return at once but it returned a promise/],
  };

  test.each(Object.keys(refusals))('%s', async (name) => {
    const [use, message] = refusals[name]!;
    const before = nextBlocks();
    const capturing = group.capture(() => {
      pair();
      let result: unknown;
      try {
        result = use();
      } catch {
        // Swallowed: the capture tells of it all the same.
      }
      if (result instanceof Promise) result.catch(() => undefined);
      return name === 'a promise' ? result : undefined;
    });
    const error = await failureOf(capturing);
    expect(error).toBeInstanceOf(EpgenArgumentError);
    expect(error.message).toMatch(message);
    expect(nextBlocks()).toEqual(before);
    await using graph = await group.capture(pair);
    await expectReplay(graph, 3);
  });

  test('an error of the function itself', async () => {
    const before = nextBlocks();
    const capturing = group.capture(() => {
      pair();
      throw new Error('mine');
    });
    expect((await failureOf(capturing)).message).toContain('mine');
    expect(nextBlocks()).toEqual(before);
  });

  test('other calls when it is called again', async () => {
    const small = group.ranks.map((rank, r) =>
      dispatchCall(rank, built.spec, {
        numTokens: 1,
        x: new Uint16Array(16),
        topkIdx: BigInt64Array.of(BigInt(r), -1n),
        topkWeights: new Uint32Array(2),
      }),
    );
    let numRuns = 0;
    const changing = group.capture(() => {
      numRuns += 1;
      pair();
      if (numRuns === 3) group.enqueueDispatch(inputs.calls);
    });
    expect((await failureOf(changing)).message).toMatch(
      /make the same calls each time it is called, but call 5 was none and then dispatch on rank 0/,
    );
    numRuns = 0;
    const shrinking = group.capture(() => {
      numRuns += 1;
      const few = group.ranks.map((_, r) => (numRuns > 1 ? small[r]! : inputs.calls[r]!));
      group.enqueueDispatch(few);
    });
    expect((await failureOf(shrinking)).message).toMatch(/changed from \d+ to \d+ bytes/);
  });

  test('an arena without room', async () => {
    const big: { dispose(): void }[] = [];
    const fill = (numBytes: number) => {
      try {
        for (;;) big.push(group.ranks[0]!.tensor('u8', [numBytes]));
      } catch {
        // The arena is full, but for less than that.
      }
    };
    for (const numBytes of [1 << 24, 1 << 20, 1 << 16, 1 << 12, 256]) fill(numBytes);
    expect((await failureOf(group.capture(pair))).message).toMatch(/arena full/);
    for (const tensor of big) tensor.dispose();
    await using graph = await group.capture(pair);
    await expectReplay(graph, 3);
  });

  test('something else than a function', async () => {
    expect((await failureOf(group.capture(5 as never))).message).toContain(
      'Expected what group.capture takes to be a function but received 5',
    );
  });

  test('the group was disposed', async () => {
    const graph = await group.capture(pair);
    await group.dispose();
    expect(() => graph.replay()).toThrow(/disposed/);
    expect((await failureOf(group.capture(pair))).message).toMatch(/disposed/);
    graph.dispose();
  });
});

test('a graph of calls on four windows is refused, since it would be captured too often', async () => {
  await using wide = await built.open({ windows: 4 });
  const { calls } = new ReplayInputs(wide, built.spec, [6, 3]);
  const failure = await failureOf(
    wide.capture(() => {
      for (const window of [0, 1, 2, 3]) {
        const received = wide.enqueueDispatch(calls.map((call) => ({ ...call, window })));
        wide.enqueueCombine(received.map(({ x, handle }) => ({ x, handle })));
      }
    }),
  );
  expect(failure).toMatchObject({ name: 'EpgenUnsupportedError' });
  expect(failure.message).toContain('at most 256 variants');
  expect(failure.message).toContain('one of 1296');
  // The group goes on as before.
  await wide.dispatch(calls);
});
