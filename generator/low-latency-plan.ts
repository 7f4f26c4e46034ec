import { DTYPES, SCALES_PER_PACKED_WORD, VECTOR_BYTES } from './dtype.js';
import { llHandleBytesOf } from './handle.js';
import { llCombineShared, llDispatchShared, llStageShared } from './low-latency-shared-memory.js';
import { MAX_AUTO_PIECE_BYTES, pieceUnit } from './pieces.js';
import type { KernelPlan, RingPlan } from './plan.js';
import { roundUp } from './round.js';
import { SHARED_BYTES_LIMIT } from './shared-memory.js';
import type { Spec } from './spec.js';

/** Enough for every pair of a selection and a rank, which wait side by side. */
export const LL_DISPATCH_WARPS = 8;
/** The row of one token is cast or loaded while that of the one before is sent. */
export const LL_DISPATCH_STAGES = 2;
export const LL_STAGE_WARPS = 8;
/** Elements that share a scale where epgen casts. */
export const LL_SCALE_BLOCK = 128;
/** Room for a combine block's barriers and flag beside the pieces of its ring; with top-32 that has 63 stages at most. */
export const LL_COMBINE_EXTRA_BYTES = 1024;
export const LL_MAX_REDUCE_WARPS = 8;
export const LL_MAX_COMBINE_STAGES = 64;
/** Channels that `'chip'` stands for: an H100 has 132 multiprocessors. */
export const LL_CHIP_CHANNELS = 128;
const LL_COLUMN_ALIGN = 4;
const WARP_SIZE = 32;
const WORD_BYTES = 4;

/** Numbers of the low-latency exchange. */
export interface LowLatencyShape {
  readonly numLlChannels: number;
  readonly maxLlTokensPerRank: number;
  /** Rows that an expert may get in one call. */
  readonly maxLlRecvTokens: number;
  /** Of bf16, as callers give and get rows. */
  readonly llInputRowBytes: number;
  /** As dispatch delivers rows. */
  readonly llRowBytes: number;
  /** 4-byte words of scales of a row. */
  readonly numLlScaleWords: number;
  /** Words from one column of received scales to the next; 0 where they lie in rows. */
  readonly llScaleColumnWords: number;
  /** As the rows of combine travel. */
  readonly llOutputRowBytes: number;
  readonly llInFlight: number;
  readonly numLlRecvBuffers: number;
  readonly numLlCountBuffers: number;
  readonly numLlOutputBuffers: number;
  readonly llHandleBytes: number;
}

export interface LlDispatchPlan extends KernelPlan {
  readonly numStages: number;
}

export interface LlCombinePlan extends RingPlan, KernelPlan {
  /** A piece of elements, followed by its scales where rows travel as fp8. */
  readonly pieceElements: number;
  readonly lastPieceElements: number;
  /** 16-byte vectors of elements. */
  readonly vectorsPerPiece: number;
  readonly elementsPerVector: number;
  readonly numReduceWarps: number;
  readonly vectorsPerThread: number;
}

/** What a spec with low-latency calls adds to a plan. */
export interface LowLatencyPlan extends Partial<LowLatencyShape> {
  readonly llDispatch?: LlDispatchPlan;
  readonly llCombine?: LlCombinePlan;
  readonly llStage?: KernelPlan;
}

/** Of no numbers where the spec has no low-latency calls. */
export function lowLatencyPlan(spec: Spec): LowLatencyPlan {
  const { ll, ranks, experts, topk, hidden, channels } = spec;
  if (!ll) return {};
  const { maxTokensPerRank, inFlight } = ll;
  const numLocalExperts = experts / ranks;
  const maxLlRecvTokens = ranks * maxTokensPerRank;
  const castsRows = ll.dtype === 'fp8_e4m3';
  const llRowBytes = hidden * DTYPES[ll.dtype].bytes;
  const numLlScaleWords = castsRows ? Math.ceil(hidden / llScaleGranule(ll.scaleDtype)) : 0;
  const llCombine = llCombinePlan({ hidden, numTopk: topk, dtype: ll.combineDtype });
  return {
    numLlChannels:
      channels.ll === 'chip' ? Math.min(maxTokensPerRank, LL_CHIP_CHANNELS) : channels.ll,
    maxLlTokensPerRank: maxTokensPerRank,
    maxLlRecvTokens,
    llInputRowBytes: hidden * DTYPES.bf16.bytes,
    llRowBytes,
    numLlScaleWords,
    llScaleColumnWords:
      castsRows && ll.scaleLayout === 'column' ? roundUp(maxLlRecvTokens, LL_COLUMN_ALIGN) : 0,
    llOutputRowBytes:
      (llCombine.piecesPerRow - 1) * llCombine.pieceBytes + llCombine.lastPieceBytes,
    llInFlight: inFlight,
    numLlRecvBuffers: ll.credit ? inFlight : 2 * inFlight,
    numLlCountBuffers: 2 * inFlight,
    numLlOutputBuffers: 2 * inFlight,
    llHandleBytes: llHandleBytesOf({
      numRanks: ranks,
      numLocalExperts,
      numTopk: topk,
      maxLlTokensPerRank: maxTokensPerRank,
    }),
    llDispatch: llDispatchPlan({
      numRanks: ranks,
      numExperts: experts,
      numTopk: topk,
      llRowBytes,
      numLlScaleWords,
    }),
    llCombine,
    llStage: {
      numWarps: LL_STAGE_WARPS,
      numThreads: LL_STAGE_WARPS * WARP_SIZE,
      sharedBytes: llStageShared().bytes,
    },
  };
}

