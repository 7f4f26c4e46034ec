import { describe, expect, it } from 'vitest';
import {
  EpgenArgumentError,
  EpgenError,
  EpgenStaleError,
  EpgenUnsupportedError,
} from '../../native/index.js';
import { dispatchCall, openFake, rawError } from './fake-addon.js';

const both = <T>(call: (rank: number) => T): T[] => [0, 1].map(call);

/** What rank 0 put in order since the last time. */
function ordersOf(raw: ReturnType<typeof openFake>['raw']): string[] {
  const orders = raw.orders.filter((text) => text.startsWith('rank 0: '));
  raw.orders.length = 0;
  return orders.map((text) => text.slice('rank 0: '.length));
}

describe('asyncFinish', () => {
  it('runs on the stream of the window, after what the own stream has', async () => {
    const { group, raw } = openFake();
    const [received] = await group.dispatch(
      both((i) => ({ ...dispatchCall(group, i), asyncFinish: true })),
    );
    expect(ordersOf(raw)).toEqual([
      'event 1 on 0',
      '1 waits for event 1',
      'dispatch on 1',
      'event 2 on 1',
    ]);
    await received!.x.toArray();
    await received!.topkIdx.toArray();
    expect(ordersOf(raw)).toEqual(['0 waits for event 2']);
  });

  it('leaves a call without options as it was: no event, nothing to wait for', async () => {
    const { group, raw } = openFake();
    const received = await group.dispatch(both((i) => dispatchCall(group, i)));
    await group.combine(received.map(({ x, handle }) => ({ x, handle })));
    await received[0]!.x.toArray();
    expect(ordersOf(raw)).toEqual(['dispatch on 0', 'combine on 0']);
    expect(received[0]!.event).toBe(null);
  });

  it('has later calls on the same window wait, on another window not', async () => {
    const { group, raw } = openFake(2);
    const call = (window: number, asyncFinish: boolean) =>
      both((i) => ({ ...dispatchCall(group, i), window, asyncFinish }));
    const calls = [call(0, true), call(1, false), call(0, false)];
    await group.dispatch(calls[0]!);
    ordersOf(raw);
    await group.dispatch(calls[1]!);
    expect(ordersOf(raw)).toEqual(['dispatch on 0']);
    await group.dispatch(calls[2]!);
    expect(ordersOf(raw)).toEqual(['0 waits for event 2', 'dispatch on 0']);
  });

  it('resolves a combine at once, with an event', async () => {
    const { group, raw } = openFake();
    const received = await group.dispatch(both((i) => dispatchCall(group, i)));
    raw.combineDone = () => new Promise(() => undefined);
    const [combined] = await group.combine(
      received.map(({ x, handle }) => ({ x, handle, asyncFinish: true })),
    );
    expect(combined!.event?.rank).toBe(0);
  });

  it('gives freed memory to others only after the work that used it', async () => {
    const { group, raw } = openFake();
    const [received] = await group.dispatch(
      both((i) => ({ ...dispatchCall(group, i), asyncFinish: true })),
    );
    received!.handle.dispose();
    ordersOf(raw);
    group.ranks[0]!.tensor('u8', [4], Uint8Array.of(1, 2, 3, 4));
    expect(ordersOf(raw)).toEqual(['0 waits for event 2']);
  });

  it('has writes to an input wait for the call that reads it', async () => {
    const { group, raw } = openFake();
    const calls = both((i) => ({ ...dispatchCall(group, i), asyncFinish: true }));
    await group.dispatch(calls);
    ordersOf(raw);
    await calls[0]!.x.toArray();
    expect(ordersOf(raw)).toEqual([]);
    await calls[0]!.x.copyFrom(new Uint16Array(32));
    expect(ordersOf(raw)).toEqual(['0 waits for event 2']);
  });
});

describe('memory that the group does not own', () => {
  it('is written only after the call that reads it', async () => {
    const { group, raw } = openFake();
    raw.refusal = () => null;
    const [first, second] = both((i) => ({ ...dispatchCall(group, i), asyncFinish: true }));
    const x = group.ranks[0]!.tensorFromPointer('bf16', [2, 16], raw.windowBase(0) + 0x80000n);
    await group.dispatch([{ ...first!, x }, second!]);
    ordersOf(raw);
    await x.copyFrom(new Uint16Array(32));
    expect(ordersOf(raw)).toEqual(['0 waits for event 2']);
  });
});

