import { EpgenArgumentError, EpgenError, EpgenStaleError, EpgenTimeoutError } from 'epgen/runtime';
import { describe, expect, it } from 'vitest';
import { timeoutMessage } from '../../native/timeout-message.js';
import { dispatchBoth, dispatchCall, openFake, rankAt, rawError } from './fake-addon.js';

describe('call order', () => {
  it('takes ranks that run ahead of each other in the same sequence', async () => {
    const { group, raw } = openFake();
    const [zero, one] = [rankAt(group, 0), rankAt(group, 1)];
    const ahead = await zero.dispatch(dispatchCall(group, 0));
    await zero.combine({ x: ahead.x, handle: ahead.handle });
    await zero.dispatch(dispatchCall(group, 0));
    const behind = await one.dispatch(dispatchCall(group, 1));
    await one.combine({ x: behind.x, handle: behind.handle });
    await one.dispatch(dispatchCall(group, 1));
    expect(raw.launches).toHaveLength(6);
  });

  it('refuses a call of another kind at once, naming both', async () => {
    const { group, raw } = openFake();
    const [zero, one] = [rankAt(group, 0), rankAt(group, 1)];
    const received = await group.dispatch([dispatchCall(group, 0), dispatchCall(group, 1)]);
    await zero.dispatch(dispatchCall(group, 0));
    const { x, handle } = received[1] ?? (await one.dispatch(dispatchCall(group, 1)));
    await expect(one.combine({ x, handle })).rejects.toThrow(
      new EpgenArgumentError(
        'Expected call 2 of rank 1 to be dispatch, as on rank 0, but received combine',
        {
          hint: 'Every rank makes the same sequence of dispatch and combine calls, over all windows.',
        },
      ),
    );
    expect(raw.launches).toHaveLength(3);
    await one.dispatch(dispatchCall(group, 1));
  });

  it('refuses the handle of another dispatch than a peer’s, with calls one by one', async () => {
    const { group, raw } = openFake();
    const calls = () => [dispatchCall(group, 0), dispatchCall(group, 1)] as const;
    const first = (await group.dispatch(calls()))[0]!;
    const second = (await group.dispatch(calls()))[1]!;
    await rankAt(group, 0).combine({ x: first.x, handle: first.handle });
    await expect(rankAt(group, 1).combine({ x: second.x, handle: second.handle })).rejects.toThrow(
      'Expected the handle of call 3 of rank 1 to be of dispatch 1, as on rank 0, but received that of dispatch 2',
    );
    expect(raw.launches).toHaveLength(5);
  });

  it('compares whole calls of the group before it launches any', async () => {
    const { group, raw } = openFake();
    const received = await group.dispatch([dispatchCall(group, 0), dispatchCall(group, 1)]);
    await rankAt(group, 1).dispatch(dispatchCall(group, 1));
    const calls = received.map(({ x, handle }) => ({ x, handle }));
    expect(() => group.enqueueCombine(calls)).toThrow(
      'Expected call 2 of rank 0 to be dispatch, as on rank 1, but received combine',
    );
    expect(raw.launches).toHaveLength(3);
  });
});