/** Elements of a row that one 4-byte word of scales is for. */
export function llScaleGranule(scaleDtype: 'f32' | 'ue8m0'): number {
  return scaleDtype === 'ue8m0' ? SCALES_PER_PACKED_WORD * LL_SCALE_BLOCK : LL_SCALE_BLOCK;
}

function llDispatchPlan(shape: {
  readonly numRanks: number;
  readonly numExperts: number;
  readonly numTopk: number;
  readonly llRowBytes: number;
  readonly numLlScaleWords: number;
}): LlDispatchPlan {
  return {
    numStages: LL_DISPATCH_STAGES,
    numWarps: LL_DISPATCH_WARPS,
    numThreads: LL_DISPATCH_WARPS * WARP_SIZE,
    sharedBytes: llDispatchShared({ ...shape, numStages: LL_DISPATCH_STAGES }).bytes,
  };
}

/** All selections of a token in flight at once, as far as shared memory reaches: a step takes a stage for each. */
function llCombinePlan({
  hidden,
  numTopk,
  dtype,
}: {
  readonly hidden: number;
  readonly numTopk: number;
  readonly dtype: 'bf16' | 'fp8_e4m3';
}): LlCombinePlan {
  const pieces = llPieces({ hidden, numTopk, dtype });
  const { pieceBytes, pieceElements } = pieces;
  const vectorsPerPiece = (pieceElements * DTYPES[dtype].bytes) / VECTOR_BYTES;
  const vectorsPerThread = Math.ceil(vectorsPerPiece / (WARP_SIZE * LL_MAX_REDUCE_WARPS));
  const numReduceWarps = Math.ceil(vectorsPerPiece / (WARP_SIZE * vectorsPerThread));
  const numStages = llCombineStages({ ...pieces, numTopk });
  const numWarps = numReduceWarps + 1; // one pulls
  return {
    numStages,
    ...pieces,
    vectorsPerPiece,
    elementsPerVector: VECTOR_BYTES / DTYPES[dtype].bytes,
    numReduceWarps,
    vectorsPerThread,
    numWarps,
    numThreads: numWarps * WARP_SIZE,
    sharedBytes: llCombineShared({ pieceBytes, numStages }).bytes,
  };
}

function llCombineStages({
  numTopk,
  piecesPerRow,
  pieceBytes,
}: {
  readonly numTopk: number;
  readonly piecesPerRow: number;
  readonly pieceBytes: number;
}): number {
  const fits = Math.floor((SHARED_BYTES_LIMIT - LL_COMBINE_EXTRA_BYTES) / pieceBytes);
  return Math.max(2, numTopk, Math.min(numTopk * piecesPerRow, fits, LL_MAX_COMBINE_STAGES));
}

/** Pieces so small that one of each selection fits. */
function llPieces({
  hidden,
  numTopk,
  dtype,
}: {
  readonly hidden: number;
  readonly numTopk: number;
  readonly dtype: 'bf16' | 'fp8_e4m3';
}) {
  const most = mostPieceBytes(numTopk);
  const bytesOf = (elements: number) => llPieceBytes(elements, dtype);
  const unit = llPieceUnit(hidden, dtype);
  let piecesPerRow = Math.ceil(bytesOf(hidden) / most);
  const elementsOf = (pieces: number) => roundUp(Math.ceil(hidden / pieces), unit);
  while (bytesOf(elementsOf(piecesPerRow)) > most) piecesPerRow += 1;
  const pieceElements = elementsOf(piecesPerRow);
  piecesPerRow = Math.ceil(hidden / pieceElements);
  const lastPieceElements = hidden - (piecesPerRow - 1) * pieceElements;
  return {
    pieceElements,
    lastPieceElements,
    piecesPerRow,
    pieceBytes: bytesOf(pieceElements),
    lastPieceBytes: bytesOf(lastPieceElements),
  };
}

/** Elements that pieces are whole multiples of: those of a warp's vectors, or of scales that fill a vector, where a row is so too. */
export function llPieceUnit(hidden: number, dtype: 'bf16' | 'fp8_e4m3'): number {
  if (dtype === 'bf16') return pieceUnit(hidden * DTYPES.bf16.bytes) / DTYPES.bf16.bytes;
  const scaledByVector = (VECTOR_BYTES / WORD_BYTES) * LL_SCALE_BLOCK;
  return hidden % scaledByVector === 0 ? scaledByVector : LL_SCALE_BLOCK;
}

function mostPieceBytes(numTopk: number): number {
  const share = Math.floor((SHARED_BYTES_LIMIT - LL_COMBINE_EXTRA_BYTES) / Math.max(2, numTopk));
  return Math.min(MAX_AUTO_PIECE_BYTES, share - (share % VECTOR_BYTES));
}

/** Elements, then their scales where they are fp8, in whole vectors. */
export function llPieceBytes(elements: number, dtype: 'bf16' | 'fp8_e4m3'): number {
  if (dtype === 'bf16') return elements * DTYPES.bf16.bytes;
  return elements + roundUp(Math.ceil(elements / LL_SCALE_BLOCK) * WORD_BYTES, VECTOR_BYTES);
}
