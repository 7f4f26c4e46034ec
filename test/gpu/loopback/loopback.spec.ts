import { defineSpec } from 'epgen';

// Small enough for sanitizers: 4 ranks of 3 channels are 12 blocks, and short rings wrap within a call.
export default defineSpec({
  name: 'loopback',
  ranks: 4,
  hidden: 64,
  experts: 16,
  topk: 4,
  ht: { maxTokensPerRank: 96 },
  channels: { memory: { count: 3, stages: 5 } },
});
