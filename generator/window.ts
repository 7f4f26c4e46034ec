import type { Features } from './features.js';
import type { LowLatencyShape } from './low-latency-plan.js';
import { llControlRecord, lowLatencyRegions } from './low-latency-window.js';
import { CTYPES, type Ctype, type RecordLayout, recordLayout } from './record.js';
import { roundUp } from './round.js';

/** Every region, every buffer and every array of control words starts at a multiple of this. */
export const WINDOW_ALIGN = 128;
export const PAGE_BYTES = 4096;

/** What the window's layout depends on. */
export interface WindowShape extends Partial<LowLatencyShape> {
  readonly numRanks: number;
  readonly numExperts: number;
  readonly numLocalExperts: number;
  readonly numTopk: number;
  readonly numChannels: number;
  readonly maxRecvTokens: number;
  readonly rowBytes: number;
  readonly combineRowBytes: number;
  readonly numRecvBuffers: number;
  readonly numOutputBuffers: number;
  readonly topkIdxType: Ctype;
  readonly numScaleWords: number;
  readonly scaleColumnWords: number;
  readonly numExtraWords: number;
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
export function controlRecord({
  numRanks,
  numLocalExperts,
  numChannels,
  features,
}: WindowShape): RecordLayout {
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
      {
        ctype: 'uint32_t',
        name: 'dispatch_ticket',
        note: 'channels of this rank that have finished sending, over all calls',
      },
      ...optional(features.hasReadyCounters, {
        ctype: 'uint32_t',
        name: 'dispatch_counted',
        note: 'dispatches of this rank whose handle has its counts',
      }),
      {
        ctype: 'uint32_t',
        name: 'dispatch_epoch',
        count: numChannels,
        note: '[channel] calls that the channel has made',
        align,
      },
      {
        ctype: 'uint32_t',
        name: 'combine_epoch',
        count: numChannels,
        note: '[channel] calls that the channel has made',
        align,
      },
      {
        ctype: 'uint32_t',
        name: 'arrivals',
        count: numRanks,
        note: '[source] channels that have delivered, over all calls',
        align,
      },
      {
        ctype: 'uint64_t',
        name: 'ready',
        count: 2 * numRanks,
        note: '[epoch & 1][source] {input offset / 128, epoch}',
        align,
      },
      ...optional(features.hasCombineWeights, {
        ctype: 'uint64_t',
        name: 'ready_weights',
        count: 2 * numRanks,
        note: '[epoch & 1][source] {offset of top-k weights / 128, epoch}',
        align,
      }),
      {
        ctype: 'uint64_t',
        name: 'rank_counts',
        count: numRanks * numRanks,
        note: '[source][destination] {tokens, epoch}',
        align,
      },
      {
        ctype: 'uint64_t',
        name: 'expert_counts',
        count: numRanks * numLocalExperts,
        note: '[source][local expert] {selections, epoch}',
        align,
      },
    ],
  });
}

/** The regions of the window in order, none overlapping another. */
export function windowRegions(shape: WindowShape): readonly Region[] {
  const buffers = 'numRecvBuffers';
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
    {
      name: 'recv_x',
      ctype: 'uint8_t',
      dims: ['maxRecvTokens', 'rowBytes'],
      buffers,
      doc: '[row][kRowBytes] rows, by source rank, then token.',
    },
    ...optional<RegionInput>(shape.features.hasScales, {
      name: 'recv_x_scales',
      ctype: 'uint32_t',
      dims: shape.scaleColumnWords
        ? ['numScaleWords', 'scaleColumnWords']
        : ['maxRecvTokens', 'numScaleWords'],
      buffers,
      doc: shape.scaleColumnWords
        ? '[word][kScaleColumnWords] scales of a row below each other.'
        : '[row][kNumScaleWords] scales of a row side by side.',
    }),
    ...optional<RegionInput>(shape.features.hasExtras, {
      name: 'recv_extras',
      ctype: 'uint32_t',
      dims: ['maxRecvTokens', 'numExtraWords'],
      buffers,
      doc: '[row][kNumExtraWords] opaque bytes that travel beside a token.',
    }),
    {
      name: 'recv_topk_idx',
      ctype: shape.topkIdxType,
      dims: ['maxRecvTokens', 'numTopk'],
      buffers,
      doc: '[row][kNumTopk] local expert, or -1.',
    },
    {
      name: 'recv_topk_weights',
      ctype: 'uint32_t',
      dims: ['maxRecvTokens', 'numTopk'],
      buffers,
      doc: '[row][kNumTopk] bits of an f32.',
    },
    {
      name: 'recv_src_idx',
      ctype: 'int32_t',
      dims: ['maxRecvTokens'],
      buffers,
      doc: "[row] the token's index at its source.",
    },
    {
      name: 'recv_channel_prefix',
      ctype: 'int32_t',
      dims: ['numRanks', 'numChannels'],
      buffers,
      doc: "[source][channel] first row of the channel within the source's rows; written by the source.",
    },
    {
      name: 'output',
      ctype: 'uint8_t',
      dims: ['maxRecvTokens', 'combineRowBytes'],
      buffers: 'numOutputBuffers',
      doc: '[row][kCombineRowBytes] expert outputs that combine pulls.',
    },
    ...optional<RegionInput>(shape.features.hasCombineWeights, {
      name: 'output_weights',
      ctype: 'uint32_t',
      dims: ['maxRecvTokens', 'numTopk'],
      buffers: 'numOutputBuffers',
      doc: '[row][kNumTopk] bits of an f32: top-k weights that combine brings back.',
    }),
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
function optional<const T>(isThere: boolean, what: T): readonly T[] {
  return isThere ? [what] : [];
}

export type RegionInput = Pick<Region, 'name' | 'dims' | 'buffers' | 'doc'> &
  (
    | { readonly ctype: Ctype; readonly elementBytes?: never }
    | { readonly ctype: 'Control' | 'LlControl'; readonly elementBytes: number }
  );

/** Size of one rank's window, in whole pages. */
export function windowBytesOf(regions: readonly Region[]): number {
  const last = regions.at(-1);
  return last ? roundUp(last.offset + last.stride * last.numBuffers, PAGE_BYTES) : 0;
}
