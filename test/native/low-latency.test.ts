import { beforeAll, describe, expect, test } from 'vitest';
import type { RawAddon, RawGroup } from '../../native/addon-types.js';
import { failureOf, loadRaw, rawAddonPath, rawCall } from './raw-exchange.js';
import {
  loadRawLl,
  outputOffset,
  RawLlRank,
  type Routing,
  routing,
  wantedRows,
} from './raw-low-latency.js';

let addon: RawAddon;
beforeAll(async () => {
  addon = await loadRawLl();
}, 120_000);

type Ranks = readonly RawLlRank[];

async function withRanks(
  use: (ranks: Ranks, group: RawGroup) => Promise<void>,
  { choices = routing, windows = 1 }: { choices?: Routing; windows?: number } = {},
): Promise<void> {
  const group = addon.openGroup({ seed: 3n, deadlineMs: 100, firstDeadlineMs: 150, windows });
  try {
    await use(await RawLlRank.open(group, choices), group);
  } finally {
    await group.dispose();
  }
}

const onAll = (ranks: Ranks, step: (rank: RawLlRank) => unknown) => Promise.all(ranks.map(step));

/** A dispatch and a combine of all ranks, each in one launch: call number `call` of the window, from 1. */
async function expectRound(ranks: Ranks, call: number): Promise<void> {
  await onAll(ranks, async (rank) => {
    await rank.fill(call);
    rank.dispatch('both');
    await rank.writeOutputs(wantedRows(routing, rank.rank, call));
    rank.stage();
    await rank.combine('both');
  });
  await expectRows(ranks, call);
  await expectSums(ranks, call);
}

async function expectRows(ranks: Ranks, call: number): Promise<void> {
  for (const rank of ranks) {
    expect(await rank.received(call)).toEqual(wantedRows(routing, rank.rank, call));
  }
}

async function expectSums(ranks: Ranks, round: number): Promise<void> {
  for (const rank of ranks) expect(await rank.combined()).toEqual(rank.wantedSums(round));
}

