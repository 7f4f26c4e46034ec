import type { Group } from '../../native/group.js';
import { description, openFakeOf, spec } from './fake-addon.js';

// A small spec with low-latency calls over the fake addon, and right arguments of its calls.

const region = (offset: number, bytes: number) => ({
  offset,
  bytes,
  stride: bytes,
  numBuffers: 4,
});

export const low = {
  ...spec,
  name: 'ep2_h16_low',
  ll: {
    maxTokensPerRank: 4,
    inFlight: 2,
    credit: false,
    dtype: 'bf16',
    scaleDtype: 'f32',
    scaleLayout: 'row',
    roundScales: false,
    stats: true,
    combineDtype: 'bf16',
  },
  channels: { ...spec.channels, ll: 3 },
} as const;

export const module = {
  ...description,
  spec: low,
  sizes: {
    ...description.sizes,
    numLlChannels: 3,
    regions: {
      ...description.sizes.regions,
      output: { ...description.sizes.regions.output, bytes: 128, stride: 128 },
      llRecvX: region(3840, 512),
      llRecvSrcIdx: region(5888, 64),
      llOutput: region(6144, 512),
    },
  },
  llHandle: {
    headerBytes: 256,
    fields: { dispatchEpoch: 0, combineEpoch: 4, numTokensPerExpert: 64, layoutRange: 128 },
  },
} as const;

export type Low = Group<typeof low>;

/** A group of it. */
export const open = (numWindows = 1) => openFakeOf<typeof low>(module, numWindows);

/** Of a dispatch of rank `r`. */
export function call(group: Low, r: number, numTokens = 1) {
  const rank = group.ranks[r]!;
  return {
    x: rank.tensor('bf16', [numTokens, 16]),
    topkIdx: rank.tensor('i64', [numTokens, 2]),
  };
}

/** Of the combine after it. */
export function sums(
  group: Low,
  r: number,
  handle: ReturnType<Low['lowLatencyDispatch']>[0]['handle'],
) {
  const rank = group.ranks[r]!;
  return {
    x: rank.tensor('bf16', [2, 8, 16]),
    topkWeights: rank.tensor('f32', [handle.numTokens, 2]),
    handle,
  };
}

type Hook = { readonly hook: (() => void) | null };
export type Sent = Omit<ReturnType<Low['lowLatencyDispatch']>[number], 'hook'> & Hook;
export type Combined = Omit<ReturnType<Low['lowLatencyCombine']>[number], 'hook'> & Hook;

export const hooked = { returnRecvHook: true } as const;

export function both<T>(make: (rank: number) => T): [T, T] {
  return [make(0), make(1)];
}

/** Dispatches on both ranks. */
export function send(group: Low, options: object = {}): Sent[] {
  return group.lowLatencyDispatch(both((r) => ({ ...call(group, r), ...options })));
}

/** Combines what was received; `options` are those of rank 0. */
export function combine(group: Low, received: readonly Sent[], options: object = {}): Combined[] {
  const [first, second] = received.map(({ handle }, r) => sums(group, r, handle));
  return group.lowLatencyCombine([{ ...first!, ...options }, second!] as never) as never;
}
