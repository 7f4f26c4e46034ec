import { describe, expect, it } from 'vitest';
import { both, call, combine, hooked, type Low, open, send, sums } from './low-latency-fake.js';

// What refusals say about the way out.

describe('texts', () => {
  it('of what waits for a hook say what to do where that is of no use any more', () => {
    const { group } = open();
    const received = send(group, hooked);
    const hint = 'Where that hook throws, await group.recover() gives its call up';
    expect(() => received[0]!.x.pointer).toThrow(`call its hook first\n${hint}`);
    send(group, hooked);
    expect(() => send(group)).toThrow(
      `Call that hook first, or raise ll.inFlight in the spec and build again. ${hint}`,
    );
    for (const { hook } of received) hook!();
    combine(group, received, hooked);
    expect(() => combine(group, received)).toThrow(`call its hook first\n${hint}`);
  });

  it('of rows that are stale say what to do', () => {
    const { group } = open();
    const [first] = send(group);
    send(group);
    send(group);
    expect(() => first!.x.pointer).toThrow(
      'Expected the tensor to be live, but 2 low-latency dispatches were enqueued on rank 0 since; what one received lives until 2 more are (ll.inFlight): use it sooner, copy it, or raise ll.inFlight in the spec and build again',
    );
  });

  it('of a low-latency handle in a dispatch say whose it is, not what to build', async () => {
    const { group } = open();
    const [received] = send(group);
    const { x } = call(group, 0);
    await expect(
      group.ranks[0]!.dispatch({ x, handle: received!.handle } as never),
    ).rejects.toThrow(
      /^Expected handle to be what dispatch gave rank 0 but received a LowLatencyHandle$/,
    );
  });

  it.each<[string, string, (group: Low) => () => unknown]>([
    [
      'a call of one rank',
      'it called rank.lowLatencyDispatch\nUse group.lowLatencyDispatch: a graph holds the calls of all ranks',
      (group) => {
        const given = call(group, 0);
        return () => group.ranks[0]!.lowLatencyDispatch(given);
      },
    ],
    [
      'a combine that is awaited',
      'it called group.combine\nUse group.enqueueCombine, which returns at once.',
      (group) => () => void group.combine([] as never).catch(() => undefined),
    ],
    [
      'asyncFinish',
      'it called one with perRank[0].asyncFinish\nLeave asyncFinish out',
      (group) => {
        const calls = both((r) => ({ ...call(group, r), asyncFinish: true }));
        return () => group.lowLatencyDispatch(calls);
      },
    ],
    [
      'a stream',
      'it called one with perRank[0].stream\nLeave stream out',
      (group) => {
        const calls = both((r) => ({
          ...call(group, r),
          stream: group.ranks[r]!.createStream(),
        }));
        return () => group.lowLatencyDispatch(calls);
      },
    ],
    [
      'an event',
      'it called one with perRank[0].previousEvent\nLeave previousEvent out',
      (group) => {
        const calls = both((r) => ({
          ...call(group, r),
          previousEvent: group.ranks[r]!.record(),
        }));
        return () => group.lowLatencyDispatch(calls);
      },
    ],
    [
      'a buffer that was taken before',
      'but it was taken before the function of group.capture was called, for one of the buffers that combines take turns with: take rank.getNextLowLatencyCombineBuffer(handle) inside the function',
      (group) => {
        const received = send(group);
        const calls = received.map(({ handle }, r) => ({
          ...sums(group, r, handle),
          x: group.ranks[r]!.getNextLowLatencyCombineBuffer(handle),
        }));
        return () => group.lowLatencyCombine(calls);
      },
    ],
  ])('of a capture name what is in its way: %s', async (_, text, runOf) => {
    const { group } = open();
    await expect(group.capture(runOf(group))).rejects.toThrow(text);
  });

  it('of an async function in a graph say so once, and leave nothing unhandled', async () => {
    const { group } = open();
    const unhandled: unknown[] = [];
    const note = (error: unknown) => unhandled.push(error);
    process.on('unhandledRejection', note);
    try {
      const run = async () => {
        const [received] = send(group);
        await received!.x.toArray();
      };
      await expect(group.capture(run)).rejects.toThrow('group.capture');
      await new Promise((resolve) => setImmediate(resolve));
    } finally {
      process.off('unhandledRejection', note);
    }
    expect(unhandled).toEqual([]);
  });
});
