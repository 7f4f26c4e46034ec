import type { Features } from './features.js';
import { type HighThroughputShape, hasHt } from './high-throughput-plan.js';
import { lowLatencyArgs } from './low-latency-args.js';

/** Arguments of a kernel's launch. Host and device agree on their layout, since one compiler makes both. */
export interface ArgsRecord {
  readonly name: string;
  readonly doc: string;
  readonly fields: readonly ArgsField[];
}

export interface ArgsField {
  readonly ctype: string;
  readonly name: string;
  /** Empty where the name says all. */
  readonly note: string;
}

export interface ArgsInput extends Partial<HighThroughputShape> {
  readonly topkIdxType: string;
  readonly features: Features;
}

/** The arguments of every kernel that the spec has. */
export function argsRecords(input: ArgsInput): readonly ArgsRecord[] {
  return [
    ...(hasHt(input) ? highThroughputArgs(input) : []),
    ...lowLatencyArgs(input.topkIdxType, input.features),
    ...(hasHt(input) ? [dispatchLayoutArgs(input)] : []),
  ];
}

const numTokens = { ctype: 'uint32_t', name: 'num_tokens', note: '' };

const record = {
  ctype: 'CountRecord*',
  name: 'record',
  note: 'mapped host memory',
};

const recordTag = {
  ctype: 'uint32_t',
  name: 'record_tag',
  note: 'tells the host that the record is complete',
};

function topkIdxOf({ topkIdxType }: ArgsInput): ArgsField {
  return {
    ctype: `const ${topkIdxType}*`,
    name: 'topk_idx',
    note: '[num_tokens][kNumTopk] expert, or -1',
  };
}

/** The arguments of dispatch, combine, and what takes their rows. */
function highThroughputArgs(input: ArgsInput): readonly ArgsRecord[] {
  const { topkIdxType, features } = input;
  const windows = { ctype: 'Windows', name: 'windows', note: "every rank's window" };
  const fault = { ctype: 'FaultRecord*', name: 'fault', note: 'mapped host memory' };
  const deadline = {
    ctype: 'uint64_t',
    name: 'deadline_ns',
    note: 'longest time that one wait may take',
  };
  const rankIdx = { ctype: 'uint32_t', name: 'rank_idx', note: '' };
  const bufferIdx = {
    ctype: 'uint32_t',
    name: 'buffer_idx',
    note: 'receive buffer of this call, the same on all ranks',
  };
  const scaleNote = features.hasColumnScales
    ? '[kNumScaleWords][num_tokens]'
    : '[num_tokens][kNumScaleWords]';
  const rows = [
    { ctype: 'const uint8_t*', name: 'x', note: '[num_tokens][kRowBytes]' },
    ...only(features.hasScales, { ctype: 'const uint32_t*', name: 'x_scales', note: scaleNote }),
    ...only(features.hasExtras, {
      ctype: 'const uint32_t*',
      name: 'extras',
      note: '[num_tokens][kNumExtraWords]',
    }),
  ];
  const handle = { name: 'handle', note: 'followed by slot[num_tokens][kNumRanks]' };
  const counting = [
    { ctype: 'HandleHeader*', ...handle },
    { ...record, note: `${record.note}, followed by ${recordedCounts(features)}` },
    fault,
    deadline,
    rankIdx,
    numTokens,
    bufferIdx,
    recordTag,
    {
      ctype: 'uint32_t',
      name: 'expert_alignment',
      note: 'counts per expert are rounded up to a multiple of it',
    },
    ...only(features.hasWorstTokens, {
      ctype: 'uint32_t',
      name: 'num_worst_tokens',
      note: 'rows that the caller sees, padded; 0 for those that came',
    }),
  ];
  return [
    {
      name: 'DispatchArgs',
      doc: "Arguments of one rank's dispatch.",
      fields: [
        windows,
        ...rows,
        topkIdxOf(input),
        {
          ctype: 'const uint32_t*',
          name: 'topk_weights',
          note: '[num_tokens][kNumTopk] bits of an f32',
        },
        ...counting,
      ],
    },
    ...only(features.hasWithoutTopk, {
      name: 'DispatchWithoutTopkArgs',
      doc: "Arguments of one rank's dispatch from a layout.",
      fields: [
        windows,
        ...rows,
        {
          ctype: 'const uint8_t*',
          name: 'is_token_in_rank',
          note: '[num_tokens][kNumRanks] 0 or 1',
        },
        { ctype: 'const int32_t*', name: 'num_tokens_per_expert', note: '[kNumExperts]' },
        ...counting,
      ],
    }),
    ...only(features.hasCached, {
      name: 'DispatchCachedArgs',
      doc: "Arguments of one rank's dispatch along the routing of a handle.",
      fields: [
        windows,
        ...rows,
        { ctype: 'const HandleHeader*', ...handle },
        fault,
        deadline,
        rankIdx,
        numTokens,
        bufferIdx,
      ],
    }),
    {
      name: 'CombineArgs',
      doc: "Arguments of one rank's combine.",
      fields: [
        windows,
        { ctype: 'const HandleHeader*', ...handle },
        { ctype: 'uint8_t*', name: 'out', note: '[num_tokens][kCombineRowBytes]' },
        ...only(features.hasCombineWeights, {
          ctype: 'uint32_t*',
          name: 'out_weights',
          note: '[num_tokens][kNumTopk] bits of an f32',
        }),
        ...only(features.hasBiases, {
          ctype: 'const uint8_t*',
          name: 'bias[combine::kNumBiases]',
          note: '[num_tokens][kCombineRowBytes] each; null where there is none',
        }),
        fault,
        deadline,
        {
          ctype: 'uint64_t',
          name: 'input_offset',
          note: "of this rank's expert outputs in its window, a multiple of 128",
        },
        ...only(features.hasCombineWeights, {
          ctype: 'uint64_t',
          name: 'weights_offset',
          note: "of this rank's top-k weights in its window, a multiple of 128; 0 for none",
        }),
        rankIdx,
        numTokens,
      ],
    },
    ...(features.hasExpertMajor ? expertMajorArgs(topkIdxType, features) : []),
  ];
}

