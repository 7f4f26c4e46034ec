import { type RecordLayout, recordLayout } from './record.js';
import { type RegionInput, WINDOW_ALIGN, type WindowShape } from './window.js';

/** The words of low-latency calls. */
export function llControlRecord({
  numRanks,
  numExperts,
  numLlChannels = 0,
  numLlCountBuffers = 0,
  numLlOutputBuffers = 0,
  features,
}: Pick<
  WindowShape,
  | 'numRanks'
  | 'numExperts'
  | 'numLlChannels'
  | 'numLlCountBuffers'
  | 'numLlOutputBuffers'
  | 'features'
>): RecordLayout {
  const align = WINDOW_ALIGN;
  return recordLayout({
    name: 'LlControl',
    doc: 'Words of low-latency calls. None is cleared: words carry an epoch or only grow.',
    align,
    fields: [
      {
        ctype: 'uint32_t',
        name: 'dispatch_ticket',
        note: 'channels whose block waits for no other any more, over all calls',
      },
      {
        ctype: 'uint32_t',
        name: 'dispatch_epoch',
        count: numLlChannels,
        note: '[channel] calls that the channel has made',
        align,
      },
      {
        ctype: 'uint32_t',
        name: 'combine_epoch',
        count: numLlChannels,
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
      ...(features.hasLlCredit
        ? [
            {
              ctype: 'uint64_t',
              name: 'started',
              count: numLlCountBuffers * numRanks,
              note: '[buffer][source] {0, epoch}',
              align,
            } as const,
          ]
        : []),
      {
        ctype: 'uint64_t',
        name: 'counts',
        count: numLlCountBuffers * numRanks * numExperts,
        note: '[buffer][source][expert] {tokens, epoch}',
        align,
      },
      {
        ctype: 'uint64_t',
        name: 'ready',
        count: numLlOutputBuffers * numRanks,
        note: '[buffer][source] {offset of expert outputs / 128, epoch}',
        align,
      },
    ],
  });
}

/** What low-latency calls have in the window beside their words. */
export function lowLatencyRegions(shape: WindowShape): readonly RegionInput[] {
  if (!shape.features.hasLl) return [];
  const buffers = 'numLlRecvBuffers';
  const scales: readonly RegionInput[] = [
    {
      name: 'll_recv_x_scales',
      ctype: 'uint32_t',
      dims: shape.llScaleColumnWords
        ? ['numLocalExperts', 'numLlScaleWords', 'llScaleColumnWords']
        : ['numLocalExperts', 'maxLlRecvTokens', 'numLlScaleWords'],
      buffers,
      doc: shape.llScaleColumnWords
        ? '[local expert][word][kLlScaleColumnWords] scales of a row below each other.'
        : '[local expert][row][kNumLlScaleWords] scales of a row side by side.',
    },
  ];
  return [
    {
      name: 'll_recv_x',
      ctype: 'uint8_t',
      dims: ['numLocalExperts', 'maxLlRecvTokens', 'llRowBytes'],
      buffers,
      doc: '[local expert][row][kLlRowBytes] rows, by source rank, then token.',
    },
    ...(shape.numLlScaleWords ? scales : []),
    {
      name: 'll_recv_src_idx',
      ctype: 'int32_t',
      dims: ['numLocalExperts', 'maxLlRecvTokens'],
      buffers,
      doc: "[local expert][row] the token's index at its source.",
    },
    {
      name: 'll_output',
      ctype: 'uint8_t',
      dims: ['numLocalExperts', 'maxLlRecvTokens', 'llOutputRowBytes'],
      buffers: 'numLlOutputBuffers',
      doc: '[local expert][row][kLlOutputRowBytes] expert outputs that combine pulls.',
    },
  ];
}
