import { EpgenArgumentError, EpgenStaleError, EpgenUnsupportedError } from 'epgen/runtime';
import { describe, expect, it } from 'vitest';
import { description, dispatchBoth, openFake, openFakeOf } from './fake-addon.js';

const spec = {
  ...description.spec,
  name: 'ep2_h16_bf16_experts',
  ht: { ...description.spec.ht, expertMajor: true },
} as const;

type Spec = typeof spec;

function openExperts() {
  return openFakeOf<Spec>({ ...description, spec });
}

type TestGroup = ReturnType<typeof openExperts>['group'];

/** Every rank receives 3 rows; their selections take 1 row of the first local expert and 2 of the second. */
async function dispatchAll(group: TestGroup) {
  return group.dispatch(
    group.ranks.map((rank) => ({
      x: rank.tensor('bf16', [2, 16]),
      topkIdx: rank.tensor('i64', [2, 2], [0, 1, 2, 3]),
      topkWeights: rank.tensor('f32', [2, 2]),
    })),
  );
}

async function openReceived() {
  const { group, raw } = openExperts();
  const received = await dispatchAll(group);
  const [rank, other] = group.ranks;
  const [first, second] = received;
  if (!rank || !other || !first || !second) throw new Error('two ranks');
  return { group, raw, rank, other, first, second };
}

describe('expertMajor', () => {
  it('gives tensors of one row per selection, at once', async () => {
    const { rank, first, raw } = await openReceived();
    const byExpert = rank.expertMajor(first);
    expect(byExpert.x).toMatchObject({ dtype: 'bf16', shape: [3, 16] });
    expect(byExpert.topkWeights).toMatchObject({ dtype: 'f32', shape: [3] });
    expect(byExpert.slot).toMatchObject({ dtype: 'i32', shape: [3, 2] });
    expect([...byExpert.numTokensPerExpert]).toEqual([1, 2]);
    expect(raw.launches.at(-1)).toMatchObject({
      op: 'expertMajor',
      rank: 0,
      call: {
        numRows: 3,
        numExpertRows: 3,
        recvX: first.x.pointer,
        recvTopkIdx: first.topkIdx.pointer,
        x: byExpert.x.pointer,
        slot: byExpert.slot.pointer,
        grid: 1,
        zeroPadding: false,
      },
    });
  });

  it('needs no more memory than its tensors once it is enqueued', async () => {
    const { rank, first, raw } = await openReceived();
    const numBlocks = raw.blocks.size;
    const byExpert = rank.expertMajor(first);
    expect(raw.blocks.size).toBe(numBlocks + 3);
    byExpert.x.dispose();
    byExpert.topkWeights.dispose();
    byExpert.slot.dispose();
    expect(raw.blocks.size).toBe(numBlocks);
  });

  it('refuses a handle that a getter of what it was given has disposed', async () => {
    const { rank, first, raw } = await openReceived();
    const received = {
      ...first,
      get topkWeights() {
        first.handle.dispose();
        return first.topkWeights;
      },
    };
    expect(() => rank.expertMajor(received)).toThrow(EpgenArgumentError);
    expect(raw.launches.at(-1)?.op).toBe('dispatch');
  });

  it('gives its memory back where the arena is too small for all of it', async () => {
    const { rank, first, raw } = await openReceived();
    const numBlocks = raw.blocks.size;
    raw.arenaLeft = 40;
    expect(() => rank.expertMajor(first)).toThrow(EpgenArgumentError);
    expect(raw.blocks.size).toBe(numBlocks);
  });

  it("takes rows of another dispatch with the first one's experts", async () => {
    const { group, rank, first, raw } = await openReceived();
    const [again] = await dispatchAll(group);
    if (again === undefined) throw new Error('nothing received');
    rank.expertMajor({ ...first, x: again.x });
    expect(raw.launches.at(-1)?.call).toMatchObject({ recvX: again.x.pointer });
  });

  it('counts as the dispatch did, whatever became of its result', async () => {
    const { rank, first } = await openReceived();
    first.numTokensPerExpert.fill(1000);
    expect(rank.expertMajor(first).x.shape).toEqual([3, 16]);
  });

  it.each<[string, (received: Awaited<ReturnType<typeof openReceived>>) => unknown, Error]>([
    [
      'rows of another number',
      ({ rank, first }) => rank.expertMajor({ ...first, x: rank.tensor('bf16', [4, 16]) }),
      new EpgenArgumentError(
        'Expected received.x to have 3 rows, those that received.handle received, but received 4',
      ),
    ],
    [
      'another dtype',
      ({ rank, first }) =>
        rank.expertMajor({ ...first, topkIdx: rank.tensor('i32', [3, 2]) as never }),
      new EpgenArgumentError('Expected received.topkIdx to have the dtype i64 but received i32'),
    ],
    [
      'what another rank received',
      ({ rank, second }) => rank.expertMajor(second),
      new EpgenArgumentError(
        'Expected received.handle to belong to rank 0 but received one of rank 1',
      ),
    ],
    [
      'no experts',
      ({ rank, first }) => rank.expertMajor({ ...first, topkIdx: null as never }),
      new EpgenArgumentError(
        'Expected received.topkIdx to be the experts of the rows but received null, since its dispatch was routed by a layout',
      ),
    ],
    [
      'nothing',
      ({ rank }) => rank.expertMajor(undefined as never),
      new EpgenArgumentError('Expected received to be an object but received undefined'),
    ],
    [
      'an unknown option',
      ({ rank, first }) => rank.expertMajor(first, { zeros: true } as never),
      new EpgenArgumentError('Expected options to have only zeroPadding but received zeros'),
    ],
    [
      'an option of another type',
      ({ rank, first }) => rank.expertMajor(first, { zeroPadding: 1 as never }),
      new EpgenArgumentError('Expected options.zeroPadding to be true or false but received 1'),
    ],
  ])('refuses %s', async (_, call, error) => {
    const opened = await openReceived();
    const numLaunches = opened.raw.launches.length;
    expect(() => call(opened)).toThrow(error);
    expect(opened.raw.launches).toHaveLength(numLaunches);
  });

  it('refuses results whose counts nobody waited for', async () => {
    const { group } = openExperts();
    const enqueued = group.enqueueDispatch(
      group.ranks.map((rank) => ({
        x: rank.tensor('bf16', [2, 16]),
        topkIdx: rank.tensor('i64', [2, 2], [0, 1, 2, 3]),
        topkWeights: rank.tensor('f32', [2, 2]),
      })),
    );
    expect(() => group.ranks[0]?.expertMajor(enqueued[0] as never)).toThrow(
      new EpgenUnsupportedError(
        'Expected received to be of a dispatch that waited for its counts, which tell how many rows there will be, but received one that did not',
      ),
    );
  });

  it('refuses stale rows', async () => {
    const { group, rank, first } = await openReceived();
    await dispatchAll(group);
    await dispatchAll(group);
    expect(() => rank.expertMajor(first)).toThrow(EpgenStaleError);
  });

  it('is refused by a spec without it, with what to set', async () => {
    const { group } = openFake();
    const received = await dispatchBoth(group);
    const call = () => group.ranks[0]?.expertMajor(received as never);
    expect(call).toThrow(
      new EpgenUnsupportedError(
        'Expected a module with rank.expertMajor but ep2_h16_bf16 was built without',
        { hint: 'Set ht.expertMajor in the spec and build again.' },
      ),
    );
  });
});

