import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { EpgenStaleError } from '../../native/index.js';
import { dispatchCall, type FakeRawGroup } from './fake-addon.js';
import {
  both,
  type Combined,
  call,
  combine,
  hooked,
  type Low,
  open,
  send,
  sums,
} from './low-latency-fake.js';

// What low-latency calls may use, until when, and what they leave behind.

/** Collects until blocks are given back. */
async function expectFreed(raw: FakeRawGroup, blocks: readonly bigint[]): Promise<void> {
  const missing = async () => {
    await collect();
    return blocks.filter((block) => !raw.freed.includes(block));
  };
  await expect.poll(missing, { interval: 1 }).toEqual([]);
}

async function collect(): Promise<void> {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  gc();
  await new Promise((resolve) => setTimeout(resolve, 1));
}

describe('sums of a graph that lie in a tensor of the caller', () => {
  async function capture(group: Low) {
    const calls = both((r) => call(group, r));
    const combines = both((r) => ({
      x: group.ranks[r]!.tensor('bf16', [2, 8, 16]),
      topkWeights: group.ranks[r]!.tensor('f32', [1, 2]),
      out: group.ranks[r]!.tensor('bf16', [1, 16]),
    }));
    const runs: Combined[][] = [];
    const graph = await group.capture(() => {
      const received = group.lowLatencyDispatch(calls);
      const combined = group.lowLatencyCombine(
        both((r) => ({ ...combines[r]!, handle: received[r]!.handle })),
      );
      runs.push(combined);
      return combined;
    });
    return { graph, runs, out: combines[0].out };
  }

  it('are there from a replay until the group recovers', async () => {
    const { group } = open();
    const { graph, runs, out } = await capture(group);
    expect(() => runs[0]![0]!.x.pointer).toThrow(EpgenStaleError);
    expect(() => runs[0]![0]!.x.pointer).toThrow('its graph has not been replayed yet');
    const [{ x } = { x: out }] = graph.replay();
    expect(x.pointer).toBe(out.pointer);
    x.dispose();
    expect(x.pointer).toBe(out.pointer);
    await group.recover();
    expect(() => x.pointer).toThrow(EpgenStaleError);
    expect(() => x.pointer).toThrow('the group was recovered since');
    expect(out.pointer).toBeGreaterThan(0n);
  });

  it('go with the graph', async () => {
    const { group } = open();
    const { graph, out } = await capture(group);
    const [combined] = graph.replay();
    graph.dispose();
    expect(() => combined!.x.pointer).toThrow('its graph was disposed');
    expect(out.pointer).toBeGreaterThan(0n);
  });
});

it('a disposed graph goes back once, however much of it a hook has kept', async () => {
  const { group, raw } = open();
  const calls = both((r) => call(group, r));
  const inputs = both((r) => ({
    x: group.ranks[r]!.tensor('bf16', [2, 8, 16]),
    topkWeights: group.ranks[r]!.tensor('f32', [1, 2]),
  }));
  const graph = await group.capture(() => {
    const received = group.lowLatencyDispatch(calls);
    const combines = both((r) => ({ ...inputs[r]!, handle: received[r]!.handle }));
    return { received, combined: group.lowLatencyCombine(combines) };
  });
  const { received, combined } = graph.replay();
  // Both the handle and the tensor for the sums are the graph's.
  const [summed] = combine(group, received, { ...hooked, out: combined[0]!.x });
  graph.dispose();
  expect(raw.freedGraphs).toEqual([]);
  summed!.hook!();
  expect(raw.freedGraphs).not.toEqual([]);
  expect(raw.freedGraphs).toEqual([...new Set(raw.freedGraphs)]);
});