describe('results', () => {
  test('rows by expert, weighted sums, and what the handle tells', () =>
    withRanks(async (ranks, group) => {
      for (let call = 1; call <= 9; call++) await expectRound(ranks, call);
      expect(await onAll(ranks, (rank) => rank.layoutRange())).toEqual([
        [
          ['0+1', '1+2'],
          ['0+1', '1+0'],
        ],
        [
          ['0+1', '1+1'],
          ['0+1', '1+1'],
        ],
      ]);
      const none = { dispatch: 0, combine: 0, dispatchLayout: 0 };
      const counters = { ...none, llDispatch: 9, llCombine: 9 };
      expect(group.counters()).toEqual([counters, counters]);
    }));

  test('a send and later a receive: two dispatches, then two combines in flight', () =>
    withRanks(async (first, group) => {
      const second = await RawLlRank.open(group, routing);
      for (let call = 1; call <= 9; call += 2) {
        for (const [i, ranks] of [first, second].entries()) {
          await onAll(ranks, (rank) => rank.fill(call + i));
          for (const rank of ranks) rank.dispatch('send');
        }
        // In another order than they were sent in.
        for (const rank of [...second, ...first]) rank.dispatch('receive');
        await expectRows(first, call);
        await expectRows(second, call + 1);
        for (const [i, ranks] of [first, second].entries()) {
          await onAll(ranks, async (rank) => {
            const at = group.windowBase(rank.rank) + outputOffset(i);
            await rank.writeOutputs(wantedRows(routing, rank.rank, call + i), at);
            await rank.combine('send', { inputOffset: outputOffset(i) });
          });
        }
        await onAll([...second, ...first], (rank) => rank.combine('receive'));
        await expectSums(first, call);
        await expectSums(second, call + 1);
      }
      expect(group.counters()[1]).toMatchObject({ llDispatch: 10, llCombine: 10 });
    }));

  test('a combine that is only sent promises nothing: nobody would wait', () =>
    withRanks(async (ranks, group) => {
      await expectRound(ranks, 1);
      for (const { rank, handle } of ranks) {
        const call = { numTokens: 0, handle, inputOffset: outputOffset(0), grid: 1 };
        expect(group.llCombine(rank, { ...call, phases: 'send' })).toBeUndefined();
        const wrong = { ...call, inputOffset: 64n, phases: 'send' } as const;
        expect(() => group.llCombine(rank, wrong)).toThrow(/a multiple of 128/);
      }
    }));

  test('a rank may take one launch where another takes two', () =>
    withRanks(async (ranks) => {
      for (let call = 1; call <= 5; call++) {
        await onAll(ranks, async (rank) => {
          const phases = rank.rank === 0 ? (['send', 'receive'] as const) : (['both'] as const);
          await rank.fill(call);
          for (const phase of phases) rank.dispatch(phase);
          await rank.writeOutputs(wantedRows(routing, rank.rank, call));
          rank.stage();
          for (const phase of phases) await rank.combine(phase);
        });
        await expectRows(ranks, call);
        await expectSums(ranks, call);
      }
    }));

  test('statistics add up', () =>
    withRanks(async (ranks, group) => {
      for (let call = 1; call <= 3; call++) {
        for (const rank of ranks) {
          const { expertStats, waitStats } = rank;
          rank.dispatch('both', { expertStats, waitStats });
        }
      }
      const counts = await onAll(ranks, ({ rank, expertStats }) =>
        group.read(rank, expertStats, 8),
      );
      expect(counts.map((bytes) => [...new Int32Array(bytes as ArrayBuffer)])).toEqual([
        [9, 3],
        [6, 6],
      ]);
      const waited = new BigInt64Array(await group.read(0, ranks[0]!.waitStats, 16));
      expect([...waited].every((ns) => ns >= 0n)).toBe(true);
    }));

  test('high-throughput and low-latency calls alternate', () =>
    withRanks(async (ranks, group) => {
      const calls = [await rawCall(group, 0, [0n, 3n]), await rawCall(group, 1, [1n, 2n])];
      for (let call = 1; call <= 3; call++) {
        const counts = await Promise.all(calls.map(({ dispatch }) => dispatch()));
        expect(counts.map(({ numRecvTokens }) => numRecvTokens)).toEqual([2, 2]);
        await expectRound(ranks, call);
      }
    }));

  test('calls on the stream of a window', () =>
    withRanks(
      async (ranks, group) => {
        for (const rank of ranks) {
          group.waitEvent(rank.rank, 2, group.recordEvent(rank.rank, 0));
          rank.dispatch('both', { window: 1, stream: 2 });
          group.waitEvent(rank.rank, 0, group.recordEvent(rank.rank, 2));
        }
        expect((await ranks[0]!.layoutRange())[0]).toEqual(['0+1', '1+2']);
        expect(() => ranks[0]!.dispatch('both', { window: 1, stream: 1 })).toThrow(/stream to be/);
      },
      { windows: 2 },
    ));
});

describe('many calls ahead of the devices', () => {
  const numCalls = 40;

  test.each([[['both']], [['send', 'receive']]] as const)(
    'none waits for a count record, nor does what comes behind: %o',
    (phases) =>
      withRanks(async (ranks, group) => {
        await onAll(ranks, (rank) => rank.fill(numCalls));
        group.hold();
        for (let call = 0; call < numCalls; call++) {
          for (const rank of ranks) for (const phase of phases) rank.dispatch(phase);
        }
        expect(group.counters()).toMatchObject(ranks.map(() => ({ llDispatch: numCalls })));
        group.release();
        await expectRows(ranks, numCalls);
      }),
  );
});

