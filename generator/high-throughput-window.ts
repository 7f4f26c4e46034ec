import type { WithHt } from './high-throughput-plan.js';
import type { FieldInput } from './record.js';
import { optional, type RegionInput, type WindowShape } from './window.js';

/** The words of high-throughput calls, each array of them at a multiple of `align`. */
export function highThroughputWords(
  { numRanks, numLocalExperts, numChannels, features }: WithHt<WindowShape>,
  align: number,
): readonly FieldInput[] {
  return [
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
  ];
}

/** What high-throughput calls have in the window beside their words. */
export function highThroughputRegions(shape: WithHt<WindowShape>): readonly RegionInput[] {
  const buffers = 'numRecvBuffers';
  return [
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
  ];
}
