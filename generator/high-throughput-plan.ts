import { DTYPES, SCALES_PER_PACKED_WORD, VECTOR_BYTES } from './dtype.js';
import type { Features } from './features.js';
import { handleBytesOf } from './handle.js';
import { piecesOfRow } from './pieces.js';
import type { KernelPlan, RingPlan } from './plan.js';
import { numOutputBuffers, recvBuffersFor } from './reuse.js';
import { roundUp } from './round.js';
import {
  combineShared,
  dispatchLayoutShared,
  dispatchShared,
  expertMajorShared,
  type StagesInput,
  stagesFor,
} from './shared-memory.js';
import type { Spec } from './spec.js';

export const WARP_SIZE = 32;
export const META_WARPS = 5;
export const MIN_DISPATCH_STAGES = 4;
export const MIN_COMBINE_STAGES = 2;
export const MAX_REDUCE_WARPS = 8;
export const LAYOUT_WARPS = 8;
/** Scales of a column start at a multiple of 16 bytes, as the copies of grouped GEMMs want them. */
export const COLUMN_ALIGN = 4;
export const WORD_BYTES = 4;

export interface DispatchPlan extends RingPlan, KernelPlan {
  /** Pieces whose stores may be under way before the oldest is waited for. */
  readonly storeLag: number;
  readonly numMetaWarps: number;
}

export interface CombinePlan extends RingPlan, KernelPlan {
  readonly vectorsPerPiece: number;
  readonly elementsPerVector: number;
  readonly numReduceWarps: number;
  readonly vectorsPerThread: number;
  /** Most 4-byte words of whole vectors that a token's top-k weights lie in; 0 where combine brings none. */
  readonly weightSpanWords: number;
}

export interface ExpertMajorPlan extends KernelPlan {
  /** Bits that tell local experts apart. */
  readonly numExpertBits: number;
}

/** Rows as they travel. */
interface RowNumbers {
  readonly maxTokensPerRank: number;
  readonly maxRecvTokens: number;
  readonly rowBytes: number;
  readonly combineElementBytes: number;
  readonly combineRowBytes: number;
}

/** What travels beside rows. */
interface BesideNumbers {
  /** Elements of a row that one 4-byte word of scales is for: a block, or four of them packed; 0 without scales. */
  readonly scaleGranule: number;
  /** 4-byte words of scales that travel beside a token. */
  readonly numScaleWords: number;
  /** Words from one column of received scales to the next; 0 where they lie in rows. */
  readonly scaleColumnWords: number;
  readonly extraBytes: number;
  /** 4-byte words of extras that travel beside a token. */
  readonly numExtraWords: number;
  readonly numBiases: number;
}

interface BufferNumbers {
  readonly numChannels: number;
  readonly numRecvBuffers: number;
  readonly numOutputBuffers: number;
}

/** Numbers of the high-throughput exchange that its layout follows from. */
export interface HighThroughputShape extends RowNumbers, BesideNumbers, BufferNumbers {}

interface ResultNumbers {
  readonly elementBytes: number;
  readonly liveResults: number;
}

interface KernelPlans {
  readonly dispatch: DispatchPlan;
  readonly combine: CombinePlan;
  readonly expertMajor?: ExpertMajorPlan;
  readonly dispatchLayout: KernelPlan;
}

interface HandleNumbers {
  readonly handleBytes: number;
}

/** What a spec with high-throughput calls adds to a plan. */
export interface HighThroughputPlan
  extends HighThroughputShape,
    ResultNumbers,
    KernelPlans,
    HandleNumbers {}

/** `T` with the numbers of high-throughput calls that it may have. */
export type WithHt<T> = T &
  Required<Pick<T, keyof T & keyof Omit<HighThroughputPlan, 'expertMajor'>>>;

/** Whether a plan, or what something of it follows from, has high-throughput calls. */
export function hasHt<T extends Partial<HighThroughputShape>>(shape: T): shape is WithHt<T> {
  return shape.maxTokensPerRank !== undefined;
}

