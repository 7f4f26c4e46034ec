import { describe, expect, it } from 'vitest';
import type { RawLlCombineCall, RawLlDispatchCall } from '../../native/addon-types.js';
import { createGroup } from '../../native/group.js';
import { GroupState } from '../../native/group-state.js';
import { FakeRawGroup, rawError } from './fake-addon.js';
import { call, low, module, open, sums } from './low-latency-fake.js';

// What the addon hears of low-latency calls, on which streams, and where results lie.

/** What rank 0 launched since the last time. */
function launchesOf(raw: FakeRawGroup) {
  const launches = raw.launches.filter(({ rank }) => rank === 0);
  raw.launches.length = 0;
  return launches.map(({ op, call }) => ({ op, call }));
}

/** What rank 0 put in order since the last time. */
function ordersOf(raw: FakeRawGroup): string[] {
  const orders = raw.orders.filter((text) => text.startsWith('rank 0: '));
  raw.orders.length = 0;
  return orders.map((text) => text.slice('rank 0: '.length));
}

describe('a dispatch', () => {
  it('is one launch, with all that it needs', () => {
    const { group, raw } = open();
    const stats = group.ranks[0]!.tensor('i32', [2]);
    const times = group.ranks[0]!.tensor('i64', [2]);
    const first = { ...call(group, 0, 3), cumulativeStats: stats, waitStats: times };
    const [received] = group.lowLatencyDispatch([first, call(group, 1)]);
    expect(launchesOf(raw)).toEqual([
      {
        op: 'llDispatch',
        call: {
          phases: 'both',
          numTokens: 3,
          x: first.x.pointer,
          topkIdx: first.topkIdx.pointer,
          handle: received!.numTokensPerExpert.pointer - 64n,
          expertStats: stats.pointer,
          waitStats: times.pointer,
          grid: 2,
          window: 0,
          stream: 0,
        },
      },
    ]);
    const base = raw.windowBase(0);
    expect([received!.x.pointer, received!.x.shape]).toEqual([base + 3840n, [2, 8, 16]]);
    expect(received!.hook).toBe(null);
    expect(raw.blocks.get(received!.numTokensPerExpert.pointer - 64n)).toBe(256 + 3 * 2 * 4);
    const [second] = group.lowLatencyDispatch([call(group, 0), call(group, 1)]);
    expect(second!.x.pointer).toBe(base + 3840n + 512n);
  });

  it('with a hook sends without what the receive needs, and receives without the tokens', () => {
    const { group, raw } = open();
    const waitStats = group.ranks[0]!.tensor('i64', [2]);
    const calls = [
      { ...call(group, 0), waitStats, numChannels: 3, returnRecvHook: true },
      call(group, 1),
    ] as const;
    const [received] = group.lowLatencyDispatch(calls);
    const [send] = launchesOf(raw);
    expect(send!.call).toMatchObject({ phases: 'send', grid: 3, x: calls[0].x.pointer });
    expect(send!.call).not.toHaveProperty('waitStats');
    received!.hook?.();
    received!.hook?.();
    const receives = launchesOf(raw);
    expect(receives).toHaveLength(1);
    const { handle } = send!.call as RawLlDispatchCall;
    expect(receives[0]!.call).toEqual({
      ...{ phases: 'receive', numTokens: 1, handle, grid: 1, window: 0, stream: 0 },
      waitStats: waitStats.pointer,
    });
  });

  it('uses as many channels as it has tokens, and no fewer than ranks, on cuda', () => {
    const raw = new FakeRawGroup();
    const wide = {
      ...module,
      spec: { ...low, channels: { ...low.channels, ll: 'chip' } },
      sizes: { ...module.sizes, numLlChannels: 4 },
    } as const;
    const state = new GroupState(wide, raw, { backend: 'cuda', numWindows: 1 });
    const group = createGroup<typeof wide.spec>({
      state,
      devices: [0, 1],
      backendReason: 'a test',
    });
    for (const numTokens of [0, 1, 2, 3, 4]) {
      group.lowLatencyDispatch(group.ranks.map((_, r) => call(group as never, r, numTokens)));
    }
    const grids = launchesOf(raw).map(({ call }) => (call as RawLlDispatchCall).grid);
    expect(grids).toEqual([2, 2, 2, 3, 4]);
  });
});

