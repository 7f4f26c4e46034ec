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

export function argsRecords({
  topkIdxType,
}: {
  readonly topkIdxType: string;
}): readonly ArgsRecord[] {
  const topkIdx = {
    ctype: `const ${topkIdxType}*`,
    name: 'topk_idx',
    note: '[num_tokens][kNumTopk] expert, or -1',
  };
  const record = {
    ctype: 'CountRecord*',
    name: 'record',
    note: 'mapped host memory, followed by counts[kNumLocalExperts]',
  };
  const fault = { ctype: 'FaultRecord*', name: 'fault', note: 'mapped host memory' };
  const windows = { ctype: 'Windows', name: 'windows', note: "every rank's window" };
  const deadline = {
    ctype: 'uint64_t',
    name: 'deadline_ns',
    note: 'longest time that one wait may take',
  };
  const rankIdx = { ctype: 'uint32_t', name: 'rank_idx', note: '' };
  const numTokens = { ctype: 'uint32_t', name: 'num_tokens', note: '' };
  const recordTag = {
    ctype: 'uint32_t',
    name: 'record_tag',
    note: 'tells the host that the record is complete',
  };
  return [
    {
      name: 'DispatchArgs',
      doc: "Arguments of one rank's dispatch.",
      fields: [
        windows,
        { ctype: 'const uint8_t*', name: 'x', note: '[num_tokens][kRowBytes]' },
        topkIdx,
        {
          ctype: 'const uint32_t*',
          name: 'topk_weights',
          note: '[num_tokens][kNumTopk] bits of an f32',
        },
        { ctype: 'HandleHeader*', name: 'handle', note: 'followed by slot[num_tokens][kNumRanks]' },
        record,
        fault,
        deadline,
        rankIdx,
        numTokens,
        {
          ctype: 'uint32_t',
          name: 'buffer_idx',
          note: 'receive buffer of this call, the same on all ranks',
        },
        recordTag,
      ],
    },
    {
      name: 'CombineArgs',
      doc: "Arguments of one rank's combine.",
      fields: [
        windows,
        {
          ctype: 'const HandleHeader*',
          name: 'handle',
          note: 'followed by slot[num_tokens][kNumRanks]',
        },
        { ctype: 'uint8_t*', name: 'out', note: '[num_tokens][kCombineRowBytes]' },
        fault,
        deadline,
        {
          ctype: 'uint64_t',
          name: 'input_offset',
          note: "of this rank's expert outputs in its window, a multiple of 128",
        },
        rankIdx,
        numTokens,
      ],
    },
    {
      name: 'DispatchLayoutArgs',
      doc: "Arguments of one rank's layout query.",
      fields: [
        topkIdx,
        { ctype: 'int32_t*', name: 'num_tokens_per_rank', note: '[kNumRanks]' },
        { ctype: 'int32_t*', name: 'num_tokens_per_expert', note: '[kNumExperts]' },
        { ctype: 'uint8_t*', name: 'is_token_in_rank', note: '[num_tokens][kNumRanks] 0 or 1' },
        { ...record, note: 'mapped host memory' },
        numTokens,
        recordTag,
      ],
    },
  ];
}
