import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Group } from '../../../native/index.js';
import { type Built, buildSpec } from '../../support/built.js';
import { launches } from '../../support/exchange.js';
import {
  callHooks,
  combineTokens,
  dispatchTokens,
  drawOutputs,
  drawTokens,
  expectedRows,
  expectLowLatency,
  type Flight,
  outputTensor,
  receivedFlaws,
  sumsFlaws,
} from '../../support/low-latency.js';
import { failureOf } from '../../support/replays.js';

// The life of a hook: called once, twice, late, never, after its group or handle has gone, and in graphs.

const hooks = { returnRecvHook: true };

let built: Built;
let group: Group;

beforeAll(async () => {
  built = await buildSpec({
    ...{ ranks: 2, hidden: 64, experts: 8, topk: 2 },
    ht: { maxTokensPerRank: 8 },
    ll: { maxTokensPerRank: 6, inFlight: 2, stats: true },
    channels: { memory: { count: 2 }, ll: 2 },
    arenaBytes: 2 ** 22,
  });
});
beforeEach(async () => {
  group = await built.open({ seed: 8, deadlineMs: 300 });
});
afterEach(() => group.dispose());

function send(seed: number, options: object | ((rank: number) => object) = hooks): Flight {
  const { spec } = built;
  const inputs = drawTokens(spec, { seed, numTokens: [6, 4], pattern: 'distinct' });
  const want = expectedRows(spec, inputs);
  const received = dispatchTokens(group, spec, inputs, options);
  return { inputs, want, received, outputs: drawOutputs(spec, want, seed) };
}

const sum = (flight: Flight, options: object | ((rank: number) => object) = hooks) =>
  combineTokens(group, built.spec, flight, options);

async function expectRight(flight: Flight, combined = sum(flight, {})) {
  const { received, want } = flight;
  expect(await receivedFlaws(built.spec, 'dispatch', received, want)).toEqual([]);
  expect(await sumsFlaws(built.spec, 'combine', combined, flight)).toEqual([]);
}

async function expectAllRight(of = group) {
  const inputs = drawTokens(built.spec, { seed: 4, numTokens: [5, 2], pattern: 'distinct' });
  await expectLowLatency(built, of, inputs);
}

/** Where the next block of rank 0 would come from. */
function nextBlock(): bigint {
  const probe = group.ranks[0]!.tensor('u8', [1 << 16]);
  const { pointer } = probe;
  probe.dispose();
  return pointer;
}

/** Fills memory that was given back. */
async function overwriteFreeMemory(): Promise<void> {
  for (const rank of group.ranks) {
    const tensors = [16, 256, 512, 1024, 4096].map((size) =>
      rank.tensor('u8', [size], new Uint8Array(size).fill(0xff)),
    );
    await tensors[0]!.toArray();
    for (const tensor of tensors) tensor.dispose();
  }
}

