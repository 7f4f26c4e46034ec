import type { SpecInput } from '../../generator/spec.js';
import { randomFrom } from './random.js';

const small = (
  spec: SpecInput & { count?: number; maxTokens?: number; liveResults?: number },
): SpecInput => {
  const { count = 3, maxTokens = 70, liveResults = 2, ...rest } = spec;
  return {
    ...rest,
    ht: { maxTokensPerRank: maxTokens, liveResults },
    channels: { memory: { count } },
  };
};

/** The specs that kernel tests compile: every rank count, hidden and top-k that the kernels treat differently. */
export const kernelSpecs: Readonly<Record<string, SpecInput>> = {
  'one rank, one vector of hidden': small({ ranks: 1, hidden: 8, experts: 4, topk: 2, count: 1 }),
  'one rank, hidden 16': small({
    ranks: 1,
    hidden: 16,
    experts: 8,
    topk: 8,
    count: 16,
    liveResults: 1,
  }),
  'two ranks, top-1': small({ ranks: 2, hidden: 16, experts: 2, topk: 1, count: 1 }),
  'two ranks, one row in several pieces': small({
    ranks: 2,
    hidden: 4096,
    experts: 64,
    topk: 8,
    count: 16,
  }),
  'three ranks, hidden 2880': small({ ranks: 3, hidden: 2880, experts: 9, topk: 5, count: 3 }),
  'four ranks, hidden 2880': small({
    ranks: 4,
    hidden: 2880,
    experts: 128,
    topk: 4,
    count: 16,
    liveResults: 3,
  }),
  'four ranks, more channels than tokens': small({
    ranks: 4,
    hidden: 64,
    experts: 4,
    topk: 3,
    count: 64,
    maxTokens: 40,
  }),
  'five ranks, top-6': small({ ranks: 5, hidden: 24, experts: 35, topk: 6, count: 5 }),
  'six ranks, top-4': small({ ranks: 6, hidden: 40, experts: 12, topk: 4, count: 2 }),
  'seven ranks, top-3': small({ ranks: 7, hidden: 128, experts: 21, topk: 3, count: 7 }),
  'eight ranks, hidden 16': small({
    ranks: 8,
    hidden: 16,
    experts: 64,
    topk: 7,
    count: 3,
    liveResults: 4,
  }),
  'eight ranks, hidden 64, one channel': small({
    ranks: 8,
    hidden: 64,
    experts: 8,
    topk: 2,
    count: 1,
  }),
  'eight ranks, hidden 4096': small({
    ranks: 8,
    hidden: 4096,
    experts: 128,
    topk: 8,
    count: 3,
    maxTokens: 33,
  }),
  'eight ranks, hidden 7168': small({
    ranks: 8,
    hidden: 7168,
    experts: 256,
    topk: 8,
    count: 16,
    maxTokens: 33,
  }),
};

/** `numSpecs` more specs of every rank count, with shapes drawn from a fixed seed. */
export function matrixSpecs(numSpecs: number): Readonly<Record<string, SpecInput>> {
  const random = randomFrom(41, numSpecs, 0);
  const pick = <T>(values: readonly T[]): T => values[random(values.length)]!;
  return Object.fromEntries(
    Array.from({ length: numSpecs }, (_, i) => {
      const ranks = 1 + (i % 8);
      const experts = ranks * pick([1, 2, 5, 16]);
      const spec = small({
        ranks,
        hidden: pick([8, 16, 40, 512, 2056, 2880, 5120, 8192, 16384]),
        experts,
        topk: Math.min(experts, 1 + random(8)),
        count: pick([1, 2, 3, 7, 16, 33]),
        maxTokens: pick([1, 17, 40, 65]),
        liveResults: 1 + random(4),
      });
      return [`drawn ${i}: ${JSON.stringify(spec)}`, spec];
    }),
  );
}
