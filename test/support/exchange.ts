import { expect } from 'vitest';
import { stateOf } from '../../native/group.js';
import type { Group, Rank, Received } from '../../native/index.js';
import {
  combineReference,
  type DispatchInput,
  type DispatchOutput,
  dispatchReference,
} from '../../native/reference/index.js';
import type { Sizes, Spec } from '../../native/spec-types.js';
import type { Built } from './built.js';
import { randomFrom } from './random.js';

const poisonByte = 0xa5;

type RegionName = keyof Sizes['regions'];

/** Kernels that the addon has launched on each rank. */
export function launches(group: Group) {
  return stateOf(group).callSync((raw) => raw.counters());
}

/** Tensors of one rank's dispatch, bit for bit as the input has them. */
export function dispatchCall(rank: Rank, spec: Spec, input: DispatchInput) {
  const weights = new Float32Array(
    input.topkWeights.buffer,
    input.topkWeights.byteOffset,
    input.topkWeights.length,
  );
  return {
    x: rank.tensor('bf16', [input.numTokens, spec.hidden], input.x),
    topkIdx: rank.tensor('i64', [input.numTokens, spec.topk], input.topkIdx),
    topkWeights: rank.tensor('f32', [input.numTokens, spec.topk], weights),
  };
}

/** What the model says about this call. */
export function expectedOutputs(spec: Spec, inputs: readonly DispatchInput[]): DispatchOutput[] {
  return dispatchReference({
    ranks: spec.ranks,
    experts: spec.experts,
    topk: spec.topk,
    hidden: spec.hidden,
    numChannels: spec.channels.memory.count,
    perRank: inputs,
  });
}

/** Random expert outputs for each received row. */
export function expertOutputs(
  expected: readonly DispatchOutput[],
  spec: Spec,
  seed: number,
): Uint16Array[] {
  return expected.map(({ numRecvTokens }, rank) => {
    const random = randomFrom(seed, rank, 0xe0);
    return Uint16Array.from({ length: numRecvTokens * spec.hidden }, () => random(0x10000));
  });
}

/** The first difference, in words; undefined when the bits are the same. */
export function difference(
  what: string,
  width: number,
  got: ArrayLike<number | bigint>,
  want: ArrayLike<number | bigint>,
): string | undefined {
  if (got.length !== want.length) return `${what}: ${got.length} elements, expected ${want.length}`;
  for (let i = 0; i < want.length; i++) {
    if (got[i] !== want[i]) {
      return `${what}[${Math.floor(i / width)}][${i % width}]: got ${got[i]}, expected ${want[i]}`;
    }
  }
  return undefined;
}

/** Compares all that one rank received, handle included, with the model. Returns the differences. */
export async function receivedDifferences(
  spec: Spec,
  rank: number,
  got: Received<Spec>,
  want: DispatchOutput,
): Promise<string[]> {
  const at = (field: string) => `rank ${rank} ${field}`;
  const weights = await got.topkWeights.toArray();
  const count = spec.channels.memory.count;
  return [
    difference(at('x'), spec.hidden, await got.x.toArray(), want.x),
    difference(at('topkIdx'), spec.topk, await got.topkIdx.toArray(), want.topkIdx),
    difference(at('topkWeights'), spec.topk, bitsOf(weights), want.topkWeights),
    difference(at('srcIdx'), 1, await got.srcIdx.toArray(), want.srcIdx),
    difference(at('numTokensPerExpert'), 1, got.numTokensPerExpert, want.numTokensPerExpert),
    difference(at('slot'), spec.ranks, await got.handle.slot(), want.handle.slot),
    difference(
      at('rankPrefixMatrix'),
      spec.ranks,
      await got.handle.rankPrefixMatrix(),
      want.handle.rankPrefixMatrix,
    ),
    difference(
      at('channelPrefixMatrix'),
      count,
      await got.handle.channelPrefixMatrix(),
      want.handle.channelPrefixMatrix,
    ),
    difference(
      at('recvChannelPrefixMatrix'),
      count,
      await got.handle.recvChannelPrefixMatrix(),
      want.handle.recvChannelPrefixMatrix,
    ),
    difference(
      at('isTokenInRank'),
      spec.ranks,
      await got.handle.isTokenInRank(),
      want.handle.isTokenInRank,
    ),
  ].filter((text) => text !== undefined);
}

