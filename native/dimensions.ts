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
}

export function dimensionsOf({ spec }: ModuleDescription): Dimensions {
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
  };
}
