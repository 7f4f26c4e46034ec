import { defineSpec } from 'epgen';

// As low-latency.spec.ts, with casts both ways, packed scales in columns, and as few buffers as can be.
export default defineSpec({
  name: 'low_latency_fp8',
  ranks: 4,
  hidden: 512,
  experts: 16,
  topk: 4,
  ht: { maxTokensPerRank: 96 },
  ll: {
    maxTokensPerRank: 20,
    credit: true,
    dtype: 'fp8_e4m3',
    scaleDtype: 'ue8m0',
    scaleLayout: 'column',
    combineDtype: 'fp8_e4m3',
  },
  channels: { memory: { count: 3 }, ll: 3 },
});
