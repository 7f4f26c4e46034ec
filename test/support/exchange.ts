import { expect } from 'vitest';
import { stateOf } from '../../native/group.js';
import type { AnyTensor, DispatchCall, Group, Handle, Rank } from '../../native/index.js';
import {
  type Bits,
  cachedDispatchReference,
  combineReference,
  combineWeightsReference,
  type DispatchInput,
  type DispatchOutput,
  type DispatchRows,
  dispatchLayoutReference,
  dispatchWithoutTopkReference,
  type Indices,
  type RoutedOutput,
} from '../../native/reference/index.js';
import type { HighThroughputSpec, Sizes, Spec } from '../../native/spec-types.js';
import type { Built } from './built.js';
import { expectGroups, expectSums } from './by-expert.js';
import {
  bitsOf,
  difference,
  type GotReceived,
  receivedDifferences,
  rowDifferences,
} from './compare.js';
import { drawRows, drawSummed } from './draw.js';
import { expectedOutputs, shapeOf } from './model.js';
import { randomFrom } from './random.js';

export { bitsOf, difference, receivedDifferences } from './compare.js';
export { expectedOutputs } from './model.js';

const poisonByte = 0xa5;

type RegionName = keyof Sizes['regions'];

/** A dispatch's result, of any spec. */
type AnyReceived = GotReceived & { readonly x: AnyTensor; readonly handle: Handle };

/** Kernels that the addon has launched on each rank. */
export function launches(group: Group) {
  return stateOf(group).callSync((raw) => raw.counters());
}

/** Tensors of what travels, bit for bit as the rows have them. */
export function payloadTensors(rank: Rank, spec: Spec, rows: DispatchRows) {
  const { numTokens, x, xScales, extras } = rows;
  const { hidden, scales } = shapeOf(spec);
  const words = scales?.words ?? 0;
  const scaleShape = spec.scaleLayout === 'row' ? [numTokens, words] : [words, numTokens];
  return {
    x: rank.tensor(spec.dtype, [numTokens, hidden], x as never),
    ...(xScales && { xScales: scaleTensor(rank, spec, scaleShape, xScales) }),
    ...(extras && { extras: rank.tensor('u8', [numTokens, spec.extraBytes], extras) }),
  };
}

/** Tensors and options of one rank's dispatch, bit for bit as the input has them. */
export function dispatchCall(rank: Rank, spec: Spec, input: DispatchInput<Bits, Indices>) {
  const { numTokens, topkIdx, topkWeights } = input;
  return {
    ...payloadTensors(rank, spec, input),
    ...callOptions(input),
    topkIdx: rank.tensor(spec.topkIdx, [numTokens, spec.topk], topkIdx as never),
    topkWeights: rank.tensor('f32', [numTokens, spec.topk], floatsOf(topkWeights)),
  } as unknown as DispatchCall<Spec>;
}

/** Fills every buffer of a region on every rank. Only while no call is under way anywhere. */
export async function poisonRegions(
  built: Built,
  group: Group,
  bases: readonly bigint[],
  regions: readonly RegionName[] = allRegions,
  byte = poisonByte,
) {
  await Promise.all(
    group.ranks.flatMap((rank, r) =>
      regions.map(async (name) => {
        const region = built.sizes.regions[name];
        if (region === undefined) return;
        const numBytes = region.stride * (region.numBuffers - 1) + region.bytes;
        const pointer = bases[r]! + BigInt(region.offset);
        await rank
          .tensorFromPointer('u8', [numBytes], pointer)
          .copyFrom(new Uint8Array(numBytes).fill(byte));
      }),
    ),
  );
}

/** What every spec's receive buffers have. */
export const receiveRegions = [
  'recvX',
  'recvTopkIdx',
  'recvTopkWeights',
  'recvSrcIdx',
  'recvChannelPrefix',
] as const;

/** All but the words that calls leave to each other. */
export const allRegions = [
  ...receiveRegions,
  'recvXScales',
  'recvExtras',
  'output',
  'outputWeights',
] as const;