/** The same plan, of a spec that is known to have high-throughput calls. */
export function requireHt<T extends Partial<HighThroughputShape>>(plan: T): WithHt<T> {
  if (hasHt(plan)) return plan;
  throw new Error('Expected a plan with high-throughput calls but received one without');
}

/** The numbers that all calls share, and this follows from. */
interface CommonShape {
  readonly numRanks: number;
  readonly numExperts: number;
  readonly numLocalExperts: number;
  readonly numTopk: number;
  readonly features: Features;
}

/** The part of a plan that high-throughput calls are, in the groups in which plan.json lists it. */
interface HighThroughputParts {
  readonly rows: RowNumbers;
  readonly beside: BesideNumbers;
  readonly buffers: BufferNumbers;
  readonly results: ResultNumbers;
  readonly kernels: KernelPlans;
  readonly handle: HandleNumbers;
}

/** Undefined where the spec has no high-throughput calls. */
export function highThroughputPlan(
  spec: Spec,
  common: CommonShape,
): HighThroughputParts | undefined {
  const { ht, channels } = spec;
  if (!ht) return undefined;
  const { features } = common;
  const maxRecvTokens = spec.ranks * ht.maxTokensPerRank;
  const elementBytes = DTYPES[spec.dtype].bytes;
  const combineElementBytes = DTYPES[spec.combineDtype].bytes;
  const scaleGranule = features.hasScales
    ? spec.scaleBlock * (spec.scaleDtype === 'ue8m0' ? SCALES_PER_PACKED_WORD : 1)
    : 0;
  const rows = {
    maxTokensPerRank: ht.maxTokensPerRank,
    maxRecvTokens,
    rowBytes: spec.hidden * elementBytes,
    combineElementBytes,
    combineRowBytes: spec.hidden * combineElementBytes,
  };
  const buffers = {
    numChannels: channels.memory.count,
    numRecvBuffers: recvBuffersFor(ht),
    numOutputBuffers,
  };
  const shape = { ...common, ...rows, ...buffers, memory: channels.memory };
  return {
    rows,
    beside: {
      scaleGranule,
      numScaleWords: features.hasScales ? Math.ceil(spec.hidden / scaleGranule) : 0,
      scaleColumnWords: features.hasColumnScales ? roundUp(maxRecvTokens, COLUMN_ALIGN) : 0,
      extraBytes: spec.extraBytes,
      numExtraWords: Math.ceil(spec.extraBytes / WORD_BYTES),
      numBiases: ht.biases,
    },
    buffers,
    results: { elementBytes, liveResults: ht.liveResults },
    kernels: {
      dispatch: dispatchPlan(shape),
      combine: combinePlan(shape),
      ...(features.hasExpertMajor ? { expertMajor: expertMajorPlan(shape) } : {}),
      dispatchLayout: dispatchLayoutPlan(shape),
    },
    handle: { handleBytes: handleBytesOf(shape) },
  };
}

type MemoryChannels = Spec['channels']['memory'];

export interface DispatchRingInput {
  readonly numRanks: number;
  readonly numExperts: number;
  readonly numChannels: number;
  readonly rowBytes: number;
  readonly memory: Pick<MemoryChannels, 'stages' | 'pieceBytes' | 'inFlightBytes'>;
}

/** How dispatch moves rows of any size through shared memory. */
export function dispatchPlan(input: DispatchRingInput): DispatchPlan {
  const pieces = piecesOfRow(input.rowBytes, input.memory.pieceBytes);
  const { numStages } = stagesFor(dispatchStages(input));
  const numMetaWarps = META_WARPS;
  const numWarps = numMetaWarps + 3; // one loads rows, one stores them, one counts
  return {
    numStages,
    ...pieces,
    storeLag: Math.floor(numStages / 2),
    numMetaWarps,
    numWarps,
    numThreads: numWarps * WARP_SIZE,
    sharedBytes: dispatchShared({ ...input, ...pieces, numStages }).bytes,
  };
}

