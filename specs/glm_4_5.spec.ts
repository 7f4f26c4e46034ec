import { defineSpec } from 'epgen';

// GLM-4.5: https://huggingface.co/zai-org/GLM-4.5/blob/main/config.json
export default defineSpec({ name: 'glm_4_5', ranks: 8, hidden: 5120, experts: 160, topk: 8 });