export function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

/** Fills every buffer of a region on every rank. Only while no call is under way anywhere. */
export async function poisonRegions(
  built: Built,
  group: Group,
  bases: readonly bigint[],
  regions: readonly RegionName[],
) {
  await Promise.all(
    group.ranks.flatMap((rank, r) =>
      regions.map((name) => {
        const region = built.sizes.regions[name];
        const numBytes = region.stride * (region.numBuffers - 1) + region.bytes;
        const pointer = bases[r]! + BigInt(region.offset);
        return rank
          .tensorFromPointer('u8', [numBytes], pointer)
          .copyFrom(new Uint8Array(numBytes).fill(poisonByte));
      }),
    ),
  );
}

export const receiveRegions = [
  'recvX',
  'recvTopkIdx',
  'recvTopkWeights',
  'recvSrcIdx',
  'recvChannelPrefix',
] as const;

/** Where each rank's window begins. */
export function windowBases(group: Group): bigint[] {
  return stateOf(group).callSync((raw) => group.ranks.map(({ index }) => raw.windowBase(index)));
}

/** Checks that nothing was written behind the rows that arrived: the rest of the buffer is still poison. */
export async function expectUntouchedTail(
  built: Built,
  rank: Rank,
  received: Received<Spec>,
): Promise<void> {
  const region = built.sizes.regions.recvX;
  const used = received.x.shape[0] * built.spec.hidden * 2;
  if (used === region.bytes) return;
  const tail = rank.tensorFromPointer(
    'u8',
    [region.bytes - used],
    received.x.pointer + BigInt(used),
  );
  const firstWrite = (await tail.toArray()).findIndex((byte) => byte !== poisonByte);
  expect(firstWrite, 'first byte written behind the received rows').toBe(-1);
}

export interface ExchangeOptions {
  readonly seed?: number;
  /** Where the expert outputs come from: the window's output region, the received rows in place, or any tensor. */
  readonly combineFrom?: 'window' | 'received' | 'tensor';
  readonly numChannels?: number;
}

/** One dispatch and one combine on poisoned buffers; every bit of both compared with the model. */
export async function expectExchange(
  built: Built,
  group: Group,
  bases: readonly bigint[],
  inputs: readonly DispatchInput[],
  { seed = 1, combineFrom = 'window', numChannels }: ExchangeOptions = {},
): Promise<void> {
  const { spec } = built;
  const expected = expectedOutputs(spec, inputs);
  const grid = numChannels === undefined ? {} : { numChannels };
  await poisonRegions(built, group, bases, [...receiveRegions, 'output']);

  const received = await group.dispatch(
    group.ranks.map((rank, r) => ({ ...dispatchCall(rank, spec, inputs[r]!), ...grid })),
  );
  const differences = await Promise.all(
    received.map((got, r) => receivedDifferences(spec, r, got, expected[r]!)),
  );
  expect(differences.flat()).toEqual([]);
  await Promise.all(received.map((got, r) => expectUntouchedTail(built, group.ranks[r]!, got)));

  const outputs = expertOutputs(expected, spec, seed);
  const combineCalls = await Promise.all(
    received.map(async ({ handle, x }, r) => {
      const rank = group.ranks[r]!;
      const bits = outputs[r]!;
      if (combineFrom === 'tensor') {
        return { x: rank.tensor('bf16', [x.shape[0], spec.hidden], bits), handle, ...grid };
      }
      const view = combineFrom === 'window' ? rank.combineInput(handle) : x;
      await view.copyFrom(bits);
      return { x: view, handle, ...grid };
    }),
  );
  const combined = await group.combine(combineCalls);
  const want = combineReference({
    ranks: spec.ranks,
    hidden: spec.hidden,
    perRank: expected.map(({ handle }, r) => ({ x: outputs[r]!, slot: handle.slot })),
  });
  const got = await Promise.all(combined.map((result) => result.x.toArray()));
  expect(
    got
      .map((bits, r) => difference(`rank ${r} combined`, spec.hidden, bits, want[r]!))
      .filter(Boolean),
  ).toEqual([]);
}
