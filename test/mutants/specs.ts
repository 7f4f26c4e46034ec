import type { SpecInput } from '../../generator/spec.js';

/** Rings of four stages, so that a few tokens take them round, and two channels, so that grids differ. */
const memory = { count: 2, stages: 4 };
const ht = { maxTokensPerRank: 24, liveResults: 2 };
const ll = { maxTokensPerRank: 16 };

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
  /** As many receive buffers as live results, and calls along handles. */
  credit: {
    name: 'mutants_credit',
    ranks: 2,
    hidden: 64,
    experts: 4,
    topk: 2,
    ht: { ...ht, credit: true, cached: true },
    channels: { memory },
  },
  slotted: {
    name: 'mutants_slotted',
    ranks: 2,
    hidden: 64,
    experts: 4,
    topk: 2,
    ht,
    channels: { memory: { ...memory, placement: 'slotted' } },
  },
  /** Scales in columns and extras beside the rows, in every kind of dispatch. */
  beside: {
    name: 'mutants_beside',
    ranks: 2,
    hidden: 64,
    experts: 4,
    topk: 2,
    dtype: 'fp8_e4m3',
    scaleBlock: 16,
    scaleLayout: 'column',
    extraBytes: 12,
    topkIdx: 'i32',
    ht: { ...ht, credit: true, cached: true, withoutTopk: true, worstTokens: true },
    channels: { memory },
  },
  /** Sums with biases, and with top-k weights that begin at no multiple of 16 bytes. */
  sums: {
    name: 'mutants_sums',
    ranks: 2,
    hidden: 64,
    experts: 6,
    topk: 3,
    dtype: 'f16',
    combineDtype: 'f16',
    ht: { ...ht, combineWeights: true, biases: 2 },
    channels: { memory },
  },
  /** Rows by expert, of so many selections that a warp takes several steps. */
  experts: {
    name: 'mutants_experts',
    ranks: 2,
    hidden: 16,
    experts: 20,
    topk: 16,
    extraBytes: 4,
    combineDtype: 'f32',
    ht: { ...ht, expertMajor: true },
    channels: { memory },
  },
  /** One low-latency call in flight: buffers are written again soon. */
  ll: {
    name: 'mutants_ll',
    ranks: 2,
    hidden: 64,
    experts: 4,
    topk: 2,
    ht,
    ll: { ...ll, inFlight: 1 },
    channels: { memory, ll: 2 },
  },
  /** A rank may be two low-latency calls ahead. */
  llAhead: {
    name: 'mutants_ll_ahead',
    ranks: 2,
    hidden: 64,
    experts: 4,
    topk: 2,
    ht,
    ll: { ...ll, inFlight: 2 },
    channels: { memory, ll: 2 },
  },
  llThree: {
    name: 'mutants_ll_three',
    ranks: 3,
    hidden: 64,
    experts: 6,
    topk: 4,
    ht,
    ll: { ...ll, inFlight: 2 },
    channels: { memory, ll: 3 },
  },
  llCredit: {
    name: 'mutants_ll_credit',
    ranks: 2,
    hidden: 64,
    experts: 4,
    topk: 2,
    ht,
    ll: { ...ll, inFlight: 1, credit: true },
    channels: { memory, ll: 2 },
  },
  /** Rows of two pieces, the last one shorter, which several warps sum; all of an expert's may come. */
  llPieces: {
    name: 'mutants_ll_pieces',
    ranks: 2,
    hidden: 4104,
    experts: 2,
    topk: 2,
    ht,
    ll: { maxTokensPerRank: 4, inFlight: 1 },
    channels: { memory, ll: 2 },
  },
  /** Rows that are cast, by more than one warp, and what is counted of them. */
  llFp8: {
    name: 'mutants_ll_fp8',
    ranks: 2,
    hidden: 384,
    experts: 4,
    topk: 2,
    ht,
    ll: {
      ...ll,
      inFlight: 1,
      dtype: 'fp8_e4m3',
      scaleLayout: 'column',
      stats: true,
      combineDtype: 'fp8_e4m3',
    },
    channels: { memory, ll: 2 },
  },
  /** Scales that are powers of two, four in a word. */
  llPacked: {
    name: 'mutants_ll_packed',
    ranks: 2,
    hidden: 512,
    experts: 4,
    topk: 2,
    ht,
    ll: { ...ll, inFlight: 1, dtype: 'fp8_e4m3', scaleDtype: 'ue8m0' },
    channels: { memory, ll: 2 },
  },
} as const satisfies Readonly<Record<string, SpecInput>>;

export type SpecName = keyof typeof mutantSpecs;
