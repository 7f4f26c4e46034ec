import type { SpecInput } from '../../generator/spec.js';

/** Rings of four stages, so that a few tokens take them round, and two channels, so that grids differ. */
const memory = { count: 2, stages: 4 };
const ht = { maxTokensPerRank: 24, liveResults: 2 };

/** The specs that mutants run on, smallest first. */
export const mutantSpecs = {
  small: {
    name: 'mutants_small',
    ranks: 2,
    hidden: 64,
    experts: 4,
    topk: 2,
    ht,
    channels: { memory },
  },
  /** Rows of three pieces, the last one shorter. */
  pieces: {
    name: 'mutants_pieces',
    ranks: 2,
    hidden: 72,
    experts: 4,
    topk: 2,
    ht,
    channels: { memory: { ...memory, pieceBytes: 64 } },
  },
  /** Two warps sum each row. */
  wide: {
    name: 'mutants_wide',
    ranks: 2,
    hidden: 512,
    experts: 4,
    topk: 2,
    ht,
    channels: { memory },
  },
  three: {
    name: 'mutants_three',
    ranks: 3,
    hidden: 64,
    experts: 6,
    topk: 4,
    ht,
    channels: { memory },
  },
} as const satisfies Readonly<Record<string, SpecInput>>;

export type SpecName = keyof typeof mutantSpecs;
