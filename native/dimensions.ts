import type { ModuleDescription } from './spec-types.js';

/** The numbers of a module that calls are checked against; those of high-throughput calls are 0 where it has none. */
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
  /** Undefined where the spec has no low-latency calls. */
  readonly lowLatency: LowLatencyDimensions | undefined;
}

/** The numbers of a module's low-latency calls. */
export interface LowLatencyDimensions {
  readonly numChannels: number;
  readonly maxTokensPerRank: number;
  /** Rows that a local expert may get in one call. */
  readonly maxRecvTokens: number;
  /** How many calls may be sent and not received, and how many results are live at a time. */
  readonly inFlight: number;
  /** 4-byte words of scales of a received row; 0 without scales. */
  readonly numScaleWords: number;
  /** Words from one column of received scales to the next; 0 where they lie in rows. */
  readonly scaleColumnWords: number;
}

/** What dimensions follow from. */
type Dimensioned = Pick<ModuleDescription, 'spec' | 'sizes'>;

const NO_HIGH_THROUGHPUT = { maxTokensPerRank: 0, liveResults: 0 };

export function dimensionsOf({ spec, sizes }: Dimensioned): Dimensions {
  const { numScaleWords = 0, scaleColumnWords = 0 } = sizes;
  const { maxTokensPerRank, liveResults } = spec.ht || NO_HIGH_THROUGHPUT;
  return {
    numRanks: spec.ranks,
    hidden: spec.hidden,
    numTopk: spec.topk,
    numExperts: spec.experts,
    numLocalExperts: spec.experts / spec.ranks,
    numChannels: spec.ht ? spec.channels.memory.count : 0,
    maxTokensPerRank,
    maxRecvTokens: spec.ranks * maxTokensPerRank,
    liveResults,
    isSlotted: spec.channels.memory.placement === 'slotted',
    numScaleWords,
    scaleColumnWords,
    lowLatency: lowLatencyDimensionsOf({ spec, sizes }),
  };
}

function lowLatencyDimensionsOf({ spec, sizes }: Dimensioned): LowLatencyDimensions | undefined {
  const { ll, ranks } = spec;
  const { numLlChannels, numLlScaleWords = 0, llScaleColumnWords = 0 } = sizes;
  if (!ll || numLlChannels === undefined) return undefined;
  const { maxTokensPerRank, inFlight } = ll;
  return {
    numChannels: numLlChannels,
    maxTokensPerRank,
    maxRecvTokens: ranks * maxTokensPerRank,
    inFlight,
    numScaleWords: numLlScaleWords,
    scaleColumnWords: llScaleColumnWords,
  };
}