describe('a wrong index', () => {
  const choices: Routing = [[[0n, 4n]], [[1n, 2n]]];
  const detail = { kind: 'expert-index', rank: 0, token: 0, k: 1, value: 4 };

  test.each([[['both']], [['send', 'receive']]] as const)(
    'counts as -1, and is told once, by the next operation: %o',
    (phases) =>
      withRanks(
        async (ranks, group) => {
          await onAll(ranks, (rank) => rank.fill(0));
          for (const rank of ranks) for (const phase of phases) rank.dispatch(phase);
          const failure = await failureOf(group.synchronize(0));
          expect(failure).toMatchObject({ code: 'EPGEN_ARGUMENT', detail });
          for (const rank of ranks) {
            expect(await rank.received(1)).toEqual(wantedRows(choices, rank.rank, 0));
          }
        },
        { choices },
      ),
  );

  test('is told by the next combine that gives sums, not by one that is only sent', () =>
    withRanks(
      async (ranks, group) => {
        await onAll(ranks, async (rank) => {
          await rank.fill(0);
          const at = group.windowBase(rank.rank) + outputOffset(0);
          await rank.writeOutputs(wantedRows(choices, rank.rank, 0), at);
          rank.dispatch('both');
          await rank.combine('send');
        });
        const received = ranks.map((rank) => rank.combine('receive'));
        expect(await failureOf(received[0]!)).toMatchObject({ code: 'EPGEN_ARGUMENT', detail });
        await received[1];
        await expectSums(ranks, 0);
      },
      { choices },
    ));
});

describe('a rank that does not call', () => {
  const timeout = (op: string, rank: number, peer: number, waitedMs: number) => ({
    code: 'EPGEN_TIMEOUT',
    detail: {
      kind: 'timeout',
      waitedMs,
      idleRanks: [peer],
      records: [{ op, rank, peer, reason: 'deadline' }],
    },
  });

  test.each([
    ['a dispatch', ['both']],
    ['a receive alone, which has the deadline of its send,', ['send', 'receive']],
  ] as const)('%s names it', (_, phases) =>
    withRanks(async (ranks, group) => {
      for (const phase of phases) ranks[0]!.dispatch(phase);
      const failure = await failureOf(group.synchronize(0));
      expect(failure).toMatchObject(timeout('lowLatencyDispatch', 0, 1, 150));
      expect((await failureOf(group.synchronize(0))).code).toBe('EPGEN_ABORTED');
      expect(() => ranks[1]!.dispatch('send')).toThrow(/stopped after an earlier failure/);
    }),
  );

  test.each([
    ['a combine', ['both']],
    ['a combine that is received alone', ['send', 'receive']],
  ] as const)('%s names it', (_, phases) =>
    withRanks(async (ranks, group) => {
      await expectRound(ranks, 1);
      const calls = phases.map((phase) => ranks[0]!.combine(phase));
      await Promise.all(calls.slice(0, -1));
      const failure = await failureOf(calls.at(-1)!);
      expect(failure).toMatchObject(timeout('lowLatencyCombine', 0, 1, 100));
      expect((await failureOf(group.synchronize(1))).code).toBe('EPGEN_ABORTED');
    }),
  );

  test('is named where the other one has made as many calls in more launches', () =>
    withRanks(async (ranks, group) => {
      const [split, whole] = [ranks[0]!, ranks[1]!];
      for (let call = 0; call < 3; call++) {
        split.dispatch('send');
        split.dispatch('receive');
        whole.dispatch('both');
      }
      await onAll(ranks, ({ rank }) => group.synchronize(rank));
      whole.dispatch('both');
      const failure = await failureOf(group.synchronize(1));
      expect(failure).toMatchObject(timeout('lowLatencyDispatch', 1, 0, 100));
    }));

  test('after a reset all is well, and nothing is in flight', () =>
    withRanks(async (ranks, group) => {
      ranks[0]!.dispatch('send');
      ranks[0]!.dispatch('receive');
      const sent = ranks[1]!.combine('send').catch(() => undefined);
      await failureOf(group.synchronize(0));
      await sent;
      const refused = /epoch to be a multiple of 8 but received 7/;
      await expect(group.reset(7)).rejects.toThrow(refused);
      for (const epoch of [8, 2 ** 32 - 8, 0]) {
        await group.reset(epoch);
        await expect(ranks[1]!.combine('receive')).rejects.toThrow(/sent and not received/);
        for (let call = 1; call <= 10; call++) await expectRound(ranks, call);
      }
    }));
});

