import { expect } from 'vitest';
import { stateOf } from '../../native/group.js';
import type { AnyTensor, Group, Rank } from '../../native/index.js';
import {
  type LowLatencyCast,
  type LowLatencyInput,
  type LowLatencyOutput,
  lowLatencyCombineReference,
  lowLatencyDispatchReference,
  scaleIndex,
  scaleLength,
} from '../../native/reference/index.js';
import type { Spec } from '../../native/spec-types.js';
import type { Built } from './built.js';
import { difference } from './compare.js';
import { drawSummed } from './draw.js';
import { poisonRegions, windowBases } from './exchange.js';
import { type Random, randomFrom } from './random.js';
import { dispatchInputs, type RoutingPattern, routingPatterns } from './routing.js';

/** Every way to choose experts. */
export const patterns = Object.keys(routingPatterns) as readonly RoutingPattern[];

/** What one rank sends, and the weights with which it sums what comes back. */
export interface LowLatencyTokens extends LowLatencyInput {
  /** f32 bits [T][topk]. */
  readonly topkWeights: Uint32Array;
}

/** The low-latency part of a spec that has one. */
export function llOf({ ll }: Spec) {
  if (!ll) throw new Error('a spec without low-latency calls');
  return ll;
}

/** R·M: rows that an expert has. */
export function rowsPerExpert(spec: Spec): number {
  return spec.ranks * llOf(spec).maxTokensPerRank;
}

function numRowsOf(spec: Spec): number {
  return (spec.experts / spec.ranks) * rowsPerExpert(spec);
}

/** The cast that the spec's dispatch makes; undefined where rows arrive as they were sent. */
export function castOf(spec: Spec): LowLatencyCast | undefined {
  const { dtype, scaleDtype, scaleLayout, roundScales } = llOf(spec);
  if (dtype === 'bf16') return undefined;
  const words = spec.hidden / (scaleDtype === 'ue8m0' ? 512 : 128);
  const columnWords = Math.ceil(rowsPerExpert(spec) / 4) * 4;
  const scales = scaleLayout === 'row' ? { words } : { words, columnWords };
  return { scaleDtype, roundScales, scales };
}

/** What the model says about a dispatch. */
export function expectedRows(spec: Spec, inputs: readonly LowLatencyInput[]): LowLatencyOutput[] {
  const cast = castOf(spec);
  return lowLatencyDispatchReference({
    ...spec,
    maxTokensPerRank: llOf(spec).maxTokensPerRank,
    ...(cast && { cast }),
    perRank: inputs,
  });
}

/** What the model says about a combine of `outputs`. */
export function expectedSums(
  spec: Spec,
  inputs: readonly LowLatencyTokens[],
  want: readonly LowLatencyOutput[],
  outputs: readonly Uint16Array[],
): Uint16Array[] {
  return lowLatencyCombineReference({
    ...spec,
    transport: llOf(spec).combineDtype,
    perRank: inputs.map(({ topkWeights }, r) => {
      return { topkWeights, x: outputs[r]!, slot: want[r]!.slot };
    }),
  });
}

/** Tokens of all ranks: the same seed always gives the same bits. Rows are of every kind that a cast can tell apart. */
export function drawTokens(
  spec: Spec,
  options: {
    readonly seed: number;
    readonly numTokens: readonly number[];
    readonly pattern: RoutingPattern;
  },
): LowLatencyTokens[] {
  const { ranks, experts, topk, hidden } = spec;
  const routed = dispatchInputs({ ranks, experts, topk, hidden: 0, ...options });
  return routed.map(({ numTokens, topkIdx }, rank) => {
    const random = randomFrom(options.seed, rank, 0x11);
    return {
      numTokens,
      x: drawBlocks(numTokens * hidden, random),
      topkIdx: spec.topkIdx === 'i64' ? topkIdx : Int32Array.from(topkIdx, Number),
      topkWeights: drawSummed('f32', topkIdx.length, random),
    };
  });
}

const bf16Infinity = 0x7f80;

type DrawElement = (random: Random) => number;

const blockKinds: readonly DrawElement[] = [
  (random) => random(0x10000),
  (random) => random(0x10000),
  // Of like size: from 1/8 to 8.
  (random) => random(2) * 0x8000 + 0x3e00 + random(0x300),
  (random) => random(2) * 0x8000 + 0x3e00 + random(0x300),
  // Below the least that a block counts for.
  (random) => random(2) * 0x8000 + random(0x3800),
  (random) => random(2) * 0x8000,
  (random) => (random(64) === 0 ? random(2) * 0x8000 + bf16Infinity + random(0x80) : 0x4000),
];

