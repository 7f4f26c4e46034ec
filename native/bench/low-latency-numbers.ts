import { dimensionsOf } from '../dimensions.js';
import type { Region, Sizes, Spec } from '../spec-types.js';

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
  const { lowLatency, numLocalExperts } = dimensionsOf({ spec, sizes });
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