describe('a hook that was not called', () => {
  test('has what a dispatch brings refused; then it is there', async () => {
    const flight = send(1);
    const { x, numTokensPerExpert, handle } = flight.received[0]!;
    expect(() => x.pointer).toThrow(/lowLatencyDispatch was not called: call its hook first/);
    for (const reading of [
      x.toArray(),
      numTokensPerExpert.toArray(),
      handle.slot(),
      handle.srcInfo(),
      handle.layoutRange(),
      handle.numTokensPerExpert(),
    ]) {
      const failure = await failureOf(reading);
      expect(failure).toMatchObject({ code: 'EPGEN_ARGUMENT' });
      expect(failure.message).toMatch(/call its hook first/);
    }
    expect(() => sum(flight, {})).toThrow(
      /Expected perRank\[0\]\.handle to have been received, .*: call its hook first/,
    );
    callHooks(flight.received);
    await expectRight(flight);
  });

  test('has sums refused; then they are there', async () => {
    const flight = send(2, {});
    const outs = group.ranks.map((rank, r) =>
      rank.tensor('bf16', [flight.inputs[r]!.numTokens, 64]),
    );
    const combined = sum(flight, (r) => ({ ...hooks, ...(r === 1 ? { out: outs[1] } : {}) }));
    for (const { x } of combined) {
      expect(() => x.pointer).toThrow(/lowLatencyCombine was not called: call its hook first/);
    }
    callHooks(combined);
    expect(combined[1]!.x.pointer).toBe(outs[1]!.pointer);
    await expectRight(flight, combined);
  });

  test('keeps the window from dispatches that need its buffers', async () => {
    const first = send(1);
    const second = send(2, {});
    const message =
      'Expected at most 2 low-latency dispatches in flight on rank 0 (ll.inFlight), but the hook of number 1 was not called before number 3';
    expect(() => send(3)).toThrow(message);
    expect(() => send(3, {})).toThrow(message);
    first.received[0]!.hook!();
    // The other rank still has to.
    expect(() => send(3)).toThrow(/on rank 1 \(ll\.inFlight\)/);
    first.received[1]!.hook!();
    await expectRight(second);
    await expectRight(send(3, {}));
  });

  test('keeps it from combines that need its buffers, and their input', async () => {
    const flights = [send(1, {}), send(2, {})] as const;
    const sums = flights.map((flight) => sum(flight));
    const message = /at most 2 low-latency combines in flight on rank 0 .* the hook of number 1/;
    expect(() => sum(flights[0], {})).toThrow(message);
    const { handle } = flights[0].received[0]!;
    const next = () => group.ranks[0]!.getNextLowLatencyCombineBuffer(handle);
    expect(next).toThrow(message);
    callHooks(sums[0]!);
    expect(next().pointer).toBeGreaterThan(0n);
    // The second, which is under way, is no hindrance.
    expect(await sumsFlaws(built.spec, 'again', sum(flights[0], {}), flights[0])).toEqual([]);
    callHooks(sums[1]!);
    expect(await sumsFlaws(built.spec, 'first', sums[0]!, flights[0])).toEqual([]);
    expect(await sumsFlaws(built.spec, 'second', sums[1]!, flights[1])).toEqual([]);
  });

  test('keeps its handle from another combine', async () => {
    const flight = send(1, {});
    const combined = sum(flight);
    const message =
      'Expected perRank[0].handle to have no combine in flight, but one of it was not received: call its hook first';
    expect(() => sum(flight)).toThrow(message);
    expect(() => sum(flight, {})).toThrow(message);
    callHooks(combined);
    await expectRight(flight, combined);
  });

  test('of one rank is no hindrance to others', async () => {
    const flight = send(1);
    flight.received[1]!.hook!();
    const { numTokensPerExpert } = flight.received[1]!;
    expect(await numTokensPerExpert.toArray()).toEqual(flight.want[1]!.numTokensPerExpert);
    flight.received[0]!.hook!();
    await expectRight(flight);
  });

  test('holds no other call up: high-throughput ones go on, and the group can be disposed', async () => {
    send(1);
    const { spec } = built;
    const calls = group.ranks.map((rank) => ({
      x: rank.tensor('bf16', [1, spec.hidden], new Uint16Array(64)),
      topkIdx: rank.tensor('i64', [1, 2], [0, 5]),
      topkWeights: rank.tensor('f32', [1, 2], [1, 1]),
    }));
    const received = await group.dispatch(calls as never);
    expect(received.map(({ x }) => x.shape[0])).toEqual([2, 2]);
    await group.dispose();
  });
});