/** bf16 bits, 64 elements of one kind after the other. */
function drawBlocks(length: number, random: Random): Uint16Array {
  const bits = new Uint16Array(length);
  for (let first = 0; first < length; first += 64) {
    const draw = blockKinds[random(blockKinds.length)]!;
    for (let i = first; i < Math.min(first + 64, length); i++) bits[i] = draw(random);
  }
  return bits;
}

/** Expert outputs of all ranks: numbers to sum in the rows that arrived, NaNs in all others. */
export function drawOutputs(
  spec: Spec,
  want: readonly LowLatencyOutput[],
  seed: number,
): Uint16Array[] {
  const { hidden } = spec;
  return want.map(({ numTokensPerExpert }, rank) => {
    const random = randomFrom(seed, rank, 0x12);
    const outputs = new Uint16Array(numRowsOf(spec) * hidden).fill(0x7fc1);
    numTokensPerExpert.forEach((count, expert) => {
      const first = expert * rowsPerExpert(spec) * hidden;
      outputs.set(drawSummed('bf16', count * hidden, random), first);
    });
    return outputs;
  });
}

/** What low-latency dispatch gives, of any spec. */
export type GotLowLatency = ReturnType<Group['lowLatencyDispatch']>[number];
type GotSums = ReturnType<Group['lowLatencyCombine']>[number];
type DispatchCalls = Parameters<Group['lowLatencyDispatch']>[0];
type CombineCalls = Parameters<Group['lowLatencyCombine']>[0];

/** Tensors of one rank's tokens. */
export function tokenTensors(rank: Rank, spec: Spec, input: LowLatencyTokens) {
  const { numTokens, x, topkIdx, topkWeights } = input;
  const shape = [numTokens, spec.topk];
  return {
    x: rank.tensor('bf16', [numTokens, spec.hidden], x),
    topkIdx: rank.tensor(spec.topkIdx, shape, topkIdx as never) as AnyTensor,
    topkWeights: rank.tensor('f32', shape, floatsOf(topkWeights)),
  };
}

/** A tensor for the outputs of one rank's experts. */
export function outputTensor(rank: Rank, spec: Spec, values?: Uint16Array) {
  const shape = [spec.experts / spec.ranks, rowsPerExpert(spec), spec.hidden] as const;
  return rank.tensor('bf16', shape, values);
}

/** Sends each rank's tokens; `options` are those of the call. */
export function dispatchTokens(
  group: Group,
  spec: Spec,
  inputs: readonly LowLatencyTokens[],
  options: object | ((rank: number) => object) = {},
): GotLowLatency[] {
  const calls = group.ranks.map((rank, r) => {
    const { x, topkIdx } = tokenTensors(rank, spec, inputs[r]!);
    return { x, topkIdx, ...optionsOf(options, r) };
  });
  return group.lowLatencyDispatch(calls as never as DispatchCalls);
}

/** Sums each rank's tokens. `x` gives what the rank's experts gave, by default a tensor of `outputs`. */
export function combineTokens(
  group: Group,
  spec: Spec,
  { inputs, received, outputs }: Flight,
  options: object | ((rank: number) => object) = {},
): GotSums[] {
  const calls = group.ranks.map((rank, r) => {
    const { numTokens, topkWeights } = inputs[r]!;
    const given = optionsOf(options, r);
    return {
      x: 'x' in given ? given.x : outputTensor(rank, spec, outputs[r]!),
      topkWeights: rank.tensor('f32', [numTokens, spec.topk], floatsOf(topkWeights)),
      handle: received[r]!.handle,
      ...given,
    };
  });
  return group.lowLatencyCombine(calls as never as CombineCalls);
}

function optionsOf(options: object | ((rank: number) => object), rank: number): object {
  return typeof options === 'function' ? options(rank) : options;
}

/** A dispatch, and what is to be combined after it. */
export interface Flight {
  readonly inputs: readonly LowLatencyTokens[];
  readonly want: readonly LowLatencyOutput[];
  readonly received: readonly GotLowLatency[];
  readonly outputs: readonly Uint16Array[];
}

/** Calls the hooks of results, on all ranks. */
export function callHooks(results: readonly { readonly hook: (() => void) | null }[]): void {
  for (const { hook } of results) hook!();
}