describe('a combine', () => {
  it('stages any tensor in the next buffer, and reads that buffer in place', () => {
    const { group, raw } = open();
    const received = group.lowLatencyDispatch([call(group, 0, 2), call(group, 1)]);
    launchesOf(raw);
    const calls = received.map(({ handle }, r) => sums(group, r, handle));
    const [combined] = group.lowLatencyCombine(calls);
    const handle = received[0]!.numTokensPerExpert.pointer - 64n;
    expect(launchesOf(raw)).toEqual([
      {
        op: 'llStage',
        call: {
          ...{ handle, x: calls[0]!.x.pointer, outputOffset: 6144n },
          ...{ grid: 1, window: 0, stream: 0 },
        },
      },
      {
        op: 'llCombine',
        call: {
          ...{ phases: 'both', numTokens: 2, handle, inputOffset: 6144n },
          ...{ topkWeights: calls[0]!.topkWeights.pointer, out: combined!.x.pointer },
          ...{ grid: 2, window: 0, stream: 0 },
        },
      },
    ]);
    const x = group.ranks[0]!.getNextLowLatencyCombineBuffer(received[0]!.handle);
    expect(x.pointer).toBe(raw.windowBase(0) + 6144n + 512n);
    group.lowLatencyCombine([{ ...calls[0]!, x }, calls[1]!]);
    expect(launchesOf(raw)).toMatchObject([
      { op: 'llCombine', call: { inputOffset: 6144n + 512n } },
    ]);
  });

  it('with a hook sends with one block, and receives with all', () => {
    const { group, raw } = open();
    const received = group.lowLatencyDispatch([call(group, 0), call(group, 1)]);
    const out = group.ranks[0]!.tensor('bf16', [1, 16]);
    const calls = received.map(({ handle }, r) => sums(group, r, handle));
    launchesOf(raw);
    const [combined] = group.lowLatencyCombine([
      { ...calls[0]!, out, returnRecvHook: true },
      calls[1]!,
    ]);
    combined!.hook?.();
    const [, send, receive] = launchesOf(raw);
    expect(send!.call).toEqual({
      ...{ phases: 'send', numTokens: 1, handle: (send!.call as RawLlCombineCall).handle },
      ...{ inputOffset: 6144n, grid: 1, window: 0, stream: 0 },
    });
    expect(receive!.call).toEqual({
      ...{ phases: 'receive', numTokens: 1, handle: (send!.call as RawLlCombineCall).handle },
      ...{ topkWeights: calls[0]!.topkWeights.pointer, out: out.pointer },
      ...{ grid: 2, window: 0, stream: 0 },
    });
    expect(combined!.x.pointer).toBe(out.pointer);
    combined!.x.dispose();
    expect(out.pointer).toBeGreaterThan(0n);
  });

  it('that failed is what reading its sums reports, also where the read failed of it', async () => {
    const { group, raw } = open();
    const received = group.lowLatencyDispatch([call(group, 0), call(group, 1)]);
    raw.combineDone = () => Promise.reject(rawError('EPGEN_TIMEOUT', 'too late'));
    raw.read = () => Promise.reject(rawError('EPGEN_ABORTED', 'gave up'));
    const calls = received.map(({ handle }, r) => sums(group, r, handle));
    const [combined] = group.lowLatencyCombine(calls);
    await expect(combined!.x.toArray()).rejects.toMatchObject({ code: 'EPGEN_TIMEOUT' });
    await expect(combined!.x.toArray()).rejects.toMatchObject({ code: 'EPGEN_TIMEOUT' });
  });
});

