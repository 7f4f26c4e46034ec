import type { ArgsField, ArgsRecord } from './args.js';
import type { Features } from './features.js';

/** The arguments of the low-latency kernels; of none where the spec has no low-latency calls. */
export function lowLatencyArgs(topkIdxType: string, features: Features): readonly ArgsRecord[] {
  if (!features.hasLl) return [];
  const windows = { ctype: 'Windows', name: 'windows', note: "every rank's window" };
  const fault = { ctype: 'FaultRecord*', name: 'fault', note: 'mapped host memory' };
  const deadline = {
    ctype: 'uint64_t',
    name: 'deadline_ns',
    note: 'longest time that one wait may take',
  };
  const rankIdx = { ctype: 'uint32_t', name: 'rank_idx', note: '' };
  const numTokens = { ctype: 'uint32_t', name: 'num_tokens', note: '' };
  const phases = { ctype: 'uint32_t', name: 'phases', note: 'kLlSend, kLlReceive or both' };
  const handle = {
    ctype: 'LlHandleHeader*',
    name: 'handle',
    note: 'followed by slot[num_tokens][kNumTopk]',
  };
  const waitStats = {
    ctype: 'int64_t*',
    name: 'wait_stats',
    note: '[kNumRanks] ns waited for each rank, added up; null for none',
  };
  const stats = (fields: readonly ArgsField[]) => (features.hasLlStats ? fields : []);
  return [
    {
      name: 'LlDispatchArgs',
      doc: "Arguments of one rank's low-latency dispatch.",
      fields: [
        windows,
        { ctype: 'const uint8_t*', name: 'x', note: '[num_tokens][kLlInputRowBytes] bf16' },
        {
          ctype: `const ${topkIdxType}*`,
          name: 'topk_idx',
          note: '[num_tokens][kNumTopk] expert, or -1',
        },
        handle,
        {
          ctype: 'CountRecord*',
          name: 'record',
          note: 'mapped host memory; null where nothing is sent',
        },
        fault,
        ...stats([
          {
            ctype: 'int32_t*',
            name: 'expert_stats',
            note: '[kNumLocalExperts] rows received, added up; null for none',
          },
          waitStats,
        ]),
        deadline,
        rankIdx,
        numTokens,
        {
          ctype: 'uint32_t',
          name: 'record_tag',
          note: 'tells the host that the record is complete',
        },
        phases,
      ],
    },
    {
      name: 'LlCombineArgs',
      doc: "Arguments of one rank's low-latency combine.",
      fields: [
        windows,
        handle,
        {
          ctype: 'const uint32_t*',
          name: 'topk_weights',
          note: '[num_tokens][kNumTopk] bits of an f32',
        },
        { ctype: 'uint8_t*', name: 'out', note: '[num_tokens][kLlInputRowBytes] bf16' },
        fault,
        ...stats([waitStats]),
        deadline,
        {
          ctype: 'uint64_t',
          name: 'input_offset',
          note: "of this rank's expert outputs in its window, a multiple of 128",
        },
        rankIdx,
        numTokens,
        phases,
      ],
    },
    {
      name: 'LlStageArgs',
      doc: 'Arguments of the kernel that brings expert outputs into the window.',
      fields: [
        windows,
        { ctype: 'const LlHandleHeader*', name: 'handle', note: 'tells which rows there are' },
        {
          ctype: 'const uint8_t*',
          name: 'x',
          note: '[kNumLocalExperts][kMaxLlRecvTokens][kLlInputRowBytes] bf16',
        },
        fault,
        deadline,
        {
          ctype: 'uint64_t',
          name: 'output_offset',
          note: 'where the rows go in the window, a multiple of 128',
        },
        rankIdx,
      ],
    },
  ];
}
