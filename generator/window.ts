import { CTYPES, type Ctype, type RecordLayout, recordLayout } from './record.js';
import { roundUp } from './round.js';

/** Every region, every buffer and every array of control words starts at a multiple of this. */
export const WINDOW_ALIGN = 128;
const PAGE_BYTES = 4096;

/** What the window's layout depends on. */
export interface WindowShape {
  readonly numRanks: number;
  readonly numLocalExperts: number;
  readonly numTopk: number;
  readonly numChannels: number;
  readonly maxRecvTokens: number;
  readonly rowBytes: number;
  readonly combineRowBytes: number;
  readonly numRecvBuffers: number;
  readonly numOutputBuffers: number;
  readonly topkIdxType: Ctype;
}

/** `numBuffers` times `count` elements in the window, `stride` bytes apart. */
export interface Region {
  readonly name: string;
  readonly ctype: string;
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
  const { maxRecvTokens, numTopk, numRanks, numChannels } = shape;
  const numBuffers = shape.numRecvBuffers;
  const inputs: readonly RegionInput[] = [
    {
      name: 'control',
      ctype: 'Control',
      elementBytes: controlRecord(shape).bytes,
      count: 1,
      numBuffers: 1,
      doc: 'Control words.',
    },
    {
      name: 'recv_x',
      ctype: 'uint8_t',
      count: maxRecvTokens * shape.rowBytes,
      numBuffers,
      doc: '[row][kRowBytes] rows, by source rank, then token.',
    },
    {
      name: 'recv_topk_idx',
      ctype: shape.topkIdxType,
      count: maxRecvTokens * numTopk,
      numBuffers,
      doc: '[row][kNumTopk] local expert, or -1.',
    },
    {
      name: 'recv_topk_weights',
      ctype: 'uint32_t',
      count: maxRecvTokens * numTopk,
      numBuffers,
      doc: '[row][kNumTopk] bits of an f32.',
    },
    {
      name: 'recv_src_idx',
      ctype: 'int32_t',
      count: maxRecvTokens,
      numBuffers,
      doc: "[row] the token's index at its source.",
    },
    {
      name: 'recv_channel_prefix',
      ctype: 'int32_t',
      count: numRanks * numChannels,
      numBuffers,
      doc: "[source][channel] first row of the channel within the source's rows; written by the source.",
    },
    {
      name: 'output',
      ctype: 'uint8_t',
      count: maxRecvTokens * shape.combineRowBytes,
      numBuffers: shape.numOutputBuffers,
      doc: '[row][kCombineRowBytes] expert outputs that combine pulls.',
    },
  ];
  const regions: Region[] = [];
  let offset = 0;
  for (const input of inputs) {
    const bytes = bytesOf(input) * input.count;
    const stride = roundUp(bytes, WINDOW_ALIGN);
    const { elementBytes: _, ...rest } = input;
    regions.push({ ...rest, offset, bytes, stride });
    offset += stride * input.numBuffers;
  }
  return regions;
}

type RegionInput = Pick<Region, 'name' | 'count' | 'numBuffers' | 'doc'> &
  (
    | { readonly ctype: Ctype; readonly elementBytes?: never }
    | { readonly ctype: 'Control'; readonly elementBytes: number }
  );

function bytesOf(input: RegionInput): number {
  return input.ctype === 'Control' ? input.elementBytes : CTYPES[input.ctype].bytes;
}

/** Size of one rank's window, in whole pages. */
export function windowBytesOf(regions: readonly Region[]): number {
  const last = regions.at(-1);
  return last ? roundUp(last.offset + last.stride * last.numBuffers, PAGE_BYTES) : 0;
}
