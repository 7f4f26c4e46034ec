import { defineSpec } from 'epgen';

// Small enough for sanitizers: 4 ranks of 3 channels are 12 blocks, and each has several tokens.
export default defineSpec({
  name: 'low_latency',
  ranks: 4,
  hidden: 64,
  experts: 16,
  topk: 4,
  ht: { maxTokensPerRank: 96 },
  ll: { maxTokensPerRank: 20, stats: true },
  channels: { memory: { count: 3 }, ll: 3 },
});
