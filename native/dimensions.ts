import type { ModuleDescription } from './spec-types.js';

/** The numbers of a module that calls are checked against. */
export interface Dimensions {
  readonly numRanks: number;
  readonly hidden: number;
  readonly numTopk: number;
  readonly numExperts: number;
  readonly numLocalExperts: number;
  readonly numChannels: number;
  readonly maxTokensPerRank: number;
  /** Most rows that a rank can receive in one dispatch. */
  readonly maxRecvTokens: number;
  /** How many dispatches a rank's received views outlive, counting their own. */
  readonly liveResults: number;
  /** Whether each source has room of its own, so that there are gaps between rows. */
  readonly isSlotted: boolean;
  /** 4-byte words of scales beside a token; 0 without scales. */
  readonly numScaleWords: number;
  /** Words from one column of received scales to the next; 0 where they lie in rows. */
  readonly scaleColumnWords: number;
}

const WORD_BYTES = 4;
const SCALES_PER_PACKED_WORD = 4;

export function dimensionsOf({ spec, sizes }: ModuleDescription): Dimensions {
  const scales = sizes.regions.recvXScales;
  const granule = spec.scaleBlock * (spec.scaleDtype === 'ue8m0' ? SCALES_PER_PACKED_WORD : 1);
  const numScaleWords = scales ? Math.ceil(spec.hidden / granule) : 0;
  const isInColumns = scales && spec.scaleLayout === 'column';
  return {
    numRanks: spec.ranks,
    hidden: spec.hidden,
    numTopk: spec.topk,
    numExperts: spec.experts,
    numLocalExperts: spec.experts / spec.ranks,
    numChannels: spec.channels.memory.count,
    maxTokensPerRank: spec.ht.maxTokensPerRank,
    maxRecvTokens: spec.ranks * spec.ht.maxTokensPerRank,
    liveResults: spec.ht.liveResults,
    isSlotted: spec.channels.memory.placement === 'slotted',
    numScaleWords,
    scaleColumnWords: isInColumns ? scales.bytes / WORD_BYTES / numScaleWords : 0,
  };
}
