import { defineSpec } from 'epgen';

// DeepSeek-V3: https://huggingface.co/deepseek-ai/DeepSeek-V3/blob/main/config.json
export default defineSpec({ name: 'deepseek_v3', ranks: 8, hidden: 7168, experts: 256, topk: 8 });