/** Reads what a dispatch delivered, in order with the ranks' other work. Gives the differences from the model. */
export async function receivedFlaws(
  spec: Spec,
  what: string,
  received: readonly GotLowLatency[],
  want: readonly LowLatencyOutput[],
): Promise<string[]> {
  const flaws = received.map(async (got, r) => {
    const of = want[r]!;
    const at = (field: string) => `${what} rank ${r} ${field}`;
    const [counts, countsOfHandle, ranges, srcIdx, slot, x, xScales] = await Promise.all([
      got.numTokensPerExpert.toArray(),
      got.handle.numTokensPerExpert(),
      got.handle.layoutRange(),
      got.handle.srcInfo(),
      got.handle.slot(),
      got.x.toArray(),
      scalesOf(got)?.toArray(),
    ]);
    const rows = arrivedRows(spec, of);
    return [
      difference(at('numTokensPerExpert'), 1, counts, of.numTokensPerExpert),
      difference(at('handle.numTokensPerExpert'), 1, countsOfHandle, of.numTokensPerExpert),
      difference(at('layoutRange'), spec.ranks, ranges, of.layoutRange),
      difference(at('slot'), spec.topk, slot, of.slot),
      rowsDifference(at('srcIdx'), 1, rows, srcIdx, of.srcIdx),
      rowsDifference(at('x'), spec.hidden, rows, x, of.x),
      of.xScales && scalesDifference(at('xScales'), spec, rows, xScales, of.xScales),
    ];
  });
  return (await Promise.all(flaws)).flat().filter((text) => text !== undefined);
}

/** Reads the sums of a combine; gives the differences from the model. */
export async function sumsFlaws(
  spec: Spec,
  what: string,
  combined: readonly GotSums[],
  { inputs, want, outputs }: Omit<Flight, 'received'>,
): Promise<string[]> {
  // Before anything else is enqueued.
  const read = combined.map(({ x }) => x.toArray());
  const sums = expectedSums(spec, inputs, want, outputs);
  const flaws = read.map(async (got, r) =>
    difference(`${what} rank ${r} sums`, spec.hidden, await got, sums[r]!),
  );
  return (await Promise.all(flaws)).filter((text) => text !== undefined);
}

function scalesOf(received: GotLowLatency): AnyTensor | undefined {
  return (received as { readonly xScales?: AnyTensor }).xScales;
}

/** Rows of [experts / ranks][R·M] that are defined. */
function arrivedRows(spec: Spec, { numTokensPerExpert }: LowLatencyOutput): number[] {
  return Array.from(numTokensPerExpert).flatMap((count, expert) =>
    Array.from({ length: count }, (_, row) => expert * rowsPerExpert(spec) + row),
  );
}

type Numbers = ArrayLike<number | bigint>;

function rowsDifference(
  what: string,
  width: number,
  rows: readonly number[],
  got: Numbers,
  want: Numbers,
): string | undefined {
  if (got.length !== want.length) return `${what}: ${got.length} elements, expected ${want.length}`;
  for (const row of rows) {
    for (let i = row * width; i < (row + 1) * width; i++) {
      if (got[i] !== want[i]) {
        return `${what}[${row}][${i - row * width}]: got ${got[i]}, expected ${want[i]}`;
      }
    }
  }
  return undefined;
}

function scalesDifference(
  what: string,
  spec: Spec,
  rows: readonly number[],
  got: Numbers | undefined,
  want: Uint32Array,
): string | undefined {
  if (got === undefined) return `${what}: not there`;
  if (got.length !== want.length) return `${what}: ${got.length} words, expected ${want.length}`;
  const bits = bitsOfWords(got);
  for (const row of rows) {
    for (const word of scaleWordsOf(spec, row)) {
      if (bits[word] !== want[word])
        return `${what} of row ${row}, word ${word}: got ${bits[word]}, expected ${want[word]}`;
    }
  }
  return undefined;
}

/** Where the scales of a row of [experts / ranks][R·M] lie. */
function scaleWordsOf(spec: Spec, row: number): number[] {
  const { scales } = castOf(spec)!;
  const numRows = rowsPerExpert(spec);
  const first = Math.floor(row / numRows) * scaleLength(scales, numRows);
  return Array.from(
    { length: scales.words },
    (_, word) => first + scaleIndex(scales, row % numRows, word),
  );
}