describe('graphs', () => {
  test('replays of whole calls, then of halves, with new tokens each time', () =>
    withRanks(async (ranks, group) => {
      for (const phases of [['both'], ['send', 'receive']] as const) {
        const graph = group.beginCapture();
        for (const rank of ranks) {
          for (const phase of phases) rank.dispatch(phase);
          rank.stage();
          for (const phase of phases) await rank.combine(phase);
        }
        await group.endCapture();
        const numCalls = group.counters()[0]!.llDispatch;
        for (let call = numCalls + 1; call <= numCalls + 5; call++) {
          await onAll(ranks, (rank) => rank.fill(call));
          await onAll(ranks, (rank) => rank.writeOutputs(wantedRows(routing, rank.rank, call)));
          group.replay(graph);
          await expectRows(ranks, call);
          await expectSums(ranks, call);
          expect(group.counters()[0]).toMatchObject({ llDispatch: call, llCombine: call });
        }
        group.freeGraph(graph);
        await expectRound(ranks, numCalls + 6);
      }
    }));

  test('a wrong index in a replay is told once, by the next operation', () =>
    withRanks(
      async (ranks, group) => {
        const graph = group.beginCapture();
        for (const rank of ranks) rank.dispatch('both');
        await group.endCapture();
        group.replay(graph);
        expect((await failureOf(group.synchronize(0))).code).toBe('EPGEN_ARGUMENT');
        await onAll(ranks, ({ rank }) => group.synchronize(rank));
      },
      { choices: [[[0n, 4n]], [[1n, 2n]]] },
    ));

  test('a replay that a rank is missing from names it', () =>
    withRanks(async (ranks, group) => {
      const graph = group.beginCapture();
      ranks[0]!.dispatch('send');
      ranks[0]!.dispatch('receive');
      await group.endCapture();
      group.replay(graph);
      expect(await failureOf(group.synchronize(0))).toMatchObject({
        code: 'EPGEN_TIMEOUT',
        detail: { waitedMs: 100, idleRanks: [1], records: [{ op: 'lowLatencyDispatch' }] },
      });
    }));

  test('a receive belongs to a send of the same graph', () =>
    withRanks(async (ranks, group) => {
      const rank = ranks[0]!;
      rank.dispatch('send');
      group.beginCapture();
      expect(() => rank.dispatch('receive')).toThrow(/sent and not received/);
      rank.dispatch('send');
      await expect(rank.combine('receive')).rejects.toThrow(/sent and not received/);
      group.cancelCapture();
    }));
});