describe('streams', () => {
  it('a call with asyncFinish runs on the stream of the window, beside what uses other buffers', async () => {
    const { group, raw } = open();
    const received = group.lowLatencyDispatch([call(group, 0), call(group, 1)]);
    const calls = received.map(({ handle }, r) => ({ ...sums(group, r, handle) }));
    ordersOf(raw);
    const asynchronous = calls.map((one) => ({ ...one, asyncFinish: true }));
    const [combined] = group.lowLatencyCombine(asynchronous);
    expect(ordersOf(raw)).toEqual([
      'event 1 on 0',
      '1 waits for event 1',
      'llStage on 1',
      'llCombine both on 1',
      'event 2 on 1',
    ]);
    expect(combined!.event).not.toBe(null);
    // The input of the one after it may be written: peers don't read that buffer.
    const next = group.ranks[0]!.getNextLowLatencyCombineBuffer(received[0]!.handle);
    await next.copyFrom(new Uint16Array(256));
    expect(ordersOf(raw)).toEqual([]);
    await combined!.x.toArray();
    expect(ordersOf(raw)).toEqual(['0 waits for event 2']);
  });

  it('input that peers may still read is written only after what tells that they have', async () => {
    const { group, raw } = open();
    const received = group.lowLatencyDispatch([call(group, 0), call(group, 1)]);
    const combine = (options: object) =>
      group.lowLatencyCombine(
        received.map(({ handle }, r) => ({ ...sums(group, r, handle), ...options })),
      );
    combine({ asyncFinish: true });
    combine({ asyncFinish: true });
    const next = group.ranks[0]!.getNextLowLatencyCombineBuffer(received[0]!.handle);
    ordersOf(raw);
    await next.copyFrom(new Uint16Array(256));
    // The first of them, whose event is the second on the stream.
    expect(ordersOf(raw)).toEqual(['0 waits for event 2']);
  });

  it('a receive comes after calls of the window on its other stream', () => {
    const { group, raw } = open();
    const both = <O extends object>(options: O) =>
      [0, 1].map((r) => ({ ...call(group, r), ...options }));
    const [first] = group.lowLatencyDispatch(both({ returnRecvHook: true }));
    group.lowLatencyDispatch(both({ asyncFinish: true }));
    ordersOf(raw);
    first!.hook?.();
    expect(ordersOf(raw)).toEqual(['0 waits for event 2', 'llDispatch receive on 0']);
  });

  it('received rows are there for other streams after the receive, not after the send', async () => {
    const { group, raw } = open();
    const [stream] = group.ranks.map((rank) => rank.createStream());
    const calls = [
      { ...call(group, 0), returnRecvHook: true, stream: stream! },
      call(group, 1),
    ] as const;
    const [received] = group.lowLatencyDispatch(calls);
    expect(ordersOf(raw)).toEqual([
      'event 1 on 5',
      '0 waits for event 1',
      'llDispatch send on 0',
      'event 2 on 0',
      '5 waits for event 2',
    ]);
    received!.hook?.();
    expect(ordersOf(raw)).toEqual([
      'event 3 on 5',
      '0 waits for event 3',
      'llDispatch receive on 0',
      'event 4 on 0',
      '5 waits for event 4',
    ]);
    await received!.x.toArray();
    expect(ordersOf(raw)).toEqual([]);
  });

  it('a call on another window waits for nothing', () => {
    const { group, raw } = open(2);
    const both = <O extends object>(options: O) =>
      [0, 1].map((r) => ({ ...call(group, r), ...options }));
    group.lowLatencyDispatch(both({ asyncFinish: true }));
    ordersOf(raw);
    const [other] = group.lowLatencyDispatch(both({ window: 1 }));
    expect(ordersOf(raw)).toEqual(['llDispatch both on 0']);
    expect(other!.x.pointer).toBe(raw.windowBase(0, 1) + 3840n);
  });
});