describe('memory of a call', () => {
  it.each([
    ['with a hook that was called', hooked],
    ['of one launch', {}],
  ])('%s goes, though its sums are kept', async (_, options) => {
    const { group, raw } = open();
    const run = () => {
      const received = send(group);
      const calls = received.map(({ handle }, r) => ({ ...sums(group, r, handle), ...options }));
      const pointers = calls.flatMap(({ x, topkWeights }) => [x.pointer, topkWeights.pointer]);
      pointers.push(received[0]!.numTokensPerExpert.pointer - 64n);
      const combined = group.lowLatencyCombine(calls as never) as never as Combined[];
      const hooks = combined.map(({ hook }) => hook);
      for (const hook of hooks) hook?.();
      return { pointers, kept: [combined.map(({ x }) => x), hooks] };
    };
    const { pointers, kept } = run();
    await expectFreed(raw, pointers);
    expect(kept).toHaveLength(2);
  });

  it('of a dispatch goes, though its hook is kept', async () => {
    const { group, raw } = open();
    const run = () => {
      const calls = both((r) => ({ ...call(group, r), ...hooked }));
      const pointers = calls.flatMap(({ x, topkIdx }) => [x.pointer, topkIdx.pointer]);
      const received = group.lowLatencyDispatch(calls);
      pointers.push(received[0]!.handle && launchedHandle(raw));
      const hooks = received.map(({ hook }) => hook);
      for (const hook of hooks) hook();
      return { pointers, hooks };
    };
    const { pointers, hooks } = run();
    await expectFreed(raw, pointers);
    expect(() => hooks[0]!()).not.toThrow();
  });

  it('whose hook was never called goes at a recovery, though the hook is kept', async () => {
    const { group, raw } = open();
    const run = () => {
      const hooks = send(group, hooked).map(({ hook }) => hook);
      return { hooks, handle: launchedHandle(raw) };
    };
    const { hooks, handle } = run();
    await collect();
    expect(raw.freed).not.toContain(handle);
    await group.recover();
    await expectFreed(raw, [handle]);
    expect(hooks[0]).toThrow('the group was recovered since its lowLatencyDispatch');
  });

  it('of a capture that failed goes at once, though what it gave is kept', async () => {
    const { group, raw } = open();
    const eager = send(group);
    const calls = both((r) => ({ ...call(group, r), ...hooked }));
    const x = both((r) => sums(group, r, eager[r]!.handle));
    const kept: unknown[] = [];
    const before = new Set(raw.blocks.keys());
    const capturing = group.capture(() => {
      kept.push(group.lowLatencyDispatch(calls));
      kept.push(group.lowLatencyCombine(both((r) => ({ ...x[r]!, ...hooked }))));
    });
    await expect(capturing).rejects.toThrow('to call the hook of every call that it makes');
    expect([...raw.blocks.keys()].filter((block) => !before.has(block))).toEqual([]);
    const handle = eager[0]!.numTokensPerExpert.pointer - 64n;
    eager[0]!.handle.dispose();
    expect(raw.freed).toContain(handle);
    expect(kept).toHaveLength(2);
  });

  function launchedHandle(raw: FakeRawGroup): bigint {
    return (raw.launches.find(({ op }) => op === 'llDispatch')!.call as { handle: bigint }).handle;
  }
});

