import { describe, expect, it } from 'vitest';
import type { RawDispatchCall } from '../../native/addon-types.js';
import type { Group } from '../../native/group.js';
import { EpgenArgumentError, EpgenStaleError } from '../../native/index.js';
import { description, openFakeOf, spec } from './fake-addon.js';

// What travels beside rows, and dispatch from a layout: arguments, what the addon hears, and what comes back.

const region = (offset: number, bytes: number) => ({
  offset,
  bytes,
  stride: bytes,
  numBuffers: 3,
});

const scaled = {
  ...spec,
  name: 'ep2_h16_scaled',
  dtype: 'fp8_e4m3',
  scaleBlock: 8,
  extraBytes: 12,
  topkIdx: 'i32',
  ht: { ...spec.ht, withoutTopk: true },
} as const;
const columns = { ...scaled, scaleLayout: 'column' } as const;

/** A module of rows with scales: two words of them beside a token, as f32. */
function moduleOf<S extends typeof scaled | typeof columns>(of: S) {
  const { sizes } = description;
  const regions = {
    ...sizes.regions,
    recvXScales: region(5120, 128),
    recvExtras: region(5632, 256),
  };
  const counts = { numScaleWords: 2, ...(of.scaleLayout === 'column' && { scaleColumnWords: 16 }) };
  return { ...description, spec: of, sizes: { ...sizes, ...counts, regions } };
}

type Scaled = Group<typeof scaled>;
const { group, raw } = openFakeOf<typeof scaled>(moduleOf(scaled));

function payload(of: Scaled, r: number, numTokens = 2) {
  const rank = of.ranks[r] as Scaled['ranks'][number];
  return {
    x: rank.tensor('fp8_e4m3', [numTokens, 16]),
    xScales: rank.tensor('f32', [numTokens, 2]),
    extras: rank.tensor('u8', [numTokens, 12]),
  };
}

function call(of: Scaled, r: number, numTokens = 2) {
  const rank = of.ranks[r] as Scaled['ranks'][number];
  return {
    ...payload(of, r, numTokens),
    topkIdx: rank.tensor('i32', [numTokens, 2]),
    topkWeights: rank.tensor('f32', [numTokens, 2]),
  };
}

function layout(of: Scaled, r: number, numTokens = 2) {
  const rank = of.ranks[r] as Scaled['ranks'][number];
  return {
    isTokenInRank: rank.tensor('u8', [numTokens, 2]),
    numTokensPerExpert: rank.tensor('i32', [4]),
  };
}

const right = call(group, 0);
const first = group.ranks[0] as Scaled['ranks'][number];
const shapes = (tensors: object) =>
  Object.fromEntries(
    Object.entries(tensors).flatMap(([name, tensor]) =>
      tensor !== null && 'shape' in tensor
        ? [[name, `${tensor.dtype} [${tensor.shape.join(', ')}]`]]
        : [],
    ),
  );