describe('a group that gives up', () => {
  it('between a launch and its event rejects the call, and nothing else', async () => {
    const { group, raw } = openFake();
    const gone = () => rawError('EPGEN_ABORTED', 'gone');
    const calls = both((i) => ({ ...dispatchCall(group, i), asyncFinish: true }));
    raw.counts = () => Promise.reject(gone());
    const record = raw.recordEvent.bind(raw);
    raw.recordEvent = (rank, stream) => {
      if (raw.launches.length > 0) throw gone();
      return record(rank, stream);
    };
    // A promise that nobody handles fails the run.
    await expect(group.dispatch(calls)).rejects.toThrow('gone');
    expect(raw.freed).toHaveLength(2);
  });
});

describe('previousEvent', () => {
  it('takes the place of what the own stream has', async () => {
    const { group, raw } = openFake();
    const calls = both((i) => dispatchCall(group, i));
    const events = group.ranks.map((rank) => rank.record());
    group.ranks[0]!.tensor('u8', [1], Uint8Array.of(1));
    await group.dispatch(
      calls.map((call, i) => ({ ...call, asyncFinish: true, previousEvent: events[i]! })),
    );
    expect(ordersOf(raw)).toEqual([
      'event 1 on 0',
      '1 waits for event 1',
      'dispatch on 1',
      'event 3 on 1',
    ]);
  });

  it('orders what the event is too early for', async () => {
    const { group, raw } = openFake();
    const events = group.ranks.map((rank) => rank.record());
    const calls = both((i) => dispatchCall(group, i));
    ordersOf(raw);
    await group.dispatch(
      calls.map((call, i) => ({ ...call, asyncFinish: true, previousEvent: events[i]! })),
    );
    expect(ordersOf(raw)).toEqual([
      '1 waits for event 1',
      'event 3 on 0',
      '1 waits for event 3',
      'dispatch on 1',
      'event 4 on 1',
    ]);
  });

  it('without asyncFinish has the own stream wait', async () => {
    const { group, raw } = openFake();
    const stream = group.ranks[0]!.createStream();
    const previousEvent = stream.record();
    ordersOf(raw);
    const [first, second] = both((i) => dispatchCall(group, i));
    await group.dispatch([{ ...first!, previousEvent }, second!]);
    expect(ordersOf(raw)).toEqual(['0 waits for event 1', 'dispatch on 0']);
  });

  it('refuses events of other ranks and groups, naming both, and those from before a recovery', async () => {
    const { group } = openFake();
    const { group: other } = openFake();
    const [rank, peer] = group.ranks;
    const event = rank!.record();
    expect(() => peer!.wait(event)).toThrow(
      new EpgenArgumentError('Expected event to be an event of rank 1 but received one of rank 0'),
    );
    expect(() => other.ranks[0]!.wait(event)).toThrow(
      new EpgenArgumentError(
        'Expected event to be an event of rank 0 but received one of rank 0 of another group',
      ),
    );
    const call = { ...dispatchCall(group, 1), previousEvent: event };
    await expect(group.dispatch([dispatchCall(group, 0), call])).rejects.toThrow(
      'Expected perRank[1].previousEvent to be an event of rank 1 but received one of rank 0',
    );
    await group.recover();
    expect(() => rank!.wait(event)).toThrow(EpgenStaleError);
  });
});