/** Where each rank's window begins. */
export function windowBases(group: Group): bigint[] {
  return stateOf(group).callSync((raw) => group.ranks.map(({ index }) => raw.windowBase(index)));
}

export interface ExchangeOptions {
  readonly seed?: number;
  /** Where the expert outputs come from: the window's output region, the received rows in place, or any tensor. */
  readonly combineFrom?: 'window' | 'received' | 'tensor';
  readonly numChannels?: number;
  /** Routes by the layouts of the inputs' choices in place of the choices. */
  readonly withoutTopk?: boolean;
  /** Whether what arrived is grouped by expert, and combined from there too. */
  readonly byExpert?: boolean;
  /** How many times new rows travel along the handles, before combine. */
  readonly numCached?: number;
  /** Default: as many as the spec has. */
  readonly numBiases?: number;
  /** Whether top-k weights come back with the sums. Default: what the spec says. */
  readonly combineWeights?: boolean;
  /** Where those weights come from: what was received, written in place, or any tensor. Default: a tensor. */
  readonly weightsFrom?: 'received' | 'tensor';
  /** Keeps what earlier calls left in the buffers. */
  readonly keepsBuffers?: boolean;
}

/** One dispatch and one combine, on poisoned buffers; every bit of both compared with the model. */
export async function expectExchange(...call: Parameters<typeof exchange>): Promise<void> {
  await exchange(...call);
}

/** As {@link expectExchange}; gives what combine gave. */
export async function exchange(
  built: Built,
  group: Group,
  bases: readonly bigint[],
  inputs: readonly DispatchInput<Bits, Indices>[],
  options: ExchangeOptions = {},
): Promise<readonly GotCombined[]> {
  if (!options.keepsBuffers) await poisonRegions(built, group, bases);
  const { received, expected } = options.withoutTopk
    ? await dispatchByLayout(built.spec, group, inputs, options)
    : await dispatchByTopk(built.spec, group, inputs, options);
  const differences = await Promise.all(
    received.map((got, r) => receivedDifferences(built.spec, r, got, expected[r]!)),
  );
  expect(differences.flat()).toEqual([]);
  if (!options.keepsBuffers) {
    await Promise.all(
      received.map((got, r) => expectUntouched(built, group.ranks[r]!, got.x, expected[r]!)),
    );
  }
  if (options.byExpert) await expectByExpert(built.spec, group, inputs, received, expected);
  for (let i = 0; i < (options.numCached ?? 0); i++) {
    const seed = (options.seed ?? 1) + i;
    await expectCached(built.spec, group, received, expected, { ...options, seed });
  }
  return expectCombine(built.spec, group, received, expected, options);
}

interface Dispatched {
  readonly received: readonly AnyReceived[];
  readonly expected: readonly RoutedOutput[];
}

export async function dispatchByTopk(
  spec: Spec,
  group: Group,
  inputs: readonly DispatchInput<Bits, Indices>[],
  options: ExchangeOptions = {},
): Promise<Dispatched> {
  const calls = group.ranks.map((rank, r) => ({
    ...dispatchCall(rank, spec, inputs[r]!),
    ...gridOf(options),
  }));
  const received = await group.dispatch(calls as never);
  const expected = expectedOutputs(spec, inputs).map((want, r) => withoutCounts(inputs[r]!, want));
  return { received: received as never, expected };
}

async function expectByExpert(
  spec: Spec,
  group: Group,
  [first]: readonly DispatchRows[],
  received: readonly AnyReceived[],
  expected: readonly RoutedOutput[],
): Promise<void> {
  const options = { expertAlignment: first?.expertAlignment ?? 1, zeroPadding: true };
  const routed = expected as DispatchOutput<Bits, Indices>[];
  const grouped = await expectGroups(spec, group, received, routed, options);
  await expectSums(spec, group, grouped, { seed: options.expertAlignment });
}

/** Nobody waits for counts where the caller says how many rows there are. */
function withoutCounts(input: DispatchRows, want: RoutedOutput): RoutedOutput {
  if (input.numWorstTokens === undefined) return want;
  return { ...want, numTokensPerExpert: new Int32Array() };
}