describe('a dispatch with scales and extras', () => {
  it('hands all addresses to the addon and gives views of what came', async () => {
    const { group, raw } = openFakeOf<typeof scaled>(moduleOf(scaled));
    const calls = [call(group, 0), call(group, 1)];
    const [received] = await group.dispatch(calls);
    const { x, xScales, extras, topkIdx, topkWeights } = calls[0] as (typeof calls)[number];
    expect(raw.launches[0]?.call).toMatchObject({
      mode: 'topk',
      x: x.pointer,
      xScales: xScales.pointer,
      extras: extras.pointer,
      topkIdx: topkIdx.pointer,
      topkWeights: topkWeights.pointer,
    });
    expect(shapes(received as object)).toEqual({
      x: 'fp8_e4m3 [3, 16]',
      xScales: 'f32 [3, 2]',
      extras: 'u8 [3, 12]',
      topkIdx: 'i32 [3, 2]',
      topkWeights: 'f32 [3, 2]',
      srcIdx: 'i32 [3]',
    });
    const base = raw.windowBase(0);
    expect([received?.xScales.pointer, received?.extras.pointer]).toEqual([
      base + 5120n,
      base + 5632n,
    ]);
  });

  it('keeps columns apart as the window has them, also in copies', async () => {
    const { group } = openFakeOf<typeof columns>(moduleOf(columns));
    const calls = group.ranks.map((rank) => ({
      x: rank.tensor('fp8_e4m3', [5, 16]),
      xScales: rank.tensor('f32', [2, 5]),
      extras: rank.tensor('u8', [5, 12]),
      topkIdx: rank.tensor('i32', [5, 2]),
      topkWeights: rank.tensor('f32', [5, 2]),
    }));
    const [view] = await group.dispatch(calls);
    const [copy] = await group.dispatch(calls.map((one) => ({ ...one, copy: true })));
    expect([view?.xScales.shape, copy?.xScales.shape]).toEqual([
      [2, 16],
      [2, 16],
    ]);
  });

  it.each<[string, object, string]>([
    [
      'no scales',
      { ...right, xScales: undefined },
      'Expected xScales to be a tensor of rank 0 with the dtype f32 but received undefined',
    ],
    [
      'scales of another size',
      { ...right, xScales: first.tensor('f32', [2, 3]) },
      'Expected xScales to have the shape [tokens, 2] (scales of a token of ep2_h16_scaled) but received [2, 3]',
    ],
    [
      'scales of other tokens',
      { ...right, xScales: first.tensor('f32', [3, 2]) },
      'Expected xScales to have as many rows as x, 2, but received 3',
    ],
    [
      'packed scales',
      { ...right, xScales: first.tensor('i32', [2, 2]) },
      'Expected xScales to have the dtype f32 but received i32',
    ],
    [
      'extras of another size',
      { ...right, extras: first.tensor('u8', [2, 16]) },
      'Expected extras to have the shape [tokens, 12] (extraBytes of ep2_h16_scaled) but received [2, 16]',
    ],
    [
      'indices of another width',
      { ...right, topkIdx: first.tensor('i64', [2, 2]) },
      'Expected topkIdx to have the dtype i32 but received i64',
    ],
    [
      'neither choices nor a layout',
      payload(group, 0),
      'Expected topkIdx and topkWeights, or layout, but received none of them',
    ],
    [
      'choices and a layout',
      { ...right, layout: layout(group, 0) },
      'Expected layout in place of topkIdx and topkWeights but received both',
    ],
    [
      'a layout that is none',
      { ...payload(group, 0), layout: 7 },
      'Expected layout to be what getDispatchLayout gave rank 0 but received 7',
    ],
    [
      'a layout of another rank',
      { ...payload(group, 0), layout: layout(group, 1) },
      'Expected layout.isTokenInRank to belong to rank 0 but received one of rank 1',
    ],
    [
      'a layout of other tokens',
      { ...payload(group, 0), layout: layout(group, 0, 3) },
      'Expected layout.isTokenInRank to have as many rows as x, 2, but received 3',
    ],
    [
      'counts of other experts',
      {
        ...payload(group, 0),
        layout: { ...layout(group, 0), numTokensPerExpert: first.tensor('i32', [2]) },
      },
      'Expected layout.numTokensPerExpert to have the shape [4] (experts of ep2_h16_scaled) but received [2]',
    ],
  ])('refuses %s before anything is launched', async (_name, wrong, message) => {
    const pending = first.dispatch(wrong as never);
    await expect(pending).rejects.toThrow(EpgenArgumentError);
    await expect(pending).rejects.toThrow(message);
    expect(raw.launches).toEqual([]);
  });

  it('says how many columns it wants', async () => {
    const { group } = openFakeOf<typeof columns>(moduleOf(columns));
    const [rank] = group.ranks;
    const wrong = {
      x: rank?.tensor('fp8_e4m3', [5, 16]),
      xScales: rank?.tensor('f32', [2, 4]),
    };
    await expect(rank?.dispatch(wrong as never)).rejects.toThrow(
      'Expected xScales to have as many columns as x has rows, 5, but received 4',
    );
  });
});

describe('a dispatch from a layout', () => {
  it('hands the layout to the addon and gives no choices', async () => {
    const { group, raw } = openFakeOf<typeof scaled>(moduleOf(scaled));
    const calls = [0, 1].map((r) => ({ ...payload(group, r), layout: layout(group, r) }));
    const [received] = await group.dispatch(calls);
    const { isTokenInRank, numTokensPerExpert } = calls[0]?.layout ?? layout(group, 0);
    const launched = raw.launches[0]?.call as RawDispatchCall;
    expect(launched).toMatchObject({
      mode: 'layout',
      isTokenInRank: isTokenInRank.pointer,
      numTokensPerExpert: numTokensPerExpert.pointer,
    });
    expect([launched.topkIdx, launched.topkWeights]).toEqual([undefined, undefined]);
    const none: null | undefined = received?.topkIdx;
    expect([none, received?.topkWeights]).toEqual([null, null]);
    const [enqueued] = group.enqueueDispatch(calls);
    expect([enqueued?.topkIdx, enqueued?.x.shape]).toEqual([null, [16, 16]]);
  });

  it('is refused where another rank dispatches with choices', async () => {
    const { group, raw } = openFakeOf<typeof scaled>(moduleOf(scaled));
    const pending = group.ranks[0]?.dispatch(call(group, 0));
    const other = { ...payload(group, 1), layout: layout(group, 1) };
    await expect(group.ranks[1]?.dispatch(other)).rejects.toThrow(
      'Expected call 1 of rank 1 to be dispatch, as on rank 0, but received dispatch from a layout',
    );
    await pending;
    expect(raw.launches).toHaveLength(1);
  });
});

describe('handle.recvSrcIdx', () => {
  it('reads the window for as long as the rows live', async () => {
    const { group, raw } = openFakeOf<typeof scaled>(moduleOf(scaled));
    const both = () => group.dispatch([call(group, 0), call(group, 1)]);
    const [received] = await both();
    await raw.write(0, raw.windowBase(0) + 2816n, new Uint8Array(Int32Array.of(4, 1, 7).buffer));
    const handle = received?.handle;
    await expect(handle?.recvSrcIdx()).resolves.toEqual(Int32Array.of(4, 1, 7));
    await both();
    await both();
    const pending = handle?.recvSrcIdx();
    await expect(pending).rejects.toThrow(EpgenStaleError);
    await expect(pending).rejects.toThrow('Expected recvSrcIdx of the handle to be live, but ');
    handle?.dispose();
    await expect(handle?.recvSrcIdx()).rejects.toThrow('one that was disposed');
  });
});