function bitsOfWords(words: Numbers): Uint32Array {
  const { buffer, byteOffset, length } = words as Float32Array | Int32Array;
  return new Uint32Array(buffer, byteOffset, length);
}

export interface LowLatencyOptions {
  /** Default: as the runtime chooses. */
  readonly numChannels?: number | ((rank: number) => number);
  /** Default: a tensor. */
  readonly combineFrom?: 'window' | 'tensor';
  /** Sends and receives in calls of their own. */
  readonly hooks?: boolean;
  /** Gives combine tensors for its sums. */
  readonly givesOut?: boolean;
  readonly window?: number;
  /** Keeps what earlier calls left in the buffers. */
  readonly keepsBuffers?: boolean;
}

export const lowLatencyRegions = ['llRecvX', 'llRecvXScales', 'llRecvSrcIdx', 'llOutput'] as const;

const poisonByte = 0xa5;

/** One dispatch and one combine, on poisoned buffers: every bit of both as the model says, and nothing else written. */
export async function expectLowLatency(
  built: Built,
  group: Group,
  inputs: readonly LowLatencyTokens[],
  options: LowLatencyOptions = {},
): Promise<void> {
  const { spec } = built;
  const { numChannels, hooks = false, window = 0 } = options;
  const bases = windowBases(group);
  const poisons = !options.keepsBuffers && window === 0;
  if (poisons) await poisonRegions(built, group, bases, lowLatencyRegions, poisonByte);
  const callOptions = (r: number) => ({
    returnRecvHook: hooks,
    ...(numChannels !== undefined && {
      numChannels: typeof numChannels === 'number' ? numChannels : numChannels(r),
    }),
  });

  const received = dispatchTokens(group, spec, inputs, (r) => ({ ...callOptions(r), window }));
  if (hooks) callHooks(received);
  const want = expectedRows(spec, inputs);
  expect(await receivedFlaws(spec, 'dispatch', received, want)).toEqual([]);
  if (poisons) await expectUntouched(built, group, bases, received, want);

  const outputs = drawOutputs(spec, want, 1 + inputs.length);
  const flight = { inputs, want, received, outputs };
  const xs = await Promise.all(
    group.ranks.map(async (rank, r) => {
      if (options.combineFrom !== 'window') return outputTensor(rank, spec, outputs[r]!);
      const view = rank.getNextLowLatencyCombineBuffer(received[r]!.handle);
      await view.copyFrom(outputs[r]!);
      return view;
    }),
  );
  const combined = combineTokens(group, spec, flight, (r) => ({
    ...callOptions(r),
    x: xs[r],
    ...(options.givesOut && {
      out: group.ranks[r]!.tensor('bf16', [inputs[r]!.numTokens, spec.hidden]),
    }),
  }));
  if (hooks) callHooks(combined);
  expect(await sumsFlaws(spec, 'combine', combined, flight)).toEqual([]);
}

/** Checks that a dispatch into poisoned buffers wrote the rows that arrived, in one buffer, and nothing else. */
async function expectUntouched(
  built: Built,
  group: Group,
  bases: readonly bigint[],
  received: readonly GotLowLatency[],
  want: readonly LowLatencyOutput[],
): Promise<void> {
  const { spec } = built;
  const { regions } = built.sizes;
  const rowBytes = regions.llRecvX!.bytes / numRowsOf(spec);
  const found = group.ranks.map(async (rank, r) => {
    const base = bases[r]!;
    const buffer =
      Number(received[r]!.x.pointer - base - BigInt(regions.llRecvX!.offset)) /
      regions.llRecvX!.stride;
    expect(Number.isInteger(buffer), `rank ${r} x begins with a buffer`).toBe(true);
    const rows = arrivedRows(spec, want[r]!);
    const written = {
      llRecvX: rows.map((row) => [row * rowBytes, rowBytes] as const),
      llRecvSrcIdx: rows.map((row) => [row * 4, 4] as const),
      llRecvXScales:
        regions.llRecvXScales === undefined
          ? []
          : rows.flatMap((row) => scaleWordsOf(spec, row).map((word) => [word * 4, 4] as const)),
    };
    const flaws = Object.entries(written).map(async ([name, stretches]) => {
      const region = regions[name as keyof typeof regions];
      if (region === undefined) return undefined;
      const length = region.stride * (region.numBuffers - 1) + region.bytes;
      const pointer = base + BigInt(region.offset);
      const bytes = (await rank.tensorFromPointer('u8', [length], pointer).toArray()).slice();
      for (const [first, numBytes] of stretches) {
        const from = buffer * region.stride + first;
        bytes.fill(poisonByte, from, from + numBytes);
      }
      const at = bytes.findIndex((byte) => byte !== poisonByte);
      return at < 0 ? undefined : `rank ${r} ${name}: byte ${at} was written`;
    });
    return Promise.all(flaws);
  });
  expect((await Promise.all(found)).flat().filter((flaw) => flaw !== undefined)).toEqual([]);
}

