import { dimensionsOf, type LowLatencyDimensions } from '../dimensions.js';
import type { ModuleDescription, Region, Sizes, Spec } from '../spec-types.js';

/** Numbers of a module's low-latency calls that a benchmark needs. */
export interface LowLatencyNumbers {
  readonly recvX: Region;
  readonly output: Region;
  readonly handleBytes: number;
  readonly maxTokensPerRank: number;
  readonly numChannels: number;
  /** Bytes that a selection makes travel, scales included: the row that dispatch sends, and the one that combine pulls. */
  readonly dispatchBytes: number;
  readonly combineBytes: number;
}

const SCALE_WORD_BYTES = 4;

/** Undefined where the spec has no low-latency calls. */
export function lowLatencyNumbersOf(spec: Spec, sizes: Sizes): LowLatencyNumbers | undefined {
  // Dimensions follow from these two alone.
  const { lowLatency, numLocalExperts } = dimensionsOf({ spec, sizes } as ModuleDescription);
  const { llHandleBytes } = sizes;
  const { llRecvX, llOutput } = sizes.regions;
  if (!lowLatency || !llRecvX || !llOutput || llHandleBytes === undefined) return undefined;
  const { maxTokensPerRank, numChannels, maxRecvTokens, numScaleWords } = lowLatency;
  const numRows = numLocalExperts * maxRecvTokens;
  return {
    recvX: llRecvX,
    output: llOutput,
    handleBytes: llHandleBytes,
    maxTokensPerRank,
    numChannels,
    dispatchBytes: llRecvX.bytes / numRows + numScaleWords * SCALE_WORD_BYTES,
    combineBytes: llOutput.bytes / numRows,
  };
}

/** As many blocks as the runtime launches where a call does not say. */
export function lowLatencyGrid(
  { numChannels }: Pick<LowLatencyDimensions, 'numChannels'>,
  { numTokens, numRanks }: { readonly numTokens: number; readonly numRanks: number },
): number {
  return Math.min(numChannels, Math.max(numTokens, numRanks));
}
