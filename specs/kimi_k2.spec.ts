import { defineSpec } from 'epgen';

// Kimi K2: https://huggingface.co/moonshotai/Kimi-K2-Instruct/blob/main/config.json
export default defineSpec({ name: 'kimi_k2', ranks: 8, hidden: 7168, experts: 384, topk: 8 });