describe('errors of the addon', () => {
  const timeout = (idleRanks: number[]) =>
    rawError('EPGEN_TIMEOUT', 'timed out', {
      kind: 'timeout',
      waitedMs: 250.4,
      idleRanks,
      records: [
        {
          op: 'dispatch',
          phase: 'rank counts',
          rank: 0,
          peer: 1,
          channel: -1,
          epoch: 3,
          expected: 3,
          seen: 2,
          reason: 'deadline',
        },
        {
          op: 'dispatch',
          phase: 'arrivals',
          rank: 1,
          peer: 0,
          channel: 2,
          epoch: 3,
          expected: 48n,
          seen: 32n,
          reason: 'deadline',
        },
        {
          op: 'dispatch',
          phase: 'ready',
          rank: 1,
          peer: 0,
          channel: 3,
          epoch: 3,
          expected: 48n,
          seen: 32n,
          reason: 'peer',
        },
      ],
    });

  it('says who waited for whom, who never called, and how to call', async () => {
    const { group, raw } = openFake();
    raw.counts = () => Promise.reject(timeout([1]));
    const pending = rankAt(group, 0).dispatch(dispatchCall(group, 0));
    await expect(pending).rejects.toThrow(EpgenTimeoutError);
    await expect(pending).rejects.toMatchObject({
      code: 'EPGEN_TIMEOUT',
      message: [
        'dispatch was given up after 250 ms:',
        '  rank 0 waited in dispatch for rank counts of rank 1 (call 3): expected 3, saw 2',
        '  rank 1 waited in dispatch for arrivals of rank 0 (channel 2, call 3): expected 48, saw 32',
        'Rank 1 never called dispatch. All 2 ranks must call before any of them is awaited:',
        '  await group.dispatch([...]), with one call per rank, or',
        '  await Promise.all(group.ranks.map((rank) => rank.dispatch(...)))',
        'await group.recover() makes the group usable again.',
      ].join('\n'),
      cause: { code: 'EPGEN_TIMEOUT' },
    });
  });

  it.each(['lowLatencyDispatch', 'lowLatencyCombine'])(
    'tells to call %s, which is no promise, on all ranks before reading',
    (op) => {
      const detail = {
        ...({ kind: 'timeout', waitedMs: 250, idleRanks: [1, 2] } as const),
        records: [
          {
            ...{ op, phase: 'ready', rank: 0, peer: 1, channel: -1, epoch: 3 },
            ...({ expected: 3, seen: 2, reason: 'deadline' } as const),
          },
        ],
      };
      expect(timeoutMessage(detail, 3).split('\n')).toEqual([
        `${op} was given up after 250 ms:`,
        `  rank 0 waited in ${op} for ready of rank 1 (call 3): expected 3, saw 2`,
        `Ranks 1, 2 never called ${op}. All 3 ranks must call before what any of them gives is read:`,
        `  group.${op}([...]), with one call per rank, or`,
        `  group.ranks.map((rank) => rank.${op}(...))`,
      ]);
    },
  );

  it('does not teach calling where every rank called', async () => {
    const { group, raw } = openFake();
    raw.counts = () => Promise.reject(timeout([]));
    await expect(dispatchBoth(group)).rejects.toThrow(/^(?!.*never called)/s);
  });

  it('names the first error after an abort', async () => {
    const { group, raw } = openFake();
    raw.counts = () =>
      Promise.reject(rawError('EPGEN_ABORTED', 'aborted', { cause: timeout([1]) }));
    await expect(dispatchBoth(group)).rejects.toMatchObject({
      code: 'EPGEN_ABORTED',
      message:
        'The group gave up after an earlier error: dispatch was given up after 250 ms\nawait group.recover() makes the group usable again.',
    });
  });

  it.each(['EPGEN_DEADLOCK', 'EPGEN_FAULT'])('%s keeps the report of the addon', async (code) => {
    const { group, raw } = openFake();
    raw.counts = () => Promise.reject(rawError(code, 'rank 0 block 3: a barrier'));
    await expect(dispatchBoth(group)).rejects.toMatchObject({
      code,
      message: 'rank 0 block 3: a barrier\nawait group.recover() makes the group usable again.',
    });
  });

  it('that only a write without a caller met reach the next one who waits', async () => {
    const { group, raw } = openFake();
    const rank = rankAt(group, 0);
    const detail = { kind: 'expert-index', rank: 0, token: 1, k: 0, value: 9 };
    raw.writeError = rawError('EPGEN_ARGUMENT', 'bad index', detail);
    const tensor = rank.tensor('i32', [1], [7]);
    await expect(tensor.toArray()).rejects.toThrow('rank 0: topkIdx[1][0] is 9');
    expect(await tensor.toArray()).toEqual(Int32Array.of(7));
  });

  it.each([
    ['of a group that goes on leaves it to be told', false],
    ['after a failure forgets it', true],
  ])('that nobody has heard of yet: a recovery %s', async (_, hasFailed) => {
    const { group, raw } = openFake();
    const rank = rankAt(group, 0);
    const detail = { kind: 'expert-index', rank: 0, token: 1, k: 0, value: 9 };
    raw.writeError = rawError('EPGEN_ARGUMENT', 'bad index', detail);
    rank.tensor('i32', [1], [7]);
    await new Promise((resolve) => setImmediate(resolve));
    if (hasFailed) raw.refusalOfCalls = rawError('EPGEN_ABORTED', 'The group has stopped');
    await group.recover();
    const told = rank.tensor('i32', [1], [8]).toArray();
    if (hasFailed) expect(await told).toEqual(Int32Array.of(8));
    else await expect(told).rejects.toThrow('rank 0: topkIdx[1][0] is 9');
  });

  it('that kept values from being written make the tensor stale', async () => {
    const { group, raw } = openFake();
    raw.writeError = rawError('EPGEN_ABORTED', 'The group has stopped');
    const tensor = rankAt(group, 0).tensor('i32', [1], [7]);
    await new Promise((resolve) => setImmediate(resolve));
    await group.recover();
    await expect(tensor.toArray()).rejects.toThrow(
      new EpgenStaleError(
        'Expected the tensor to be live, but the group gave up before its values were written',
      ),
    );
    const whole = rankAt(group, 0).tensor('i32', [1], [8]);
    expect(await whole.toArray()).toEqual(Int32Array.of(8));
  });

  it('are passed on where the addon did not make them', async () => {
    const { group, raw } = openFake();
    raw.counts = () => Promise.reject(new RangeError('something else'));
    await expect(dispatchBoth(group)).rejects.toThrow(new RangeError('something else'));
  });

  it('are epgen errors also where it throws at once', async () => {
    const { group, raw } = openFake();
    raw.combine = () => {
      throw rawError('EPGEN_ABORTED', 'The group gave up');
    };
    const { x, handle } = await dispatchBoth(group);
    await expect(rankAt(group, 0).combine({ x, handle })).rejects.toThrow(EpgenError);
  });
});

