import { EpgenArgumentError, EpgenStaleError, EpgenUnsupportedError } from 'epgen/runtime';
import { describe, expect, it } from 'vitest';
import {
  description,
  dispatchBoth,
  dispatchCall,
  openFake,
  openFakeOf,
  rankAt,
  rawError,
  spec,
} from './fake-addon.js';

const { recvX, recvSrcIdx } = description.sizes.regions;

describe('dispatch', () => {
  it('launches every rank and gives views of the first buffer', async () => {
    const { group, raw } = openFake();
    const received = await dispatchBoth(group);
    expect(raw.launches.map(({ op, rank }) => [op, rank])).toEqual([
      ['dispatch', 0],
      ['dispatch', 1],
    ]);
    expect(raw.launches[0]?.call).toMatchObject({ numTokens: 2, buffer: 0, grid: 2, wait: true });
    expect([raw.heldLaunches, raw.numHolds]).toEqual([2, 0]);
    expect(received.x.shape).toEqual([3, 16]);
    expect(received.topkIdx.shape).toEqual([3, 2]);
    expect(received.topkWeights.shape).toEqual([3, 2]);
    expect(received.srcIdx.shape).toEqual([3]);
    expect(received.numTokensPerExpert).toEqual(Int32Array.of(1, 2));
    expect(received.handle).toMatchObject({ numTokens: 2, numRecvTokens: 3, spec: spec.name });
    expect(received.x.pointer).toBe(raw.windowBase(0) + BigInt(recvX.offset));
    expect(received.srcIdx.pointer).toBe(raw.windowBase(0) + BigInt(recvSrcIdx.offset));
  });

  it('rotates through the buffers, and views go stale after liveResults further dispatches', async () => {
    const { group, raw } = openFake();
    const first = await dispatchBoth(group);
    const second = await dispatchBoth(group);
    expect(second.x.pointer).toBe(raw.windowBase(0) + BigInt(recvX.offset + recvX.stride));
    expect(first.x.pointer).toBe(raw.windowBase(0) + BigInt(recvX.offset));
    await dispatchBoth(group);
    expect(() => first.x.pointer).toThrow(EpgenStaleError);
    expect(() => first.x.pointer).toThrow(
      'Expected the tensor to be live, but 2 dispatches were enqueued on rank 0 since; what a dispatch received lives until 2 more are (ht.liveResults), with copy: true until it is disposed',
    );
    await expect(first.topkIdx.toArray()).rejects.toThrow(EpgenStaleError);
    await expect(first.x.copyFrom(new Float32Array(48))).rejects.toThrow(EpgenStaleError);
    expect(second.x.pointer).toBe(raw.windowBase(0) + BigInt(recvX.offset + recvX.stride));
    await dispatchBoth(group);
    expect(raw.launches.at(-1)?.call).toMatchObject({ buffer: 0 });
  });

  it('copies out of the window on request', async () => {
    const { group, raw } = openFake();
    await raw.write(0, raw.windowBase(0) + BigInt(recvSrcIdx.offset), Uint8Array.of(7));
    const calls = group.ranks.map(({ index }) => ({ ...dispatchCall(group, index), copy: true }));
    const [received] = await group.dispatch(calls);
    for (let i = 0; i < 4; i += 1) await dispatchBoth(group);
    expect(await received?.srcIdx.toArray()).toEqual(Int32Array.of(7, 0, 0));
    expect(raw.blocks.has(received?.x.pointer ?? 0n)).toBe(true);
  });

  it('never copies rows that went to a later dispatch', async () => {
    const { group } = openFake();
    const copied = group.dispatch(
      group.ranks.map(({ index }) => ({ ...dispatchCall(group, index), copy: true })),
    );
    const later = [dispatchBoth(group), dispatchBoth(group)];
    await expect(copied).rejects.toThrow(EpgenStaleError);
    await Promise.all(later);
  });

  it('of no tokens passes no addresses', async () => {
    const { group, raw } = openFake();
    raw.counts = async () => ({
      numRecvTokens: 0,
      numTokensPerExpert: Int32Array.of(0, 0),
      numTokensPerRank: new Int32Array(),
    });
    const [received] = await group.dispatch([0, 1].map((i) => dispatchCall(group, i, 0)));
    expect(raw.launches[0]?.call).toMatchObject({ numTokens: 0, x: 0n, topkIdx: 0n });
    expect(received?.x.shape).toEqual([0, 16]);
    expect(await received?.x.toArray()).toEqual(new Uint16Array(0));
  });

  it('enqueued gives all rows that can arrive, and counts in the handle', async () => {
    const { group, raw } = openFake();
    const [received] = group.enqueueDispatch([0, 1].map((i) => dispatchCall(group, i)));
    expect(raw.launches[0]?.call).toMatchObject({ wait: false });
    expect(received?.x.shape).toEqual([16, 16]);
    expect(received?.handle.numRecvTokens).toBeUndefined();
    expect(received?.numRecvTokens.shape).toEqual([1]);
    expect(received?.numTokensPerExpert.shape).toEqual([2]);
    const [{ handle = 0n } = {}] = raw.launches.map(({ call }) => call as { handle: bigint });
    await raw.write(0, handle, Uint8Array.of(5));
    expect(await received?.numRecvTokens.toArray()).toEqual(Int32Array.of(5));
    received?.handle.dispose();
    await expect(received?.numRecvTokens.toArray()).rejects.toThrow('its handle was disposed');
  });

  it('reports an index out of range, and gives the handle back', async () => {
    const { group, raw } = openFake();
    raw.counts = async (rank) => {
      if (rank === 0)
        return {
          numRecvTokens: 0,
          numTokensPerExpert: Int32Array.of(0, 0),
          numTokensPerRank: new Int32Array(),
        };
      const detail = { kind: 'expert-index', rank: 1, token: 17, k: 1, value: 300n };
      throw rawError('EPGEN_ARGUMENT', 'bad index', detail);
    };
    const before = raw.blocks.size;
    const pending = dispatchBoth(group);
    await expect(pending).rejects.toThrow(EpgenArgumentError);
    await expect(pending).rejects.toThrow('rank 1: topkIdx[17][1] is 300, expected -1 or 0..3');
    // Three tensors per rank and rank 0's handle.
    expect(raw.blocks.size).toBe(before + 7);
  });

  const { group } = openFake();
  const { group: sameSpec } = openFake();
  const { group: otherSpec } = openFakeOf({
    ...description,
    spec: { ...spec, name: 'ep2_h16_other' as const },
  });
  const rank = rankAt(group, 0);
  const right = () => dispatchCall(group, 0);
  const disposed = rank.tensor('bf16', [2, 16]);
  disposed.dispose();
  const TOO_MANY = {
    x: rank.tensor('bf16', [9, 16]),
    topkIdx: rank.tensor('i64', [9, 2]),
    topkWeights: rank.tensor('f32', [9, 2]),
  };

  it.each<[string, unknown, typeof EpgenArgumentError | typeof EpgenUnsupportedError, string]>([
    [
      'no call',
      undefined,
      EpgenArgumentError,
      'Expected perRank[0] to be an object but received undefined',
    ],
    [
      'no tensor',
      { ...right(), x: [1, 2] },
      EpgenArgumentError,
      'Expected perRank[0].x to be a tensor of rank 0 with the dtype bf16 but received an array',
    ],
    [
      'a wrong dtype',
      { ...right(), x: rank.tensor('f32', [2, 16]) },
      EpgenArgumentError,
      'Expected perRank[0].x to have the dtype bf16 but received f32',
    ],
    [
      'a wrong hidden',
      { ...right(), x: rank.tensor('bf16', [2, 32]) },
      EpgenArgumentError,
      'Expected perRank[0].x to have the shape [tokens, 16] (hidden of ep2_h16_bf16) but received [2, 32]',
    ],
    [
      'a wrong top-k',
      { ...right(), topkIdx: rank.tensor('i64', [2, 3]) },
      EpgenArgumentError,
      'Expected perRank[0].topkIdx to have the shape [tokens, 2] (topk of ep2_h16_bf16) but received [2, 3]',
    ],
    [
      'one dimension',
      { ...right(), x: rank.tensor('bf16', [16]) },
      EpgenArgumentError,
      'Expected perRank[0].x to have the shape [tokens, 16] (hidden of ep2_h16_bf16) but received [16]',
    ],
    [
      'other rows',
      { ...right(), topkWeights: rank.tensor('f32', [3, 2]) },
      EpgenArgumentError,
      'Expected perRank[0].topkWeights to have as many rows as perRank[0].x, 2, but received 3',
    ],
    [
      'too many tokens',
      TOO_MANY,
      EpgenArgumentError,
      'Expected perRank[0].x to have at most 8 tokens but received 9\nRaise ht.maxTokensPerRank in the spec and build again, or run epgen build with --max-tokens 9.',
    ],
    [
      'another rank',
      { ...right(), x: rankAt(group, 1).tensor('bf16', [2, 16]) },
      EpgenArgumentError,
      'Expected perRank[0].x to belong to rank 0 but received one of rank 1',
    ],
    [
      'another group',
      { ...right(), x: rankAt(sameSpec, 0).tensor('bf16', [2, 16]) },
      EpgenArgumentError,
      'Expected perRank[0].x to belong to rank 0 but received one of rank 0 of another group',
    ],
    [
      'another spec',
      { ...right(), x: otherSpec.ranks[1]?.tensor('bf16', [2, 16]) },
      EpgenArgumentError,
      'Expected perRank[0].x to belong to rank 0 but received one of rank 1 of another group, which was built from ep2_h16_other',
    ],
    [
      'a disposed tensor',
      { ...right(), x: disposed },
      EpgenArgumentError,
      'Expected perRank[0].x to be a live tensor but received one that was disposed',
    ],
    [
      'no weights',
      { ...right(), topkWeights: undefined },
      EpgenArgumentError,
      'Expected perRank[0].topkIdx and perRank[0].topkWeights, both or neither, but received only topkIdx',
    ],
    [
      'no indices',
      { ...right(), topkIdx: undefined },
      EpgenArgumentError,
      'Expected perRank[0].topkIdx and perRank[0].topkWeights, both or neither, but received only topkWeights',
    ],
    [
      'no top-k',
      { x: right().x },
      EpgenArgumentError,
      'Expected perRank[0].topkIdx and perRank[0].topkWeights but received neither\nTo dispatch without them, set ht.withoutTopk in the spec and build again.',
    ],
    [
      'too many channels',
      { ...right(), numChannels: 5 },
      EpgenArgumentError,
      'Expected perRank[0].numChannels to be an integer in 1..4 but received 5',
    ],
    [
      'half a channel',
      { ...right(), numChannels: 0.5 },
      EpgenArgumentError,
      'Expected perRank[0].numChannels to be an integer in 1..4 but received 0.5',
    ],
    [
      'a wrong copy',
      { ...right(), copy: 1 },
      EpgenArgumentError,
      'Expected perRank[0].copy to be true or false but received 1',
    ],
    [
      'worst tokens',
      { ...right(), numWorstTokens: 64 },
      EpgenUnsupportedError,
      'Expected perRank[0] to be without numWorstTokens, which ep2_h16_bf16 was built without, but received 64\nSet ht.worstTokens in the spec and build again.',
    ],
    [
      'what is no stream',
      { ...right(), stream: 'main' },
      EpgenArgumentError,
      "Expected perRank[0].stream to be a stream of rank 0 or a cudaStream_t as a bigint but received 'main'",
    ],
    [
      'a cached handle',
      { ...right(), handle: {} },
      EpgenUnsupportedError,
      'Expected perRank[0] to be without handle, which ep2_h16_bf16 was built without, but received an Object\nSet ht.cached in the spec and build again.',
    ],
    [
      'scales of rows that have none',
      { ...right(), xScales: rank.tensor('f32', [2, 1]) },
      EpgenUnsupportedError,
      "Expected perRank[0] to be without xScales, which ep2_h16_bf16 was built without, but received a Tensor\nSet dtype 'fp8_e4m3' in the spec and build again.",
    ],
    [
      'extras of a spec without',
      { ...right(), extras: rank.tensor('u8', [2, 4]) },
      EpgenUnsupportedError,
      'Expected perRank[0] to be without extras, which ep2_h16_bf16 was built without, but received a Tensor\nSet extraBytes in the spec and build again.',
    ],
    [
      'a layout of a spec without',
      { x: right().x, layout: {} },
      EpgenUnsupportedError,
      'Expected perRank[0] to be without layout, which ep2_h16_bf16 was built without, but received an Object\nSet ht.withoutTopk in the spec and build again.',
    ],
    [
      'an unknown option',
      { ...right(), topk: 2 },
      EpgenArgumentError,
      'Expected perRank[0] to have only x, topkIdx, topkWeights, expertAlignment, numChannels, copy, window, asyncFinish, previousEvent, stream but received topk',
    ],
  ])('refuses %s before anything is launched', async (_name, call, errorClass, message) => {
    const { length } = group.ranks;
    expect(length).toBe(2);
    const pending = group.dispatch([call, dispatchCall(group, 1)] as never);
    await expect(pending).rejects.toThrow(errorClass);
    await expect(pending).rejects.toThrow(new RegExp(`^${escapeRegExp(message)}$`));
    expect(() => group.enqueueDispatch([call, dispatchCall(group, 1)] as never)).toThrow(message);
    await expect(rank.dispatch(call as never)).rejects.toThrow(
      message.replaceAll('perRank[0].', '').replace('perRank[0]', 'the call'),
    );
  });

  it('takes options of other versions where they ask for nothing', async () => {
    const { group } = openFake();
    const calls = group.ranks.map(({ index }) => ({
      ...dispatchCall(group, index),
      ...{ expertAlignment: 1, asyncFinish: false, numWorstTokens: 0, previousEvent: undefined },
    }));
    await expect(group.dispatch(calls as never)).resolves.toHaveLength(2);
  });

  it('passes the number of channels on as the grid', async () => {
    const { group, raw } = openFake();
    await group.dispatch([0, 1].map((i) => ({ ...dispatchCall(group, i), numChannels: 3 + i })));
    expect(raw.launches.map(({ call }) => (call as { grid: number }).grid)).toEqual([3, 4]);
  });

  it('needs one call per rank', async () => {
    const { group, raw } = openFake();
    await expect(group.dispatch([dispatchCall(group, 0)])).rejects.toThrow(
      'Expected an array of 2 calls, one per rank, but received 1',
    );
    expect(() => group.enqueueDispatch(undefined as never)).toThrow(
      'Expected an array of 2 calls, one per rank, but received undefined',
    );
    expect(raw.launches).toEqual([]);
  });

  it('launches no rank when one has no memory left', async () => {
    const { group, raw } = openFake();
    const calls = group.ranks.map(({ index }) => dispatchCall(group, index));
    const before = raw.blocks.size;
    const { alloc } = raw;
    raw.alloc = (rank, bytes) => {
      if (rank === 1) throw rawError('EPGEN_ARGUMENT', 'arena of rank 1 is full');
      return alloc.call(raw, rank, bytes);
    };
    await expect(group.dispatch(calls)).rejects.toThrow('arena of rank 1 is full');
    expect(raw.launches).toEqual([]);
    expect(raw.blocks.size).toBe(before);
  });
});