describe('a hook that is called', () => {
  test('twice, or after the memory went, does nothing', async () => {
    const flight = send(1);
    callHooks(flight.received);
    const combined = sum(flight);
    callHooks(combined);
    const before = launches(group);
    callHooks(flight.received);
    callHooks(combined);
    expect(launches(group)).toEqual(before);
    await expectRight(flight, combined);
    for (let seed = 2; seed < 7; seed++) send(seed, {});
    flight.received[0]!.handle.dispose();
    callHooks(flight.received);
    await group.recover();
    callHooks(combined);
    await expectAllRight();
    await group.dispose();
    callHooks(combined);
  });

  test('after recover() is stale, and the next calls are free to go', async () => {
    const flight = send(1, {});
    const combined = sum(flight);
    const [second, third] = [send(2), send(3)];
    await group.recover();
    for (const { hook } of [...combined, ...second.received]) {
      expect(hook!).toThrow(expect.objectContaining({ code: 'EPGEN_STALE' }));
      expect(hook!).toThrow(/Expected the hook to be live, but the group was recovered since its/);
    }
    expect(() => third.received[0]!.x.pointer).toThrow(/recovered/);
    await expectAllRight();
    const again = [send(4), send(5)] as const;
    for (const { received } of again) callHooks(received);
    for (const one of again) await expectRight(one);
  });

  test('after dispose() of its group, or while it recovers, says so', async () => {
    const flight = send(1);
    const recovering = group.recover();
    expect(flight.received[0]!.hook!).toThrow(expect.objectContaining({ code: 'EPGEN_ABORTED' }));
    await recovering;
    const other = send(2);
    await group.dispose();
    expect(other.received[0]!.hook!).toThrow(expect.objectContaining({ code: 'EPGEN_DISPOSED' }));
  });

  test('after a call was given up: as that was, until the group recovers', async () => {
    const [rank] = group.ranks;
    const { x, hook } = rank!.lowLatencyDispatch({
      ...hooks,
      x: rank!.tensor('bf16', [1, 64]),
      topkIdx: rank!.tensor('i64', [1, 2], [0, 5]),
    } as never) as never as { x: { toArray(): Promise<unknown> }; hook: () => void };
    hook();
    expect((await failureOf(x.toArray())).code).toMatch(/EPGEN_(TIMEOUT|ABORTED)/);
    expect(() => send(2)).toThrow(expect.objectContaining({ code: 'EPGEN_ABORTED' }));
    await group.recover();
    await expectAllRight();
  });

  test('after a call was given up: as that was, like calls that more would be wrong with', async () => {
    const flight = send(1, {});
    const views = group.ranks.map((rank, r) =>
      rank.getNextLowLatencyCombineBuffer(flight.received[r]!.handle),
    );
    // As many as may be in flight; then rank 0 is ahead of the other, which never comes.
    const sent = [...send(2).received, ...send(3).received];
    const [rank] = group.ranks;
    const alone = rank!.dispatch({
      x: rank!.tensor('bf16', [1, 64]),
      topkIdx: rank!.tensor('i64', [1, 2], [0, 5]),
      topkWeights: rank!.tensor('f32', [1, 2], [1, 1]),
    } as never);
    expect((await failureOf(alone)).code).toBe('EPGEN_TIMEOUT');
    const before = launches(group);
    const aborted = expect.objectContaining({
      code: 'EPGEN_ABORTED',
      message: expect.stringMatching(/gave up after an earlier error: dispatch was given up/),
      cause: expect.objectContaining({
        detail: { cause: expect.objectContaining({ code: 'EPGEN_TIMEOUT' }) },
      }),
    });
    expect(() => send(4)).toThrow(aborted);
    expect(() => sum(flight, (r) => ({ x: views[r] }))).toThrow(aborted);
    for (const { hook } of sent) expect(hook!).toThrow(aborted);
    expect(launches(group)).toEqual(before);
    expect(views.map(({ pointer }) => pointer > 0n)).toEqual([true, true]);
    await group.recover();
    await expectAllRight();
  });

  test('on another stream than the send: the receive comes after it, and what follows after that', async () => {
    for (let seed = 0; seed < 6; seed++) {
      const streams = group.ranks.map((rank) => rank.createStream());
      const flight = send(seed, (r) => ({ ...hooks, stream: streams[r] }));
      callHooks(flight.received);
      const combined = sum(flight, (r) => ({ ...hooks, stream: streams[r] }));
      callHooks(combined);
      await expectRight(flight, combined);
      for (const stream of streams) stream.dispose();
    }
  });

  test('after that stream was disposed: the receive comes after what it still has', async () => {
    const streams = group.ranks.map((rank) => rank.createStream());
    const flight = send(1, (r) => ({ ...hooks, stream: streams[r] }));
    for (const stream of streams) stream.dispose();
    callHooks(flight.received);
    await expectRight(flight);
    // Numbers of streams come again.
    const again = group.ranks.map((rank) => rank.createStream());
    const other = send(2, (r) => ({ stream: again[r] }));
    await expectRight(other);
  });

  test('with a call on the stream of the window before it', async () => {
    for (let seed = 0; seed < 6; seed++) {
      const first = send(seed);
      const second = send(seed + 10, { asyncFinish: true });
      callHooks(first.received);
      const sums = [sum(first, { asyncFinish: true }), sum(second, { asyncFinish: true })] as const;
      await expectRight(first, sums[0]);
      await expectRight(second, sums[1]);
    }
  });
});