describe('recover', () => {
  it('starts the sequence over; views and handles from before are stale, the arena is kept', async () => {
    const { group, raw } = openFake();
    const kept = rankAt(group, 0).tensor('i32', [1], [7]);
    const { x, handle } = await dispatchBoth(group);
    const input = rankAt(group, 0).combineInput(handle);
    // Rank 1 never gets to make this call.
    await rankAt(group, 0).dispatch(dispatchCall(group, 0));
    await group.recover();
    expect(raw.resetEpochs).toEqual([0]);
    expect(() => x.pointer).toThrow('the group was recovered since');
    expect(() => input.pointer).toThrow('the group was recovered since');
    await expect(handle.slot()).rejects.toThrow(EpgenStaleError);
    expect(await kept.toArray()).toEqual(Int32Array.of(7));
    const again = await dispatchBoth(group);
    expect(raw.launches.at(-1)?.call).toMatchObject({ buffer: 0 });
    expect(again.x.pointer).toBeTypeOf('bigint');
    const calls = group.ranks.map(({ index }) => dispatchCall(group, index));
    await group.dispatch(calls);
  });

  it('lets nobody call while it runs', async () => {
    const { group, raw } = openFake();
    let finish: () => void = () => undefined;
    raw.reset = () =>
      new Promise((resolve) => {
        finish = () => resolve();
      });
    const recovered = group.recover();
    expect(() => dispatchCall(group, 0)).toThrow('await group.recover() first');
    finish();
    await recovered;
    await dispatchBoth(group);
  });

  it('twice at once is one recovery', async () => {
    const { group, raw } = openFake();
    const first = group.recover();
    expect(group.recover()).toBe(first);
    await first;
    expect(raw.resetEpochs).toEqual([0]);
    await group.recover();
    expect(raw.resetEpochs).toEqual([0, 0]);
  });

  it('is refused after dispose', async () => {
    const { group } = openFake();
    const { x, handle } = await dispatchBoth(group);
    await group.dispose();
    const disposed = { code: 'EPGEN_DISPOSED' };
    await expect(group.recover()).rejects.toMatchObject(disposed);
    await expect(
      group.combine([
        { x, handle },
        { x, handle },
      ]),
    ).rejects.toMatchObject(disposed);
    await expect(handle.slot()).rejects.toMatchObject(disposed);
    expect(() => rankAt(group, 0).combineInput(handle)).toThrow('The group was disposed');
    expect(() => group.enqueueDispatch([])).toThrow('The group was disposed');
  });
});