describe('combine of rows by expert', () => {
  it('sums them into the next output buffer first', async () => {
    const { group, raw, rank, other, first, second } = await openReceived();
    const calls = [
      { rank, received: first },
      { rank: other, received: second },
    ].map(({ rank, received }) => ({
      x: rank.tensor('bf16', [3, 16]),
      handle: received.handle,
      expertMajor: rank.expertMajor(received),
    }));
    await group.combine(calls);
    const { offset } = description.sizes.regions.output;
    const ofFirst = raw.launches.filter((launch) => launch.rank === 0).slice(-2);
    expect(ofFirst).toMatchObject([
      {
        op: 'expertSum',
        call: {
          numRows: 3,
          numExpertRows: 3,
          y: calls[0]?.x.pointer,
          slot: calls[0]?.expertMajor.slot.pointer,
          sums: raw.windowBase(0) + BigInt(offset),
          stream: 0,
        },
      },
      { op: 'combine', call: { inputOffset: BigInt(offset) } },
    ]);
  });

  it.each<[string, (received: Awaited<ReturnType<typeof openReceived>>) => unknown, string]>([
    [
      'another number of rows',
      ({ rank, first }) =>
        rank.combine({
          x: rank.tensor('bf16', [4, 16]),
          handle: first.handle,
          expertMajor: rank.expertMajor(first),
        }),
      'Expected x to have 3 rows, those of expertMajor, but received 4',
    ],
    [
      'the buffer that the sums go to',
      ({ rank, first }) =>
        rank.combine({
          x: rank.combineInput(first.handle),
          handle: first.handle,
          expertMajor: rank.expertMajor(first),
        }),
      'Expected x to be a tensor of its own but received that of combineInput, where the sums of expertMajor go',
    ],
    [
      'rows of another rank',
      ({ rank, other, first, second }) =>
        rank.combine({
          x: rank.tensor('bf16', [3, 16]),
          handle: first.handle,
          expertMajor: other.expertMajor(second),
        }),
      'Expected expertMajor to be of the same dispatch as the handle but received that of rank 1',
    ],
    [
      'what expertMajor did not make',
      ({ rank, first }) =>
        rank.combine({
          x: rank.tensor('bf16', [3, 16]),
          handle: first.handle,
          expertMajor: { slot: rank.tensor('i32', [3, 2]) },
        }),
      'Expected expertMajor to be what rank.expertMajor gave rank 0 but received an Object',
    ],
  ])('refuses %s', async (_, call, message) => {
    const opened = await openReceived();
    await expect(async () => call(opened)).rejects.toThrow(new EpgenArgumentError(message));
    expect(opened.raw.launches.filter(({ op }) => op === 'combine')).toEqual([]);
  });

  it('refuses rows by expert of another dispatch', async () => {
    const { group, rank, first } = await openReceived();
    const [again] = await dispatchAll(group);
    if (again === undefined) throw new Error('nothing received');
    const call = rank.combine({
      x: rank.tensor('bf16', [3, 16]),
      handle: first.handle,
      expertMajor: rank.expertMajor(again),
    });
    await expect(call).rejects.toThrow(
      new EpgenArgumentError(
        'Expected expertMajor to be of the same dispatch as the handle but received that of another dispatch',
      ),
    );
  });

  it('is refused by a spec without it', async () => {
    const { group } = openFake();
    const { x, handle } = await dispatchBoth(group);
    const call = group.ranks[0]?.combine({ x, handle, expertMajor: {} } as never);
    await expect(call).rejects.toThrow(
      new EpgenUnsupportedError(
        'Expected the call to be without expertMajor, which ep2_h16_bf16 was built without, but received an Object',
        { hint: 'Set ht.expertMajor in the spec and build again.' },
      ),
    );
  });
});
