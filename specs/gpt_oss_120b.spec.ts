import { defineSpec } from 'epgen';

// gpt-oss-120b: https://huggingface.co/openai/gpt-oss-120b/blob/main/config.json
export default defineSpec({ name: 'gpt_oss_120b', ranks: 8, hidden: 2880, experts: 128, topk: 4 });