describe('memory that a receive needs', () => {
  test('stays when the handle is disposed before the hook', async () => {
    const before = nextBlock();
    const flight = send(1, {});
    const view = outputTensor(group.ranks[0]!, built.spec);
    view.dispose();
    const combined = sum(flight);
    for (const { handle } of flight.received) handle.dispose();
    await overwriteFreeMemory();
    callHooks(combined);
    expect(await sumsFlaws(built.spec, 'sums', combined, flight)).toEqual([]);
    for (const { x } of combined) x.dispose();
    expect(nextBlock()).toBeGreaterThanOrEqual(before);
    expect((await failureOf(flight.received[0]!.handle.slot())).message).toMatch(/disposed/);
  });

  test('stays when a dispatch is not received yet, and goes back once it is', async () => {
    const { spec } = built;
    const inputs = drawTokens(spec, { seed: 1, numTokens: [6, 4], pattern: 'distinct' });
    const want = expectedRows(spec, inputs);
    const probe = nextBlock();
    const calls = group.ranks.map((rank, r) => ({
      x: rank.tensor('bf16', [inputs[r]!.numTokens, 64], inputs[r]!.x),
      topkIdx: rank.tensor('i64', [inputs[r]!.numTokens, 2], inputs[r]!.topkIdx as never),
      ...hooks,
    }));
    const received = group.lowLatencyDispatch(calls as never);
    for (const { x, topkIdx } of calls) {
      x.dispose();
      topkIdx.dispose();
    }
    for (const { handle } of received) handle.dispose();
    expect(nextBlock()).not.toBe(probe);
    await overwriteFreeMemory();
    for (const { hook } of received) hook!();
    expect(nextBlock()).toBe(probe);
    const [got] = received;
    const x = await got!.x.toArray();
    const row = 12 * 64;
    const counts = want[0]!.numTokensPerExpert;
    counts.forEach((count, expert) => {
      const rows = (bits: ArrayLike<number>) =>
        Array.from(bits).slice(expert * row, expert * row + count * 64);
      expect(rows(x as Uint16Array)).toEqual(rows(want[0]!.x as Uint16Array));
    });
  });

  test('goes back when the group recovers, whoever keeps the hook', async () => {
    const calls = group.ranks.map((rank) => ({
      x: rank.tensor('bf16', [1, 64], new Uint16Array(64)),
      topkIdx: rank.tensor('i64', [1, 2], [0, 5]),
      ...hooks,
    }));
    const before = nextBlock();
    const received = group.lowLatencyDispatch(calls as never);
    received[0]!.handle.dispose();
    expect(nextBlock()).not.toBe(before);
    await group.recover();
    received[0]!.handle.dispose();
    expect(nextBlock()).toBe(before);
    expect(received[0]!.hook!).toThrow(/recovered/);
  });

  test('stays where it is only pointed to, whatever is disposed', async () => {
    const stats = group.ranks.map((rank) => rank.tensor('i64', [4], [0, 0, 0, 0]));
    const parts = stats.map(({ pointer }, r) =>
      group.ranks[r]!.tensorFromPointer('i64', [2], pointer + 16n),
    );
    const flight = send(1, (r) => ({ ...hooks, waitStats: parts[r] }));
    stats[0]!.dispose();
    parts[0]!.dispose();
    const values = group.ranks.map((rank) => rank.tensor('i64', [4], [7, 7, 7, 7]));
    callHooks(flight.received);
    for (const tensor of values)
      expect(await tensor.toArray()).toEqual(new BigInt64Array(4).fill(7n));
    const waited = await stats[1]!.toArray();
    expect(waited.subarray(0, 2)).toEqual(BigInt64Array.of(0n, 0n));
    expect(waited[2]! >= 0n).toBe(true);
    await expectRight(flight);
  });

  test('sums that were disposed before the hook', async () => {
    const flight = send(1, {});
    const combined = sum(flight);
    combined[0]!.x.dispose();
    await overwriteFreeMemory();
    callHooks(combined);
    expect((await failureOf(combined[0]!.x.toArray())).message).toMatch(/disposed/);
    const other = [combined[1]!];
    expect(await other[0]!.x.toArray()).toBeInstanceOf(Uint16Array);
    await expectRight(flight);
  });
});