describe('getDispatchLayout', () => {
  it('gives counts and membership', async () => {
    const { group, raw } = openFake();
    const { topkIdx } = dispatchCall(group, 0);
    const layout = await rankAt(group, 0).getDispatchLayout({ topkIdx });
    expect(layout.numTokensPerRank.shape).toEqual([2]);
    expect(layout.numTokensPerRdmaRank).toBeNull();
    expect(layout.numTokensPerExpert.shape).toEqual([4]);
    expect(layout.isTokenInRank.shape).toEqual([2, 2]);
    expect(raw.launches.map(({ op }) => op)).toEqual(['dispatchLayout']);
    await expect(rankAt(group, 1).getDispatchLayout({ topkIdx })).rejects.toThrow(
      'Expected topkIdx to belong to rank 1 but received one of rank 0',
    );
    const call = dispatchCall(group, 0) as never;
    await expect(rankAt(group, 0).getDispatchLayout(call)).rejects.toThrow(
      new EpgenArgumentError('Expected the call to have only topkIdx but received x'),
    );
    const weighted = { topkIdx, topkWeights: dispatchCall(group, 0).topkWeights };
    await expect(rankAt(group, 0).getDispatchLayout(weighted)).rejects.toThrow(
      new EpgenArgumentError('Expected the call to have only topkIdx but received topkWeights'),
    );
  });
});

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
