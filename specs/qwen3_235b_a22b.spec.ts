import { defineSpec } from 'epgen';

// Qwen3-235B-A22B: https://huggingface.co/Qwen/Qwen3-235B-A22B/blob/main/config.json
export default defineSpec({
  name: 'qwen3_235b_a22b',
  ranks: 8,
  hidden: 4096,
  experts: 128,
  topk: 8,
});
