import type { SpecInput } from '../../generator/spec.js';

const ht = { maxTokensPerRank: 16, liveResults: 2 } as const;
const memory = { count: 2 } as const;
/** For the tensors of many calls that nobody has waited for. */
const arenaBytes = 2 ** 28;

/** The specs that low-latency tests compile: together every rank count, each option of `ll` both ways, one without `ht`. */
export const lowLatencySpecs = {
  'one rank, one vector of hidden, top-1': {
    ...{ ranks: 1, hidden: 8, experts: 4, topk: 1, ht, arenaBytes },
    // More than a block has threads.
    ll: { maxTokensPerRank: 300, inFlight: 1 },
    channels: { memory },
  },
  'two ranks, hidden 64': {
    ...{ ranks: 2, hidden: 64, experts: 8, topk: 3, ht, arenaBytes },
    ll: { maxTokensPerRank: 6, inFlight: 2 },
    channels: { memory, ll: 3 },
  },
  'two ranks, top-32, UE8M0, fp8 both ways': {
    ...{ ranks: 2, hidden: 512, experts: 64, topk: 32, topkIdx: 'i32', ht, arenaBytes },
    ll: {
      ...{ maxTokensPerRank: 5, inFlight: 4, credit: true, stats: true },
      ...{ dtype: 'fp8_e4m3', scaleDtype: 'ue8m0', roundScales: true, combineDtype: 'fp8_e4m3' },
    },
    channels: { memory },
  },
  'two ranks, 320 experts, hidden 2880': {
    ...{ ranks: 2, hidden: 2880, experts: 320, topk: 5, ht, arenaBytes },
    ll: { maxTokensPerRank: 2, inFlight: 1 },
    channels: { memory },
  },
  'three ranks, one block of scales, fp8 both ways': {
    ...{ ranks: 3, hidden: 128, experts: 9, topk: 4, ht, arenaBytes },
    ll: {
      ...{ maxTokensPerRank: 7, inFlight: 1, credit: true, stats: true },
      ...{ dtype: 'fp8_e4m3', scaleLayout: 'column', combineDtype: 'fp8_e4m3' },
    },
    channels: { memory, ll: 2 },
  },
  'four ranks, hidden 16384, rounded scales in columns': {
    ...{ ranks: 4, hidden: 16384, experts: 4, topk: 2, topkIdx: 'i32', ht, arenaBytes },
    ll: {
      ...{ maxTokensPerRank: 3, inFlight: 2 },
      ...{ dtype: 'fp8_e4m3', scaleLayout: 'column', roundScales: true },
    },
    channels: { memory, ll: 2 },
  },
  'five ranks, top-6': {
    ...{ ranks: 5, hidden: 24, experts: 35, topk: 6, ht, arenaBytes },
    ll: { maxTokensPerRank: 9, inFlight: 2, credit: true, stats: true },
    channels: { memory },
  },
  'six ranks, rounded scales in rows, combined as fp8': {
    ...{ ranks: 6, hidden: 384, experts: 12, topk: 4, ht, arenaBytes },
    ll: {
      ...{ maxTokensPerRank: 4, inFlight: 2, stats: true },
      ...{ dtype: 'fp8_e4m3', roundScales: true, combineDtype: 'fp8_e4m3' },
    },
    channels: { memory, ll: 4 },
  },
  'seven ranks, one channel': {
    ...{ ranks: 7, hidden: 40, experts: 21, topk: 3, ht: false, arenaBytes },
    ll: { maxTokensPerRank: 6, inFlight: 1, stats: true },
    channels: { ll: 1 },
  },
  'eight ranks, hidden 16, four in flight': {
    ...{ ranks: 8, hidden: 16, experts: 16, topk: 7, ht, arenaBytes },
    ll: { maxTokensPerRank: 5, inFlight: 4 },
    channels: { memory },
  },
  'eight ranks, hidden 7168': {
    ...{ ranks: 8, hidden: 7168, experts: 32, topk: 8, ht, arenaBytes },
    ll: { maxTokensPerRank: 2, inFlight: 1, dtype: 'fp8_e4m3' },
    channels: { memory },
  },
} as const satisfies Readonly<Record<string, SpecInput>>;

export type LowLatencySpecName = keyof typeof lowLatencySpecs;
