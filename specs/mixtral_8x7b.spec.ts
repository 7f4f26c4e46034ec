import { defineSpec } from 'epgen';

// Mixtral-8x7B: https://huggingface.co/mistralai/Mixtral-8x7B-v0.1/blob/main/config.json
export default defineSpec({ name: 'mixtral_8x7b', ranks: 8, hidden: 4096, experts: 8, topk: 2 });
