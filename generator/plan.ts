import { DTYPES, INDEX_TYPES } from './dtype.js';
import { handleBytesOf } from './handle.js';
import { type Pieces, piecesOfRow } from './pieces.js';
import type { Ctype } from './record.js';
import { numOutputBuffers, type ReuseEdge, recvBuffersFor, reuseTable } from './reuse.js';
import { roundUp } from './round.js';
import { requireRules } from './rules.js';
import {
  combineShared,
  dispatchLayoutShared,
  dispatchShared,
  numStagesFor,
  SHARED_BYTES_LIMIT,
} from './shared-memory.js';
import type { Spec } from './spec.js';
import { DEFAULT_HT } from './spec-schema.js';
import { windowBytesOf, windowRegions } from './window.js';

const WARP_SIZE = 32;
const MAX_REDUCE_WARPS = 8;
const ARENA_UNIT_BYTES = 2 * 2 ** 20;

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
  readonly numReduceWarps: number;
  readonly vectorsPerThread: number;
}

/** Every number that follows from a spec. */
export interface Plan {
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
  readonly numChannels: number;
  readonly liveResults: number;
  readonly numRecvBuffers: number;
  readonly numOutputBuffers: number;
  readonly sharedBytesLimit: number;
  readonly dispatch: DispatchPlan;
  readonly combine: CombinePlan;
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
  const shape = {
    numRanks: spec.ranks,
    numExperts: spec.experts,
    numLocalExperts,
    numTopk: spec.topk,
    maxTokensPerRank: ht.maxTokensPerRank,
    maxRecvTokens,
    rowBytes: spec.hidden * elementBytes,
    combineRowBytes: spec.hidden * combineElementBytes,
    topkIdxType: INDEX_TYPES[spec.topkIdx].cppType,
    numChannels: spec.channels.memory.count,
    numRecvBuffers: recvBuffersFor(ht),
    numOutputBuffers,
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
    combineElementBytes,
    liveResults: ht.liveResults,
    sharedBytesLimit: SHARED_BYTES_LIMIT,
    dispatch: dispatchPlan({ ...shape, memory: spec.channels.memory }),
    combine: combinePlan({ ...shape, memory: spec.channels.memory }),
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
  const { rowBytes, memory } = input;
  const pieces = piecesOfRow(rowBytes, memory.pieceBytes);
  const sharedBytes = (numStages: number) =>
    dispatchShared({ ...input, pieceBytes: pieces.pieceBytes, numStages }).bytes;
  const numStages = numStagesFor({
    asked: memory.stages,
    inFlightBytes: memory.inFlightBytes,
    atLeast: 4,
    pieceBytes: pieces.pieceBytes,
    sharedBytes,
  });
  const numMetaWarps = 5;
  const numWarps = numMetaWarps + 3; // one loads rows, one stores them, one counts
  return {
    numStages,
    ...pieces,
    storeLag: Math.floor(numStages / 2),
    numMetaWarps,
    numWarps,
    numThreads: numWarps * WARP_SIZE,
    sharedBytes: sharedBytes(numStages),
  };
}

export interface CombineRingInput {
  readonly numRanks: number;
  readonly combineRowBytes: number;
  readonly memory: Pick<MemoryChannels, 'stages' | 'pieceBytes' | 'inFlightBytes'>;
}

/** How combine brings rows of any size into shared memory and sums them. */
export function combinePlan({ numRanks, combineRowBytes, memory }: CombineRingInput): CombinePlan {
  const pieces = piecesOfRow(combineRowBytes, memory.pieceBytes);
  const sharedBytes = (numStages: number) =>
    combineShared({ pieceBytes: pieces.pieceBytes, numStages }).bytes;
  const numStages = numStagesFor({
    asked: memory.stages,
    inFlightBytes: memory.inFlightBytes,
    atLeast: Math.max(2, numRanks),
    pieceBytes: pieces.pieceBytes,
    sharedBytes,
  });
  const vectorsPerPiece = pieces.pieceBytes / 16;
  // The fewest vectors per thread, then the fewest warps that they need.
  const vectorsPerThread = Math.ceil(vectorsPerPiece / (WARP_SIZE * MAX_REDUCE_WARPS));
  const numReduceWarps = Math.ceil(vectorsPerPiece / (WARP_SIZE * vectorsPerThread));
  const numWarps = numReduceWarps + 1; // one pulls
  return {
    numStages,
    ...pieces,
    vectorsPerPiece,
    numReduceWarps,
    vectorsPerThread,
    numWarps,
    numThreads: numWarps * WARP_SIZE,
    sharedBytes: sharedBytes(numStages),
  };
}

function dispatchLayoutPlan(shape: {
  readonly numRanks: number;
  readonly numExperts: number;
}): KernelPlan {
  const numWarps = 8;
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

interface ArenaInput {
  readonly maxTokensPerRank: number;
  readonly maxRecvTokens: number;
  readonly rowBytes: number;
  readonly combineRowBytes: number;
  readonly numTopk: number;
  readonly handleBytes: number;
}

/** Room for six handles, a dozen tensors of tokens, three of received rows, and what chooses experts. */
function autoArenaBytes(input: ArenaInput): number {
  const tokenBytes = input.maxTokensPerRank * Math.max(input.rowBytes, input.combineRowBytes);
  const receivedBytes = input.maxRecvTokens * input.combineRowBytes;
  const choiceBytes = input.maxTokensPerRank * input.numTopk * 8;
  const bytes = 6 * input.handleBytes + 12 * tokenBytes + 3 * receivedBytes + 16 * choiceBytes;
  return roundUp(bytes, ARENA_UNIT_BYTES);
}
