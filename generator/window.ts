import type { Features } from './features.js';
import { type HighThroughputShape, hasHt } from './high-throughput-plan.js';
import { highThroughputRegions, highThroughputWords } from './high-throughput-window.js';
import type { LowLatencyShape } from './low-latency-plan.js';
import { llControlRecord, lowLatencyRegions } from './low-latency-window.js';
import { CTYPES, type Ctype, type RecordLayout, recordLayout } from './record.js';
import { roundUp } from './round.js';

/** Every region, every buffer and every array of control words starts at a multiple of this. */
export const WINDOW_ALIGN = 128;
export const PAGE_BYTES = 4096;

/** What the window's layout depends on. */
export interface WindowShape extends Partial<HighThroughputShape>, Partial<LowLatencyShape> {
  readonly numRanks: number;
  readonly numExperts: number;
  readonly numLocalExperts: number;
  readonly numTopk: number;
  readonly topkIdxType: Ctype;
  readonly features: Pick<
    Features,
    'hasScales' | 'hasExtras' | 'hasCombineWeights' | 'hasReadyCounters' | 'hasLl' | 'hasLlCredit'
  >;
}

/** A number of the plan that sizes of regions follow from. */
export type WindowDim = {
  [K in keyof WindowShape]-?: Required<WindowShape>[K] extends number ? K : never;
}[keyof WindowShape];

/** `numBuffers` times `count` elements in the window, `stride` bytes apart. */
export interface Region {
  readonly name: string;
  readonly ctype: string;
  /** Numbers of the plan whose product `count` is. */
  readonly dims: readonly WindowDim[];
  /** The number of the plan that `numBuffers` is; absent where there is one alone. */
  readonly buffers?: WindowDim;
  readonly elementBytes: number;
  /** Elements of one buffer. */
  readonly count: number;
  readonly offset: number;
  /** Bytes of one buffer. */
  readonly bytes: number;
  readonly stride: number;
  readonly numBuffers: number;
  readonly doc: string;
}

/** The words through which ranks tell each other what has happened. */
export function controlRecord(shape: WindowShape): RecordLayout {
  const align = WINDOW_ALIGN;
  return recordLayout({
    name: 'Control',
    doc: 'Words through which ranks tell each other what happened. None is cleared: words carry an epoch or only grow.',
    align,
    fields: [
      {
        ctype: 'uint32_t',
        name: 'abort',
        note: 'set by any rank that gives up; the first word of the window',
      },
      ...(hasHt(shape) ? highThroughputWords(shape, align) : []),
    ],
  });
}

/** The regions of the window in order, none overlapping another. */
export function windowRegions(shape: WindowShape): readonly Region[] {
  const inputs: readonly RegionInput[] = [
    {
      name: 'control',
      ctype: 'Control',
      elementBytes: controlRecord(shape).bytes,
      dims: [],
      doc: 'Control words.',
    },
    ...optional<RegionInput>(shape.features.hasLl, {
      name: 'll_control',
      ctype: 'LlControl',
      elementBytes: llControlRecord(shape).bytes,
      dims: [],
      doc: 'Control words of low-latency calls; directly behind the others, so that both are reset together.',
    }),
    ...(hasHt(shape) ? highThroughputRegions(shape) : []),
    ...lowLatencyRegions(shape),
  ];
  const regions: Region[] = [];
  let offset = 0;
  for (const input of inputs) {
    const elementBytes = input.elementBytes ?? CTYPES[input.ctype].bytes;
    const count = input.dims.reduce((product, dim) => product * (shape[dim] ?? 0), 1);
    const bytes = elementBytes * count;
    const stride = roundUp(bytes, WINDOW_ALIGN);
    const numBuffers = input.buffers ? (shape[input.buffers] ?? 0) : 1;
    regions.push({ ...input, elementBytes, count, offset, bytes, stride, numBuffers });
    offset += stride * numBuffers;
  }
  return regions;
}

/** What is there only where a spec asks for it. */
export function optional<const T>(isThere: boolean, what: T): readonly T[] {
  return isThere ? [what] : [];
}

export type RegionInput = Pick<Region, 'name' | 'dims' | 'buffers' | 'doc'> &
  (
    | { readonly ctype: Ctype; readonly elementBytes?: never }
    | { readonly ctype: 'Control' | 'LlControl'; readonly elementBytes: number }
  );

/** Whether low-latency calls take more of the window than high-throughput ones. */
export function isMostlyLowLatency(shape: WindowShape): boolean {
  const rest = { ...shape, features: { ...shape.features, hasLl: false } };
  return windowBytesOf(windowRegions(shape)) > 2 * windowBytesOf(windowRegions(rest));
}

/** Size of one rank's window, in whole pages. */
export function windowBytesOf(regions: readonly Region[]): number {
  const last = regions.at(-1);
  return last ? roundUp(last.offset + last.stride * last.numBuffers, PAGE_BYTES) : 0;
}