describe('stream', () => {
  it('puts the call between what the stream has and what it gets later', async () => {
    const { group, raw } = openFake();
    const stream = group.ranks[0]!.createStream();
    const [first, second] = both((i) => dispatchCall(group, i));
    await group.dispatch([{ ...first!, stream }, second!]);
    expect(ordersOf(raw)).toEqual([
      'event 1 on 5',
      '0 waits for event 1',
      'dispatch on 0',
      'event 2 on 0',
      '5 waits for event 2',
    ]);
  });

  it('refuses a disposed one, one of another rank and, on cpu, a cudaStream_t', async () => {
    const { group, raw } = openFake();
    const stream = group.ranks[0]!.createStream();
    const dispatch = (given: unknown, rank = 0) =>
      group.dispatch(
        both((i) => ({ ...dispatchCall(group, i), ...(i === rank && { stream: given }) })) as never,
      );
    await expect(dispatch(stream, 1)).rejects.toThrow(
      'Expected perRank[1].stream to be a stream of rank 1 but received one of rank 0',
    );
    await expect(dispatch(0x1234n)).rejects.toThrow(EpgenUnsupportedError);
    stream.dispose();
    stream.dispose();
    expect(raw.orders.filter((text) => text.startsWith('close'))).toEqual(['close 5']);
    await expect(dispatch(stream)).rejects.toThrow(
      'Expected perRank[0].stream to be a live stream but received one that was disposed',
    );
    expect(() => stream.record()).toThrow('Expected the stream to be a live stream');
    expect(raw.launches).toEqual([]);
  });

  it('is taken from the call before anything is launched, so that a getter comes too late', async () => {
    const { group, raw } = openFake();
    const stream = group.ranks[1]!.createStream();
    const previousEvent = stream.record();
    const [first, second] = both((i) => dispatchCall(group, i));
    const call = {
      ...second!,
      get stream() {
        expect(raw.launches).toEqual([]);
        return stream;
      },
      get previousEvent() {
        expect(raw.launches).toEqual([]);
        return previousEvent;
      },
    };
    await group.dispatch([first!, call]);
    expect(raw.launches).toHaveLength(2);
  });

  it('is refused after the group was disposed', async () => {
    const { group } = openFake();
    const stream = group.ranks[0]!.createStream();
    await group.dispose();
    expect(() => stream.record()).toThrow(EpgenError);
    stream.dispose();
  });
});

describe('windows', () => {
  it('counts the calls of each window by itself', async () => {
    const { group, raw } = openFake(2);
    const dispatch = (window: number) =>
      group.dispatch(both((i) => ({ ...dispatchCall(group, i), window })));
    const [first] = await dispatch(0);
    const [second] = await dispatch(1);
    expect(second!.x.pointer - first!.x.pointer).toBe(raw.windowBase(0, 1) - raw.windowBase(0, 0));
    await dispatch(0);
    await dispatch(0);
    expect(() => first!.x.pointer).toThrow(
      '2 dispatches were enqueued on window 0 of rank 0 since',
    );
    expect(second!.x.pointer).toBe(raw.windowBase(0, 1) + 128n);
  });

  it('combines on the window of the handle, in place only there', async () => {
    const { group, raw } = openFake(2);
    const dispatch = (window: number) =>
      group.dispatch(both((i) => ({ ...dispatchCall(group, i), window })));
    const [first, second] = [await dispatch(0), await dispatch(1)];
    await group.combine(both((i) => ({ x: second[i]!.x, handle: first[i]!.handle })));
    await group.combine(both((i) => ({ x: second[i]!.x, handle: second[i]!.handle })));
    const combines = raw.launches.filter(({ op, rank }) => op === 'combine' && rank === 0);
    expect(combines.map(({ call }) => call)).toMatchObject([
      { window: 0, inputOffset: 3584n },
      { window: 1, inputOffset: 128n },
    ]);
  });

  it('refuses one that the group does not have, and another one than a peer took', async () => {
    const { group } = openFake(2);
    const dispatch = (windows: readonly unknown[]) =>
      group.dispatch(both((i) => ({ ...dispatchCall(group, i), window: windows[i] })) as never);
    await expect(dispatch([2, 2])).rejects.toThrow(
      'Expected perRank[0].window to be an integer in 0..1 but received 2',
    );
    await expect(dispatch([0, 1])).rejects.toThrow(
      'Expected the call of rank 1 to be dispatch on window 0, as that of rank 0, but received dispatch on window 1',
    );
    await group.ranks[0]!.dispatch({ ...dispatchCall(group, 0), window: 1 });
    await expect(group.ranks[1]!.dispatch(dispatchCall(group, 1))).rejects.toThrow(
      'Expected call 1 of rank 1 to be dispatch on window 1, as on rank 0, but received dispatch on window 0',
    );
  });
});