describe('dispose', () => {
  it('that failed can be tried again', async () => {
    const { group, raw } = openFake();
    const shortage = { kind: 'shortage', wanted: 'dispose the group' };
    raw.dispose = () => Promise.reject(rawError('EPGEN_FAULT', 'Could not dispose', shortage));
    await expect(group.dispose()).rejects.toMatchObject({
      name: 'EpgenError',
      code: 'EPGEN_FAULT',
      message: 'Could not dispose',
    });
    raw.dispose = async () => undefined;
    await group.dispose();
  });
});

describe('a call of all ranks', () => {
  it('that fails on one rank leaves no rejection of the others behind', async () => {
    const { group, raw } = openFake();
    const received = await group.dispatch([dispatchCall(group, 0), dispatchCall(group, 1)]);
    const unhandled: unknown[] = [];
    const note = (error: unknown) => unhandled.push(error);
    process.on('unhandledRejection', note);
    raw.combineDone = () => Promise.reject(rawError('EPGEN_TIMEOUT', 'nobody came'));
    raw.copy = (rank) => {
      if (rank === 1) throw rawError('EPGEN_ABORTED', 'given up');
    };
    const calls = received.map(({ handle }, i) => ({
      x: rankAt(group, i).tensor('bf16', [3, 16]),
      handle,
    }));
    const before = raw.blocks.size;
    await expect(group.combine(calls)).rejects.toMatchObject({ code: 'EPGEN_ABORTED' });
    expect(() => group.enqueueCombine(calls)).toThrow(EpgenError);
    await new Promise((resolve) => setTimeout(resolve, 5));
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
    expect(raw.blocks.size).toBe(before);
  });

  it('launches nothing where a later argument ends an earlier one', async () => {
    const { group, raw } = openFake();
    const received = await group.dispatch([dispatchCall(group, 0), dispatchCall(group, 1)]);
    const numLaunches = raw.launches.length;
    const [zero, one] = [dispatchCall(group, 0), dispatchCall(group, 1)];
    const dispatches = [
      zero,
      {
        ...one,
        get x() {
          zero.topkIdx.dispose();
          return one.x;
        },
      },
    ] as const;
    expect(() => group.enqueueDispatch(dispatches)).toThrow(
      new EpgenArgumentError(
        'Expected perRank[0].topkIdx to be a live tensor but received one that was disposed',
      ),
    );
    const [first, second] = received;
    if (first === undefined || second === undefined) throw new Error('nothing received');
    const combines = [
      { x: first.x, handle: first.handle },
      {
        x: second.x,
        get handle() {
          first.handle.dispose();
          return second.handle;
        },
      },
    ] as const;
    expect(() => group.enqueueCombine(combines)).toThrow(
      'Expected perRank[0].handle to be a live handle but received one that was disposed',
    );
    expect(raw.launches).toHaveLength(numLaunches);
  });
});