describe('arguments', () => {
  test.each([
    ['too many tokens', { numTokens: 9 }, /numTokens to be from 0 to 8/],
    ['too many blocks', { grid: 9 }, /grid to be from 1 to 8/],
    ['a handle anywhere', { handle: 256n }, /Expected handle to be \d+ bytes/],
    ['no such half', { phases: 'all' }, /phases to be 'send', 'receive' or 'both'/],
    ['no such window', { window: 1 }, /window to be from 0 to 0/],
    ['tokens anywhere', { x: 256n }, /Expected x to be 96 bytes/],
    ['choices anywhere', { topkIdx: 256n }, /Expected topkIdx to be 48 bytes/],
    ['statistics anywhere', { expertStats: 256n }, /Expected expertStats to be 8 bytes/],
    ['waits anywhere', { waitStats: 256n }, /Expected waitStats to be 16 bytes/],
  ])('%s: a dispatch is refused', (_, options, message) =>
    withRanks(async ([rank]) => {
      expect(() => rank!.dispatch('both', options)).toThrow(message);
    }),
  );

  test.each([
    ['rows that end beyond the window', { inputOffset: 1n << 40n }, /inputOffset to be from 0/],
    ['rows at an odd place', { inputOffset: outputOffset(0) + 64n }, /a multiple of 128/],
    ['an output anywhere', { out: 256n }, /Expected out to be 96 bytes/],
    ['weights anywhere', { topkWeights: 256n }, /Expected topkWeights to be 24 bytes/],
    ['waits anywhere', { waitStats: 256n }, /Expected waitStats to be 16 bytes/],
  ])('%s: a combine is refused', (_, options, message) =>
    withRanks(async ([rank]) => {
      await expect(rank!.combine('both', options)).rejects.toThrow(message);
    }),
  );

  test.each([
    ['rows at an odd place', { outputOffset: 64n }, /outputOffset to be a multiple of 128/],
    ['outputs anywhere', { x: 256n }, /Expected x to be 1024 bytes/],
    ['no block', { grid: 0 }, /grid to be from 1 to 65535/],
  ])('%s: a stage is refused', (_, options, message) =>
    withRanks(async ([rank]) => {
      expect(() => rank!.stage(options)).toThrow(message);
    }),
  );

  test('halves that take one block take no more', () =>
    withRanks(async ([rank]) => {
      const message = /grid to be from 1 to 1/;
      expect(() => rank!.dispatch('receive', { grid: 2 })).toThrow(message);
      await expect(rank!.combine('send', { grid: 2 })).rejects.toThrow(message);
    }));

  test('a receive needs its send: of the same handle, in the same window, once', () =>
    withRanks(
      async (ranks, group) => {
        const rank = ranks[0]!;
        const message = /Expected handle to be one of a call that was sent and not received/;
        expect(() => rank.dispatch('receive')).toThrow(message);
        for (const one of ranks) one.dispatch('send');
        expect(() => rank.dispatch('receive', { window: 1 })).toThrow(message);
        await expect(rank.combine('receive')).rejects.toThrow(message);
        for (const one of ranks) one.dispatch('receive');
        expect(() => rank.dispatch('receive')).toThrow(message);
        for (const one of ranks) one.dispatch('send');
        for (const one of ranks) one.dispatch('both');
        expect(() => rank.dispatch('receive')).toThrow(message);
        await onAll(ranks, (one) => group.synchronize(one.rank));
      },
      { windows: 2 },
    ));

  test('memory of a handle that comes again holds no send', () =>
    withRanks(async (ranks, group) => {
      const rank = ranks[0]!;
      for (const one of ranks) one.dispatch('send');
      await onAll(ranks, (one) => group.synchronize(one.rank));
      group.free(0, rank.handle);
      expect(group.alloc(0, RawLlRank.handleBytes)).toBe(rank.handle);
      expect(() => rank.dispatch('receive')).toThrow(/sent and not received/);
    }));

  test('an addon without low-latency calls has none', async () => {
    const deadlines = { deadlineMs: 100, firstDeadlineMs: 100 };
    const group = loadRaw(await rawAddonPath()).openGroup({ seed: 1n, ...deadlines });
    const unsupported = { code: 'EPGEN_UNSUPPORTED' };
    const call = { phases: 'both', numTokens: 0, handle: 0n, grid: 1 } as const;
    const stage = { handle: 0n, x: 0n, outputOffset: 0n, grid: 1 };
    expect(() => group.llDispatch(0, call)).toThrow(expect.objectContaining(unsupported));
    await expect(group.llCombine(0, call)).rejects.toMatchObject(unsupported);
    expect(() => group.llStage(0, stage)).toThrow(expect.objectContaining(unsupported));
    await group.dispose();
  });
});
