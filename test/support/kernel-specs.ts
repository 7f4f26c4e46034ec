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
  'eight ranks, hidden 8176': small({
    ranks: 8,
    hidden: 8176,
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

/** Specs that mix options, of the rank counts that other tests of options leave out, and with sizes at their limits. */
export const mixedSpecs = {
  'six ranks, all options of compact rows': {
    ...{ ranks: 6, hidden: 32, experts: 12, topk: 4, topkIdx: 'i32', combineDtype: 'f32' },
    ...{ dtype: 'fp8_e4m3', scaleBlock: 8, scaleLayout: 'column', extraBytes: 20 },
    ht: {
      ...{ maxTokensPerRank: 40, liveResults: 2, credit: true, cached: true, withoutTopk: true },
      ...{ worstTokens: true, combineWeights: true, biases: 2, expertMajor: true },
    },
    channels: { memory: { count: 3 } },
    arenaBytes: 2 ** 28,
  },
  'seven ranks, all options of slotted rows': {
    ...{ ranks: 7, hidden: 48, experts: 21, topk: 3, dtype: 'f16', combineDtype: 'f16' },
    extraBytes: 4,
    ht: {
      ...{ maxTokensPerRank: 36, liveResults: 3, cached: true, withoutTopk: true },
      ...{ combineWeights: true, biases: 1, readyCounters: true },
    },
    channels: { memory: { count: 4, placement: 'slotted' } },
    arenaBytes: 2 ** 28,
  },
  'eight ranks, 2048 experts, top-32, one vector of hidden, summed in f32': {
    ...{ ranks: 8, hidden: 8, experts: 2048, topk: 32, combineDtype: 'f32' },
    ht: { maxTokensPerRank: 33, combineWeights: true, expertMajor: true },
    channels: { memory: { count: 3 } },
  },
  'five ranks, hidden 8176, f16 summed in f32': {
    ...{ ranks: 5, hidden: 8176, experts: 5, topk: 1, dtype: 'f16', combineDtype: 'f32' },
    ht: { maxTokensPerRank: 17, credit: true, liveResults: 1, biases: 1 },
    channels: { memory: { count: 4 } },
  },
  'four ranks, hidden 8192, bytes summed in f32': {
    ...{ ranks: 4, hidden: 8192, experts: 16, topk: 9, dtype: 'u8', combineDtype: 'f32' },
    ht: { maxTokensPerRank: 17, cached: true },
    channels: { memory: { count: 2 } },
  },
  'two ranks, hidden 16384': {
    ...{ ranks: 2, hidden: 16384, experts: 8, topk: 4, topkIdx: 'i32' },
    ht: { maxTokensPerRank: 17, cached: true },
    channels: { memory: { count: 3 } },
  },
} satisfies Readonly<Record<string, SpecInput>>;

/** `numSpecs` more specs of every rank count, with shapes and options drawn from a fixed seed. */
export function matrixSpecs(numSpecs: number): Readonly<Record<string, SpecInput>> {
  const random = randomFrom(41, numSpecs, 0);
  const pick = <const T>(values: readonly T[]): T => values[random(values.length)]!;
  const flag = () => random(2) === 0;
  return Object.fromEntries(
    Array.from({ length: numSpecs }, (_, i) => {
      const ranks = 1 + (i % 8);
      const experts = ranks * pick([1, 2, 5, 16, 150]);
      const isSlotted = flag();
      const dtype = pick(['bf16', 'f16', 'fp8_e4m3', 'u8']);
      const spec: SpecInput = {
        ranks,
        experts,
        topk: Math.min(experts, pick([1, 2, 5, 8, 32])),
        topkIdx: pick(['i64', 'i32']),
        dtype,
        ...(dtype === 'fp8_e4m3' ? drawScales(pick) : { hidden: drawHidden(pick, dtype) }),
        extraBytes: pick([0, 0, 4, 36, 256]),
        combineDtype: pick(['bf16', 'f16', 'f32']),
        ht: {
          maxTokensPerRank: pick([1, 17, 40, 65]),
          liveResults: 1 + random(4),
          credit: flag(),
          withoutTopk: flag(),
          cached: flag(),
          worstTokens: !isSlotted && flag(),
          combineWeights: flag(),
          biases: pick([0, 1, 2]),
          expertMajor: !isSlotted && flag(),
          readyCounters: flag(),
        },
        channels: {
          memory: {
            count: pick([1, 2, 3, 7, 16, 33]),
            placement: isSlotted ? 'slotted' : 'compact',
          },
        },
      };
      return [`drawn ${i}: ${JSON.stringify(spec)}`, spec];
    }),
  );
}

type Pick = <const T>(values: readonly T[]) => T;

function drawHidden(pick: Pick, dtype: 'bf16' | 'f16' | 'u8'): number {
  const hidden = pick([8, 16, 40, 512, 2056, 2880, 5120, 8176, 8192, 16384]);
  return dtype === 'u8' ? Math.ceil(hidden / 16) * 16 : hidden;
}

function drawScales(pick: Pick) {
  return {
    hidden: pick([128, 512, 2048, 7168, 16384]),
    scaleBlock: pick([16, 32]),
    scaleDtype: pick(['f32', 'ue8m0']),
    scaleLayout: pick(['row', 'column']),
  };
}