function dispatchLayoutArgs(input: ArgsInput): ArgsRecord {
  return {
    name: 'DispatchLayoutArgs',
    doc: "Arguments of one rank's layout query.",
    fields: [
      topkIdxOf(input),
      { ctype: 'int32_t*', name: 'num_tokens_per_rank', note: '[kNumRanks]' },
      { ctype: 'int32_t*', name: 'num_tokens_per_expert', note: '[kNumExperts]' },
      { ctype: 'uint8_t*', name: 'is_token_in_rank', note: '[num_tokens][kNumRanks] 0 or 1' },
      record,
      numTokens,
      recordTag,
    ],
  };
}

/** What dispatch counts for the host. */
function recordedCounts({ isSlotted }: Features): string {
  const perExpert = 'counts[kNumLocalExperts]';
  return isSlotted ? `${perExpert}, rank_counts[kNumRanks]` : perExpert;
}

/** Received rows to rows by expert, and sums of those back to rows as combine pulls them. */
function expertMajorArgs(topkIdxType: string, features: Features): readonly ArgsRecord[] {
  const recvTopkIdx = {
    ctype: `const ${topkIdxType}*`,
    name: 'recv_topk_idx',
    note: '[num_rows][kNumTopk] local expert, or -1',
  };
  const countsNote = "[block][kNumLocalExperts] selections in the block's rows";
  const numRows = { ctype: 'uint32_t', name: 'num_rows', note: 'received' };
  return [
    {
      name: 'ExpertCountsArgs',
      doc: 'Arguments of the counting that goes before the grouping of received rows.',
      fields: [recvTopkIdx, { ctype: 'uint32_t*', name: 'counts', note: countsNote }, numRows],
    },
    {
      name: 'ExpertMajorArgs',
      doc: 'Arguments of the grouping of received rows by local expert.',
      fields: [
        {
          ctype: 'const HandleHeader*',
          name: 'handle',
          note: 'tells how many rows each group has',
        },
        { ctype: 'const uint32_t*', name: 'counts', note: countsNote },
        { ctype: 'const uint8_t*', name: 'recv_x', note: '[num_rows][kRowBytes]' },
        ...only(features.hasScales, {
          ctype: 'const uint32_t*',
          name: 'recv_x_scales',
          note: features.hasColumnScales
            ? '[kNumScaleWords][kScaleColumnWords]'
            : '[num_rows][kNumScaleWords]',
        }),
        ...only(features.hasExtras, {
          ctype: 'const uint8_t*',
          name: 'recv_extras',
          note: '[num_rows][kExtraBytes]',
        }),
        recvTopkIdx,
        {
          ctype: 'const uint32_t*',
          name: 'recv_topk_weights',
          note: '[num_rows][kNumTopk] bits of an f32',
        },
        { ctype: 'uint8_t*', name: 'x', note: '[row by expert][kRowBytes]' },
        ...only(features.hasScales, {
          ctype: 'uint32_t*',
          name: 'x_scales',
          note: features.hasColumnScales
            ? '[kNumScaleWords][row by expert]'
            : '[row by expert][kNumScaleWords]',
        }),
        ...only(features.hasExtras, {
          ctype: 'uint8_t*',
          name: 'extras',
          note: '[row by expert][kExtraBytes]',
        }),
        { ctype: 'uint32_t*', name: 'topk_weights', note: '[row by expert] bits of an f32' },
        {
          ctype: 'int32_t*',
          name: 'slot',
          note: '[num_rows][kNumTopk] row by expert of each selection, or -1',
        },
        numRows,
        { ctype: 'uint32_t', name: 'num_expert_rows', note: 'with padding' },
        { ctype: 'uint32_t', name: 'pads_zeros', note: '0 or 1' },
      ],
    },
    {
      name: 'ExpertSumArgs',
      doc: "Arguments of the sum of each received row's expert outputs.",
      fields: [
        { ctype: 'const uint8_t*', name: 'y', note: '[row by expert][kCombineRowBytes]' },
        {
          ctype: 'const int32_t*',
          name: 'slot',
          note: '[num_rows][kNumTopk] row by expert of each selection, or -1',
        },
        { ctype: 'uint8_t*', name: 'sums', note: '[num_rows][kCombineRowBytes]' },
        numRows,
        { ctype: 'uint32_t', name: 'num_expert_rows', note: 'with padding' },
      ],
    },
  ];
}

function only(isThere: boolean, what: ArgsField): readonly ArgsField[];
function only(isThere: boolean, what: ArgsRecord): readonly ArgsRecord[];
function only<T>(isThere: boolean, what: T): readonly T[] {
  return isThere ? [what] : [];
}