/** Has all that `enqueue` calls there before any of it runs: delays count against calls that follow them. */
export function together<T>(group: Group, enqueue: () => T): T {
  stateOf(group).callSync((raw) => raw.hold());
  try {
    return enqueue();
  } finally {
    stateOf(group).callSync((raw) => raw.release());
  }
}

/** Makes calls 0 to `numCalls` - 1, ten of them {@link together} at a time. */
export function makeCalls(group: Group, numCalls: number, make: (call: number) => void): void {
  for (let first = 0; first < numCalls; first += 10) {
    together(group, () => {
      for (let call = first; call < Math.min(first + 10, numCalls); call++) make(call);
    });
  }
}

/** The code of what `run` throws, or of what the promise that it gives rejects with; 'success' where it does neither. */
export async function codeOf(run: () => unknown): Promise<string> {
  try {
    await run();
    return 'success';
  } catch (error) {
    return (error as { readonly code: string }).code;
  }
}

/** Keeps a rank busy for so long, of virtual time on the cpu backend. */
export function delayRank(group: Group, rank: number, ns: number, stream = 0): void {
  stateOf(group).callSync((raw) => raw.delay(rank, ns, stream));
}

export function floatsOf(words: Uint32Array): Float32Array {
  return new Float32Array(words.buffer, words.byteOffset, words.length);
}

/** Tensors that calls name again and again, and what the model says of their newest contents. */
export class LowLatencyTokenTensors {
  readonly group: Group;
  readonly spec: Spec;
  readonly numTokens: readonly number[];
  readonly calls: readonly { readonly x: AnyTensor; readonly topkIdx: AnyTensor }[];
  readonly weights: readonly AnyTensor[];
  readonly outputs: readonly AnyTensor[];

  constructor(group: Group, spec: Spec, numTokens: readonly number[]) {
    this.group = group;
    this.spec = spec;
    this.numTokens = numTokens;
    const tensors = group.ranks.map((rank, r) => tokenTensors(rank, spec, this.#draw(0)[r]!));
    this.calls = tensors.map(({ x, topkIdx }) => ({ x, topkIdx }));
    this.weights = tensors.map(({ topkWeights }) => topkWeights);
    this.outputs = group.ranks.map((rank) => outputTensor(rank, spec));
  }

  /** New rows, routing, weights and expert outputs, in order with the ranks' other work. */
  fill(seed: number): Omit<Flight, 'received'> & { readonly written: Promise<unknown> } {
    const inputs = this.#draw(seed);
    const want = expectedRows(this.spec, inputs);
    const outputs = drawOutputs(this.spec, want, seed);
    const written = inputs.flatMap(({ x, topkIdx, topkWeights }, r) => [
      this.calls[r]!.x.copyFrom(x as never),
      this.calls[r]!.topkIdx.copyFrom(topkIdx as never),
      this.weights[r]!.copyFrom(floatsOf(topkWeights) as never),
      this.outputs[r]!.copyFrom(outputs[r] as never),
    ]);
    return { inputs, want, outputs, written: Promise.all(written) };
  }

  dispatch(options: object | ((rank: number) => object) = {}): GotLowLatency[] {
    const calls = this.calls.map((call, r) => ({ ...call, ...optionsOf(options, r) }));
    return this.group.lowLatencyDispatch(calls as never as DispatchCalls);
  }

  combine(
    received: readonly GotLowLatency[],
    options: object | ((rank: number) => object) = {},
  ): GotSums[] {
    const calls = received.map(({ handle }, r) => ({
      ...{ x: this.outputs[r], topkWeights: this.weights[r], handle },
      ...optionsOf(options, r),
    }));
    return this.group.lowLatencyCombine(calls as never as CombineCalls);
  }

  #draw(seed: number): LowLatencyTokens[] {
    const pattern = patterns[seed % patterns.length]!;
    return drawTokens(this.spec, { seed, numTokens: this.numTokens, pattern });
  }
}
