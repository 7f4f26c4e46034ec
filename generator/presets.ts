import type { SpecInput } from './spec.js';

/** A model's published shape, for 8 ranks. */
export interface Preset {
  readonly title: string;
  /** Where the numbers come from: the model's public config.json. */
  readonly source: string;
  readonly spec: SpecInput;
}

export const PRESETS = {
  'deepseek-v3': {
    title: 'DeepSeek-V3',
    source: 'https://huggingface.co/deepseek-ai/DeepSeek-V3/blob/main/config.json',
    spec: { ranks: 8, hidden: 7168, experts: 256, topk: 8 },
  },
  'kimi-k2': {
    title: 'Kimi K2',
    source: 'https://huggingface.co/moonshotai/Kimi-K2-Instruct/blob/main/config.json',
    spec: { ranks: 8, hidden: 7168, experts: 384, topk: 8 },
  },
  'qwen3-235b-a22b': {
    title: 'Qwen3-235B-A22B',
    source: 'https://huggingface.co/Qwen/Qwen3-235B-A22B/blob/main/config.json',
    spec: { ranks: 8, hidden: 4096, experts: 128, topk: 8 },
  },
  'glm-4.5': {
    title: 'GLM-4.5',
    source: 'https://huggingface.co/zai-org/GLM-4.5/blob/main/config.json',
    spec: { ranks: 8, hidden: 5120, experts: 160, topk: 8 },
  },
  'gpt-oss-120b': {
    title: 'gpt-oss-120b',
    source: 'https://huggingface.co/openai/gpt-oss-120b/blob/main/config.json',
    spec: { ranks: 8, hidden: 2880, experts: 128, topk: 4 },
  },
  'mixtral-8x7b': {
    title: 'Mixtral-8x7B',
    source: 'https://huggingface.co/mistralai/Mixtral-8x7B-v0.1/blob/main/config.json',
    spec: { ranks: 8, hidden: 4096, experts: 8, topk: 2 },
  },
} as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof PRESETS;