describe('in graphs', () => {
  test('hooks are called inside, and replays receive', async () => {
    const { spec } = built;
    const inputs = drawTokens(spec, { seed: 3, numTokens: [6, 4], pattern: 'distinct' });
    const want = expectedRows(spec, inputs);
    const outputs = drawOutputs(spec, want, 3);
    const tensors = group.ranks.map((rank, r) => ({
      x: rank.tensor('bf16', [inputs[r]!.numTokens, 64], inputs[r]!.x),
      topkIdx: rank.tensor('i64', [inputs[r]!.numTokens, 2], inputs[r]!.topkIdx as never),
      topkWeights: rank.tensor(
        'f32',
        [inputs[r]!.numTokens, 2],
        new Float32Array(inputs[r]!.topkWeights.slice().buffer),
      ),
      y: outputTensor(rank, spec, outputs[r]),
    }));
    await using graph = await group.capture(() => {
      const received = group.lowLatencyDispatch(
        tensors.map(({ x, topkIdx }) => ({ x, topkIdx, ...hooks })) as never,
      );
      expect(() => received[0]!.x.pointer).toThrow(/call its hook first/);
      for (const { hook } of received) hook!();
      const combined = group.lowLatencyCombine(
        tensors.map(({ y, topkWeights }, r) => {
          return { x: y, topkWeights, handle: received[r]!.handle, ...hooks };
        }) as never,
      );
      for (const { hook } of combined) hook!();
      return { received, combined };
    });
    for (let replay = 0; replay < 9; replay++) {
      const { received, combined } = graph.replay();
      // They were, in the capture.
      callHooks(received);
      callHooks(combined);
      const flight = { inputs, want, received, outputs };
      expect(await receivedFlaws(spec, `replay ${replay}`, received, want)).toEqual([]);
      expect(await sumsFlaws(spec, `replay ${replay}`, combined, flight)).toEqual([]);
      if (replay % 3 === 1) await expectAllRight();
    }
  });

  /** Tensors that captured calls name. */
  function tokens() {
    return group.ranks.map((rank) => ({
      x: rank.tensor('bf16', [1, 64], new Uint16Array(64)),
      topkIdx: rank.tensor('i64', [1, 2], [0, 5]),
    }));
  }

  /** The same of a combine. */
  function sums(received: readonly { readonly handle: unknown }[]) {
    return group.ranks.map((rank, r) => ({
      x: outputTensor(rank, built.spec),
      topkWeights: rank.tensor('f32', [1, 2], [1, 1]),
      handle: received[r]!.handle,
    }));
  }

  test('a hook that the function does not call is refused at its end', async () => {
    const calls = tokens().map((call) => ({ ...call, ...hooks }));
    const failure = await failureOf(
      group.capture(() => {
        const [, second] = group.lowLatencyDispatch(calls as never);
        second!.hook!();
      }),
    );
    expect(failure.message).toContain(
      'Expected the function of group.capture to call the hook of every call that it makes, but not that of a lowLatencyDispatch on rank 0',
    );
    await expectAllRight();
  });

  test('the hook of a call that was made before is refused inside, and still goes outside', async () => {
    const flight = send(1);
    const failure = await failureOf(
      group.capture(() => {
        try {
          flight.received[0]!.hook!();
        } catch {
          // Told at the end all the same.
        }
      }),
    );
    expect(failure.message).toContain('it called the hook of a call that was made elsewhere');
    callHooks(flight.received);
    await expectRight(flight);
  });

  test('a captured hook that is called after the function is refused', async () => {
    const calls = tokens().map((call) => ({ ...call, ...hooks }));
    let hook: (() => void) | null = null;
    const capturing = group.capture(() => {
      hook = group.lowLatencyDispatch(calls as never)[0]!.hook;
    });
    await failureOf(capturing);
    expect(hook).toThrow(
      'Expected the hook of a captured lowLatencyDispatch to be called in the function of group.capture',
    );
  });

  test("a rank's own call inside is refused", async () => {
    const [call] = tokens();
    const failure = await failureOf(
      group.capture(() => group.ranks[0]!.lowLatencyDispatch(call as never)),
    );
    expect(failure.message).toContain('it called rank.lowLatencyDispatch');
  });

  test('more sends than may be in flight are refused inside, whatever is under way outside', async () => {
    const calls = tokens().map((call) => ({ ...call, ...hooks }));
    const outside = send(1);
    const failure = await failureOf(
      group.capture(() => {
        for (let i = 0; i < 3; i++) group.lowLatencyDispatch(calls as never);
      }),
    );
    expect(failure.message).toMatch(/at most 2 low-latency dispatches in flight on rank 0/);
    callHooks(outside.received);
    await expectRight(outside);
  });

  test('a replay is refused while a hook outside keeps its buffers', async () => {
    const calls = tokens();
    await using one = await group.capture(() => group.lowLatencyDispatch(calls as never));
    await using two = await group.capture(() => [
      group.lowLatencyDispatch(calls as never),
      group.lowLatencyDispatch(calls as never),
    ]);
    one.replay();
    const flight = send(1);
    const message = /at most 2 low-latency dispatches in flight on rank 0/;
    expect(() => two.replay()).toThrow(message);
    one.replay();
    expect(() => one.replay()).toThrow(message);
    callHooks(flight.received);
    await expectRight(flight);
    two.replay();
    one.replay();
    await one.ended();
    await expectAllRight();
  });

  test('a replay is refused while a hook outside needs the handles that it overwrites', async () => {
    const calls = tokens();
    const graph = await group.capture(() => group.lowLatencyDispatch(calls as never));
    const received = graph.replay();
    const combined = group.lowLatencyCombine(
      sums(received).map((call) => ({ ...call, ...hooks })) as never,
    );
    expect(() => graph.replay()).toThrow(
      "Expected the hooks of all calls that use the graph's handles to be called before it is replayed, but that of a lowLatencyCombine on rank 0 was not",
    );
    for (const { hook } of combined) hook!();
    graph.replay();
    const last = group.lowLatencyCombine(
      sums(graph.replay()).map((call) => ({ ...call, ...hooks })) as never,
    );
    // Its memory stays until nothing needs it.
    graph.dispose();
    await overwriteFreeMemory();
    for (const { hook } of last) hook!();
    expect(await last[0]!.x.toArray()).toHaveLength(64);
    await expectAllRight();
  });

  test('a replay of a combine is refused while another one of the handle is not received', async () => {
    const received = group.lowLatencyDispatch(tokens() as never);
    const calls = sums(received);
    await using graph = await group.capture(() => group.lowLatencyCombine(calls as never));
    const combined = group.lowLatencyCombine(calls.map((call) => ({ ...call, ...hooks })) as never);
    expect(() => graph.replay()).toThrow(/handle to have no combine in flight/);
    for (const { hook } of combined) hook!();
    graph.replay();
    await graph.ended();
  });

  test('ranks that are not at one place are told apart by kind of call', async () => {
    group.ranks[1]!.lowLatencyDispatch(tokens()[1] as never);
    const failure = await failureOf(group.capture(() => undefined));
    expect(failure.message).toContain('rank 0 has made 0 low-latency dispatches, rank 1 1');
  });
});