describe('a hook goes', () => {
  it('after its stream was disposed, behind what that stream has', () => {
    const { group, raw } = open();
    const stream = group.ranks[0]!.createStream();
    const [received] = group.lowLatencyDispatch([
      { ...call(group, 0), ...hooked, stream },
      call(group, 1),
    ] as const);
    raw.orders.length = 0;
    stream.dispose();
    stream.dispose();
    expect(() => stream.record()).toThrow('disposed');
    expect(raw.orders).toEqual([]);
    received!.hook!();
    expect(raw.orders).toEqual([
      ...['rank 0: event 3 on 5', 'rank 0: 0 waits for event 3'],
      ...['rank 0: llDispatch receive on 0', 'rank 0: event 4 on 0'],
      ...['rank 0: 5 waits for event 4', 'close 5'],
    ]);
    stream.dispose();
    expect(raw.orders.at(-2)).not.toBe('close 5');
  });

  it('or a recovery closes that stream, once', async () => {
    const { group, raw } = open();
    const stream = group.ranks[0]!.createStream();
    const calls = [{ ...call(group, 0), ...hooked, stream }, call(group, 1)] as const;
    group.lowLatencyDispatch(calls);
    group.lowLatencyDispatch(calls);
    stream.dispose();
    expect(raw.orders).not.toContain('close 5');
    await group.recover();
    expect(raw.orders.filter((order) => order === 'close 5')).toHaveLength(1);
  });

  it('after tensors that point into memory of others, and those, were disposed', () => {
    const { group, raw } = open();
    const received = send(group);
    const memory = group.ranks[0]!.tensor('bf16', [4, 16]);
    const { pointer } = memory;
    const out = group.ranks[0]!.tensorFromPointer('bf16', [1, 16], pointer + 32n);
    const [combined] = combine(group, received, { ...hooked, out });
    out.dispose();
    memory.dispose();
    expect(raw.freed).not.toContain(pointer);
    combined!.hook!();
    expect(raw.freed).toContain(pointer);
  });

  it('not after memory went that nothing can keep: says how to go on', async () => {
    const { group, raw } = open();
    raw.refusal = () => null;
    const out = group.ranks[0]!.tensorFromPointer('bf16', [1, 16], 1n << 40n);
    const [combined] = combine(group, send(group), { ...hooked, out });
    raw.refusal = () => 'no memory any more';
    expect(combined!.hook!).toThrow(EpgenStaleError);
    expect(combined!.hook!).toThrow(
      'Expected perRank[0].out to be live, but the memory that it pointed to was freed\nThe call can not be received any more: await group.recover() gives it up.',
    );
    await group.recover();
    combine(group, send(group));
  });

  it.each(['out', 'topkWeights'])('not with a view of the window as %s', async (name) => {
    const { group, raw } = open();
    const ht = await group.dispatch(both((r) => dispatchCall(group as never, r, 3)));
    const view = {
      out: () => group.ranks[0]!.combineInput(ht[0]!.handle),
      topkWeights: () => ht[0]!.topkWeights,
    }[name]!();
    const received = group.lowLatencyDispatch(both((r) => call(group, r, 3)));
    raw.launches.length = 0;
    expect(() => combine(group, received, { ...hooked, [name]: view })).toThrow(
      `Expected perRank[0].${name} to last until the hook is called but received a view of the window, whose memory goes to later calls\nGive a tensor of rank.tensor, or make the call without returnRecvHook.`,
    );
    expect(raw.launches).toEqual([]);
    combine(group, received, { [name]: view });
  });
});

it('after a recovery, sums whose hook was not called are stale, as the hook is', async () => {
  const { group } = open();
  const [combined] = combine(group, send(group), hooked);
  await group.recover();
  expect(() => combined!.x.pointer).toThrow(EpgenStaleError);
  expect(() => combined!.x.pointer).toThrow(
    'Expected the tensor to be live, but the group was recovered before the hook of its lowLatencyCombine was called',
  );
  expect(combined!.hook!).toThrow(EpgenStaleError);
});

describe('the buffer that a handle got', () => {
  const message =
    'Expected perRank[0].x to be the buffer of perRank[0].handle but received what rank.getNextLowLatencyCombineBuffer gave for another handle';

  it('is not another one’s once that handle was collected', async () => {
    const { group, raw } = open();
    const dropped = () => {
      const received = send(group);
      const pointer = received[0]!.numTokensPerExpert.pointer - 64n;
      return { pointer, x: group.ranks[0]!.getNextLowLatencyCombineBuffer(received[0]!.handle) };
    };
    const { pointer, x } = dropped();
    const received = send(group);
    expect(() => combine(group, received, { x })).toThrow(message);
    await expectFreed(raw, [pointer]);
    expect(() => combine(group, received, { x })).toThrow(message);
  });

  it('is anyone’s again for the next combine, and after a recovery', async () => {
    const { group, raw } = open();
    const [first, second] = [send(group), send(group)];
    const x = group.ranks[0]!.getNextLowLatencyCombineBuffer(first[0]!.handle);
    combine(group, first, { x });
    // By its address: nobody has asked for it.
    const next = (n: bigint) =>
      group.ranks[0]!.tensorFromPointer('bf16', [2, 8, 16], raw.windowBase(0) + 6144n + n * 512n);
    combine(group, second, { x: next(1n) });
    await group.recover();
    const [, other] = [send(group), send(group)];
    combine(group, other, { x: next(0n) });
  });
});
