import { autoArenaBytes } from './arena.js';
import { DTYPES, INDEX_TYPES, SCALES_PER_PACKED_WORD, VECTOR_BYTES } from './dtype.js';
import { type Features, featuresOf } from './features.js';
import { handleBytesOf } from './handle.js';
import { type LowLatencyPlan, lowLatencyPlan } from './low-latency-plan.js';
import { type Pieces, piecesOfRow } from './pieces.js';
import type { Ctype } from './record.js';
import { numOutputBuffers, type ReuseEdge, recvBuffersFor, reuseTable } from './reuse.js';
import { roundUp } from './round.js';
import { requireRules } from './rules.js';
import {
  combineShared,
  dispatchLayoutShared,
  dispatchShared,
  expertMajorShared,
  SHARED_BYTES_LIMIT,
  type StagesInput,
  stagesFor,
} from './shared-memory.js';
import type { Spec } from './spec.js';
import { DEFAULT_HT } from './spec-schema.js';
import { windowBytesOf, windowRegions } from './window.js';

export const WARP_SIZE = 32;
export const META_WARPS = 5;
export const MIN_DISPATCH_STAGES = 4;
export const MIN_COMBINE_STAGES = 2;
export const MAX_REDUCE_WARPS = 8;
export const LAYOUT_WARPS = 8;
/** Scales of a column start at a multiple of 16 bytes, as the copies of grouped GEMMs want them. */
export const COLUMN_ALIGN = 4;
export const WORD_BYTES = 4;

/** How a rank reaches the rank so many places after it. */
export type PeerClass = 'self' | 'memory' | 'port';

/** A ring of stages in shared memory that pieces of rows pass through. */
export interface RingPlan extends Pieces {
  readonly numStages: number;
}

export interface KernelPlan {
  readonly numWarps: number;
  readonly numThreads: number;
  /** Shared memory of a block. */
  readonly sharedBytes: number;
}

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

/** Every number that follows from a spec. */
export interface Plan extends LowLatencyPlan {
  readonly name: string;
  readonly numRanks: number;
  readonly numNodes: number;
  readonly numLocalRanks: number;
  /** By distance: entry d tells how rank r reaches rank (r + d) % numRanks. */
  readonly peerClasses: readonly PeerClass[];
  readonly hidden: number;
  readonly numExperts: number;
  readonly numLocalExperts: number;
  readonly numTopk: number;
  readonly maxTokensPerRank: number;
  readonly maxRecvTokens: number;
  readonly elementBytes: number;
  readonly rowBytes: number;
  readonly combineElementBytes: number;
  readonly combineRowBytes: number;
  readonly topkIdxType: Ctype;
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
  readonly features: Features;
  readonly numChannels: number;
  readonly liveResults: number;
  readonly numRecvBuffers: number;
  readonly numOutputBuffers: number;
  readonly sharedBytesLimit: number;
  readonly dispatch: DispatchPlan;
  readonly combine: CombinePlan;
  readonly expertMajor?: ExpertMajorPlan;
  readonly dispatchLayout: KernelPlan;
  readonly windowBytes: number;
  readonly arenaBytes: number;
  readonly handleBytes: number;
  readonly reuse: readonly ReuseEdge[];
}

/**
 * The plan of a spec, with every rule checked: shared memory fits, offsets fit their words.
 * @throws EpgenSpecError that names every broken rule.
 */
export function planFromSpec(spec: Spec): Plan {
  const plan = derivePlan(spec);
  requireRules(plan, spec.name);
  return plan;
}

/** The numbers alone. For a spec that breaks rules they are as wrong as the spec is. */
export function derivePlan(spec: Spec): Plan {
  const ht = spec.ht || DEFAULT_HT;
  const numLocalExperts = spec.experts / spec.ranks;
  const maxRecvTokens = spec.ranks * ht.maxTokensPerRank;
  const elementBytes = DTYPES[spec.dtype].bytes;
  const combineElementBytes = DTYPES[spec.combineDtype].bytes;
  const features = featuresOf(spec);
  const scaleGranule = features.hasScales
    ? spec.scaleBlock * (spec.scaleDtype === 'ue8m0' ? SCALES_PER_PACKED_WORD : 1)
    : 0;
  const shape = {
    numRanks: spec.ranks,
    numExperts: spec.experts,
    numLocalExperts,
    numTopk: spec.topk,
    maxTokensPerRank: ht.maxTokensPerRank,
    maxRecvTokens,
    rowBytes: spec.hidden * elementBytes,
    combineElementBytes,
    combineRowBytes: spec.hidden * combineElementBytes,
    topkIdxType: INDEX_TYPES[spec.topkIdx].cppType,
    scaleGranule,
    numScaleWords: features.hasScales ? Math.ceil(spec.hidden / scaleGranule) : 0,
    scaleColumnWords: features.hasColumnScales ? roundUp(maxRecvTokens, COLUMN_ALIGN) : 0,
    extraBytes: spec.extraBytes,
    numExtraWords: Math.ceil(spec.extraBytes / WORD_BYTES),
    numBiases: ht.biases,
    features,
    numChannels: spec.channels.memory.count,
    numRecvBuffers: recvBuffersFor(ht),
    numOutputBuffers,
    ...lowLatencyPlan(spec),
  };
  const handleBytes = handleBytesOf(shape);
  return {
    name: spec.name,
    numNodes: Math.ceil(spec.ranks / spec.ranksPerNode),
    numLocalRanks: Math.min(spec.ranks, spec.ranksPerNode),
    peerClasses: peerClasses(spec),
    ...shape,
    hidden: spec.hidden,
    elementBytes,
    liveResults: ht.liveResults,
    sharedBytesLimit: SHARED_BYTES_LIMIT,
    dispatch: dispatchPlan({ ...shape, memory: spec.channels.memory }),
    combine: combinePlan({ ...shape, memory: spec.channels.memory }),
    ...(features.hasExpertMajor ? { expertMajor: expertMajorPlan(shape) } : {}),
    dispatchLayout: dispatchLayoutPlan(shape),
    windowBytes: windowBytesOf(windowRegions(shape)),
    arenaBytes:
      spec.arenaBytes === 'auto' ? autoArenaBytes({ ...shape, handleBytes }) : spec.arenaBytes,
    handleBytes,
    reuse: reuseTable({ ...shape, ...ht }),
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

function peerClasses({ ranks, ranksPerNode }: Spec): PeerClass[] {
  // Ranks of several nodes differ in whom they reach through memory, so distance alone doesn't tell.
  const far: PeerClass = ranks <= ranksPerNode ? 'memory' : 'port';
  return Array.from({ length: Math.min(ranks, 64) }, (_, distance) =>
    distance === 0 ? 'self' : far,
  );
}