/** What the stages of dispatch depend on. */
export function dispatchStages(input: DispatchRingInput): StagesInput {
  const { pieceBytes } = piecesOfRow(input.rowBytes, input.memory.pieceBytes);
  return {
    memory: input.memory,
    atLeast: MIN_DISPATCH_STAGES,
    pieceBytes,
    sharedBytes: (numStages) => dispatchShared({ ...input, pieceBytes, numStages }).bytes,
  };
}

export interface CombineRingInput {
  readonly numRanks: number;
  readonly numTopk: number;
  readonly combineElementBytes: number;
  readonly combineRowBytes: number;
  readonly features: Pick<Features, 'hasCombineWeights'>;
  readonly memory: Pick<MemoryChannels, 'stages' | 'pieceBytes' | 'inFlightBytes'>;
}

/** How combine brings rows of any size into shared memory and sums them. */
export function combinePlan(input: CombineRingInput): CombinePlan {
  const pieces = piecesOfRow(input.combineRowBytes, input.memory.pieceBytes);
  const weightSpanWords = weightSpanWordsOf(input);
  const { numStages } = stagesFor(combineStages(input));
  const vectorsPerPiece = pieces.pieceBytes / VECTOR_BYTES;
  // The fewest vectors per thread, then the fewest warps that they need.
  const vectorsPerThread = Math.ceil(vectorsPerPiece / (WARP_SIZE * MAX_REDUCE_WARPS));
  const numReduceWarps = Math.ceil(vectorsPerPiece / (WARP_SIZE * vectorsPerThread));
  const numWarps = numReduceWarps + 1; // one pulls
  return {
    numStages,
    ...pieces,
    vectorsPerPiece,
    elementsPerVector: VECTOR_BYTES / input.combineElementBytes,
    numReduceWarps,
    vectorsPerThread,
    weightSpanWords,
    numWarps,
    numThreads: numWarps * WARP_SIZE,
    sharedBytes: combineShared({ ...pieces, numStages, weightSpanWords }).bytes,
  };
}

/** What the stages of combine depend on. */
export function combineStages(input: CombineRingInput): StagesInput {
  const { pieceBytes } = piecesOfRow(input.combineRowBytes, input.memory.pieceBytes);
  const weightSpanWords = weightSpanWordsOf(input);
  return {
    memory: input.memory,
    atLeast: Math.max(MIN_COMBINE_STAGES, input.numRanks),
    pieceBytes,
    sharedBytes: (numStages) => combineShared({ pieceBytes, numStages, weightSpanWords }).bytes,
  };
}

/** Rows of weights follow each other without gaps, so that one may begin anywhere in a vector. */
function weightSpanWordsOf({ features, numTopk }: CombineRingInput): number {
  if (!features.hasCombineWeights) return 0;
  const wordsPerVector = VECTOR_BYTES / 4;
  const mostBefore = numTopk % wordsPerVector === 0 ? 0 : wordsPerVector - 1;
  return roundUp(mostBefore + numTopk, wordsPerVector);
}

/** A warp moves one row at a time, so that a few warps keep enough bytes under way. */
function expertMajorPlan(shape: { readonly numLocalExperts: number }): ExpertMajorPlan {
  const numWarps = LAYOUT_WARPS;
  return {
    numExpertBits: Math.max(1, Math.ceil(Math.log2(shape.numLocalExperts))),
    numWarps,
    numThreads: numWarps * WARP_SIZE,
    sharedBytes: expertMajorShared({ ...shape, numWarps }).bytes,
  };
}

function dispatchLayoutPlan(shape: {
  readonly numRanks: number;
  readonly numExperts: number;
}): KernelPlan {
  const numWarps = LAYOUT_WARPS;
  return {
    numWarps,
    numThreads: numWarps * WARP_SIZE,
    sharedBytes: dispatchLayoutShared(shape).bytes,
  };
}