async function dispatchByLayout(
  spec: Spec,
  group: Group,
  inputs: readonly DispatchInput<Bits, Indices>[],
  options: ExchangeOptions,
): Promise<Dispatched> {
  const topk = group.ranks.map((rank, r) => {
    const { numTokens, topkIdx } = inputs[r]!;
    return { topkIdx: rank.tensor(spec.topkIdx, [numTokens, spec.topk], topkIdx as never) };
  });
  const layouts = await group.getDispatchLayout(topk as never);
  const calls = group.ranks.map((rank, r) => ({
    ...payloadTensors(rank, spec, inputs[r]!),
    ...callOptions(inputs[r]!),
    ...gridOf(options),
    layout: layouts[r]!,
  }));
  const received = await group.dispatch(calls as never);
  const shape = shapeOf(spec);
  const expected = dispatchWithoutTopkReference({
    ...shape,
    perRank: inputs.map((input) => ({
      ...input,
      ...dispatchLayoutReference(shape, input.topkIdx),
    })),
  });
  return {
    received: received as never,
    expected: expected.map((want, r) => withoutCounts(inputs[r]!, want)),
  };
}

/** Sends new rows along the handles; they lie where the model says. */
export async function expectCached(
  spec: Spec,
  group: Group,
  received: readonly AnyReceived[],
  expected: readonly RoutedOutput[],
  options: ExchangeOptions = {},
): Promise<void> {
  const inputs = expected.map(({ handle, numRows }, r) => ({
    ...drawRows(spec, randomFrom(options.seed ?? 1, r, 0xca), handle.slot.length / spec.ranks),
    slot: handle.slot,
    numWorstTokens: numRows,
  }));
  const calls = group.ranks.map((rank, r) => ({
    ...payloadTensors(rank, spec, inputs[r]!),
    ...gridOf(options),
    handle: received[r]!.handle,
  }));
  const again = (await group.dispatch(calls as never)) as unknown as readonly AnyReceived[];
  const want = cachedDispatchReference({ ...shapeOf(spec), perRank: inputs });
  const differences = await Promise.all(
    again.map((got, r) => rowDifferences(spec, r, got, want[r]!)),
  );
  expect(differences.flat()).toEqual([]);
}

/** Combines random expert outputs, biases and weights as the spec has them; compares sums with the model. */
export async function expectCombine(
  spec: HighThroughputSpec,
  group: Group,
  received: readonly AnyReceived[],
  expected: readonly RoutedOutput[],
  options: ExchangeOptions = {},
): Promise<readonly GotCombined[]> {
  const { ranks, hidden, topk, combineDtype: dtype } = spec;
  const { seed = 1, numBiases = spec.ht.biases, combineWeights = spec.ht.combineWeights } = options;
  const perRank = expected.map(({ numRows, handle: { slot } }, r) => {
    const random = randomFrom(seed, r, 0xe0);
    const numElements = (slot.length / ranks) * hidden;
    return {
      slot,
      x: drawSummed(dtype, numRows * hidden, random),
      biases: Array.from({ length: numBiases }, () => drawSummed(dtype, numElements, random)),
      topkWeights: drawSummed('f32', numRows * topk, random),
    };
  });
  const calls = await Promise.all(
    group.ranks.map(async (rank, r) => {
      const { x, biases, topkWeights, slot } = perRank[r]!;
      const rows = (bits: Bits, numRows: number) =>
        rank.tensor(dtype, [numRows, hidden], valuesOf(dtype, bits) as never);
      const bias = biases.map((bits) => rows(bits, slot.length / ranks));
      const { handle } = received[r]!;
      return {
        ...gridOf(options),
        handle,
        x: await combineInput(rank, spec, received[r]!, x, options),
        ...(numBiases > 0 && { bias: bias.length === 1 ? bias[0] : bias }),
        ...(combineWeights && {
          topkWeights: await weightsInput(rank, spec, received[r]!, topkWeights, options),
        }),
      };
    }),
  );
  const combined = (await group.combine(calls as never)) as unknown as readonly GotCombined[];
  const sums = combineReference({ ranks, hidden, dtype, perRank });
  const weights = combineWeights && combineWeightsReference({ ranks, topk, perRank });
  const differences = await Promise.all(
    combined.map(async (got, r) => [
      difference(`rank ${r} combined`, hidden, await bitsIn(got.x), sums[r]!),
      weights && difference(`rank ${r} weights`, topk, await bitsIn(got.topkWeights!), weights[r]!),
    ]),
  );
  expect(differences.flat().filter(Boolean)).toEqual([]);
  return combined;
}

