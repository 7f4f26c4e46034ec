import type { Spec } from './spec.js';
import { DEFAULT_HT } from './spec-schema.js';

/** What a spec asks for beside plain dispatch and combine: each is compiled in, or leaves no trace. */
export interface Features {
  readonly hasScales: boolean;
  /** Scales of one block lie side by side, as grouped GEMMs read them. */
  readonly hasColumnScales: boolean;
  /** Four scales travel in a word. */
  readonly hasPackedScales: boolean;
  readonly hasExtras: boolean;
  readonly hasCredit: boolean;
  readonly isSlotted: boolean;
  readonly hasWithoutTopk: boolean;
  readonly hasCached: boolean;
  readonly hasWorstTokens: boolean;
  readonly hasCombineWeights: boolean;
  /** Elements that combine moves are what it sums; others are widened and rounded. */
  readonly combinesF32: boolean;
  readonly hasBiases: boolean;
  readonly hasExpertMajor: boolean;
  readonly hasReadyCounters: boolean;
  readonly hasLl: boolean;
  readonly hasLlCredit: boolean;
  /** Low-latency dispatch casts to fp8. */
  readonly hasLlFp8: boolean;
  readonly hasLlColumnScales: boolean;
  readonly hasLlPackedScales: boolean;
  /** Its scales are powers of two. */
  readonly roundsLlScales: boolean;
  readonly hasLlStats: boolean;
  /** Rows of low-latency combine travel as fp8. */
  readonly combinesLlFp8: boolean;
}

export function featuresOf(spec: Spec): Features {
  const ht = spec.ht || DEFAULT_HT;
  const hasScales = spec.dtype === 'fp8_e4m3';
  return {
    hasScales,
    hasColumnScales: hasScales && spec.scaleLayout === 'column',
    hasPackedScales: hasScales && spec.scaleDtype === 'ue8m0',
    hasExtras: spec.extraBytes > 0,
    hasCredit: ht.credit,
    isSlotted: spec.channels.memory.placement === 'slotted',
    hasWithoutTopk: ht.withoutTopk,
    hasCached: ht.cached,
    hasWorstTokens: ht.worstTokens,
    hasCombineWeights: ht.combineWeights,
    combinesF32: spec.combineDtype === 'f32',
    hasBiases: ht.biases > 0,
    hasExpertMajor: ht.expertMajor,
    hasReadyCounters: ht.readyCounters,
    ...lowLatencyFeatures(spec.ll || undefined),
  };
}

function lowLatencyFeatures(ll: Exclude<Spec['ll'], false> | undefined) {
  const hasLlFp8 = ll?.dtype === 'fp8_e4m3';
  const hasLlPackedScales = hasLlFp8 && ll.scaleDtype === 'ue8m0';
  return {
    hasLl: ll !== undefined,
    hasLlCredit: ll?.credit ?? false,
    hasLlFp8,
    hasLlColumnScales: hasLlFp8 && ll.scaleLayout === 'column',
    hasLlPackedScales,
    roundsLlScales: hasLlPackedScales || (hasLlFp8 && ll.roundScales),
    hasLlStats: ll?.stats ?? false,
    combinesLlFp8: ll?.combineDtype === 'fp8_e4m3',
  };
}
