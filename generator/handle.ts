import type { Features } from './features.js';
import { CTYPES, type RecordLayout, recordLayout } from './record.js';
import { roundUp } from './round.js';

/** What the layout of a handle depends on. */
export interface HandleShape {
  readonly numRanks: number;
  readonly numLocalExperts: number;
  readonly numChannels: number;
  readonly maxTokensPerRank: number;
  readonly features: Pick<Features, 'isSlotted'>;
}

export const HANDLE_ALIGN = 128;

/** The fixed part of a handle; `slot[num_tokens][kNumRanks]` follows it. */
export function handleHeader({
  numRanks,
  numLocalExperts,
  numChannels,
  features,
}: HandleShape): RecordLayout {
  const align = HANDLE_ALIGN;
  return recordLayout({
    name: 'HandleHeader',
    doc: 'What a dispatch leaves for combine and for the caller; `int32_t slot[num_tokens][kNumRanks]` follows it.',
    align,
    fields: [
      { ctype: 'int32_t', name: 'num_recv_tokens', note: 'rows that this rank received' },
      {
        ctype: 'int32_t',
        name: 'num_tokens_per_expert',
        count: numLocalExperts,
        note: '[local expert]',
        align,
      },
      ...(features.isSlotted
        ? [
            {
              ctype: 'int32_t',
              name: 'num_tokens_per_rank',
              count: numRanks,
              note: '[source] rows that it sent here',
              align,
            } as const,
          ]
        : []),
      {
        ctype: 'int32_t',
        name: 'rank_prefix',
        count: numRanks * numRanks,
        note: '[source][destination] inclusive over sources',
        align,
      },
      {
        ctype: 'int32_t',
        name: 'channel_prefix',
        count: numRanks * numChannels,
        note: '[destination][channel] inclusive over channels',
        align,
      },
      {
        ctype: 'int32_t',
        name: 'recv_channel_prefix',
        count: numRanks * numChannels,
        note: "[source][channel] exclusive, within the source's rows",
        align,
      },
    ],
  });
}

/** What the layout of a low-latency handle depends on. */
export interface LlHandleShape {
  readonly numRanks: number;
  readonly numLocalExperts: number;
  readonly numTopk: number;
  readonly maxLlTokensPerRank: number;
}

/** The fixed part of a low-latency handle; `slot[num_tokens][kNumTopk]` follows it. */
export function llHandleHeader({
  numRanks,
  numLocalExperts,
}: Pick<LlHandleShape, 'numRanks' | 'numLocalExperts'>): RecordLayout {
  const align = HANDLE_ALIGN;
  return recordLayout({
    name: 'LlHandleHeader',
    doc: 'What a low-latency dispatch leaves for combine and for the caller; `int32_t slot[num_tokens][kNumTopk]` follows it: (rank * kNumLocalExperts + local expert) * kMaxLlRecvTokens + row, or -1.',
    align,
    fields: [
      { ctype: 'uint32_t', name: 'dispatch_epoch', note: 'the call that sent' },
      { ctype: 'uint32_t', name: 'combine_epoch', note: 'the newest combine that sent' },
      {
        ctype: 'int32_t',
        name: 'num_tokens_per_expert',
        count: numLocalExperts,
        note: '[local expert]',
        align,
      },
      {
        ctype: 'int64_t',
        name: 'layout_range',
        count: numLocalExperts * numRanks,
        note: '[local expert][source] first row << 32 | rows',
        align,
      },
    ],
  });
}

/** Bytes of a low-latency handle of the largest call. */
export function llHandleBytesOf(shape: LlHandleShape): number {
  const slots = shape.maxLlTokensPerRank * shape.numTopk * CTYPES.int32_t.bytes;
  return roundUp(llHandleHeader(shape).bytes + slots, HANDLE_ALIGN);
}

/** Bytes of a handle of the largest call. */
export function handleBytesOf(shape: HandleShape): number {
  return roundUp(handleHeader(shape).bytes + slotBytesOf(shape), HANDLE_ALIGN);
}

/** Bytes of `slot[num_tokens][kNumRanks]` of the largest call. */
export function slotBytesOf({ maxTokensPerRank, numRanks }: HandleShape): number {
  return maxTokensPerRank * numRanks * CTYPES.int32_t.bytes;
}