/** What combine gives, of any spec. */
export interface GotCombined {
  readonly x: AnyTensor;
  readonly topkWeights?: AnyTensor | null;
}

async function combineInput(
  rank: Rank,
  spec: Spec,
  { handle, x }: AnyReceived,
  bits: Bits,
  { combineFrom = 'window' }: ExchangeOptions,
): Promise<AnyTensor> {
  const values = valuesOf(spec.combineDtype, bits) as never;
  if (combineFrom === 'tensor') {
    return rank.tensor(spec.combineDtype, [x.shape[0]!, spec.hidden], values);
  }
  const view: AnyTensor = combineFrom === 'window' ? rank.combineInput(handle) : x;
  await view.copyFrom(values);
  return view;
}

async function weightsInput(
  rank: Rank,
  { topk }: Spec,
  { x, topkWeights }: AnyReceived,
  bits: Uint32Array,
  { weightsFrom = 'tensor' }: ExchangeOptions,
): Promise<AnyTensor> {
  const values = floatsOf(bits);
  if (weightsFrom === 'tensor') return rank.tensor('f32', [x.shape[0]!, topk], values);
  const view = topkWeights as AnyTensor;
  await view.copyFrom(values);
  return view;
}

/** Checks that nothing was written but the rows that arrived: what lies between and behind them is still poison. */
async function expectUntouched(
  built: Built,
  rank: Rank,
  x: AnyTensor,
  { arrivals }: Pick<RoutedOutput, 'arrivals'>,
): Promise<void> {
  const { bytes } = built.sizes.regions.recvX;
  const rowBytes = bytes / (built.spec.ranks * built.spec.ht.maxTokensPerRank);
  const region = await rank.tensorFromPointer('u8', [bytes], x.pointer).toArray();
  const arrived = new Set(arrivals.map(({ row }) => row));
  const written = Array.from({ length: bytes / rowBytes }, (_, row) => row).filter(
    (row) =>
      !arrived.has(row) &&
      region.subarray(row * rowBytes, (row + 1) * rowBytes).some((byte) => byte !== poisonByte),
  );
  expect(written, 'rows that did not arrive but were written').toEqual([]);
}

function callOptions({ expertAlignment, numWorstTokens }: DispatchRows) {
  return {
    ...(expertAlignment === undefined ? {} : { expertAlignment }),
    ...(numWorstTokens === undefined ? {} : { numWorstTokens }),
  };
}

function gridOf({ numChannels }: ExchangeOptions) {
  return numChannels === undefined ? {} : { numChannels };
}

function scaleTensor(rank: Rank, spec: Spec, shape: number[], words: Uint32Array): AnyTensor {
  if (spec.scaleDtype === 'f32') return rank.tensor('f32', shape, floatsOf(words));
  return rank.tensor('i32', shape, new Int32Array(words.buffer, words.byteOffset, words.length));
}

function floatsOf(words: Uint32Array): Float32Array {
  return new Float32Array(words.buffer, words.byteOffset, words.length);
}

function valuesOf(dtype: Spec['combineDtype'], bits: Bits): Bits | Float32Array {
  return dtype === 'f32' ? floatsOf(bits as Uint32Array) : bits;
}

async function bitsIn(tensor: AnyTensor): Promise<ArrayLike<number | bigint>> {
  const array = await tensor.toArray();
  return array instanceof Float32Array ? bitsOf(array) : array;
}
