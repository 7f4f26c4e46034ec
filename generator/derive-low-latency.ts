import { type Derivation, type Derive, type Derived, sumOfFields } from './derivation.js';
import { llHandleHeader } from './handle.js';
import { LL_CHIP_CHANNELS, LL_SCALE_BLOCK, llPieceBytes, llPieceUnit } from './low-latency-plan.js';
import { llCombineShared, llDispatchShared, llStageShared } from './low-latency-shared-memory.js';
import { DEFAULT_LL } from './spec-schema.js';

/** How the numbers of low-latency calls follow from the spec; none of them is there without `ll`. */
export const LOW_LATENCY = {
  numLlChannels: ({ spec }) =>
    spec.channels.ll === 'chip'
      ? {
          formula: 'min(spec.ll.maxTokensPerRank, LL_CHIP_CHANNELS)',
          boundBy:
            spec.ll && spec.ll.maxTokensPerRank < LL_CHIP_CHANNELS
              ? 'spec.ll.maxTokensPerRank'
              : 'LL_CHIP_CHANNELS',
          note: 'a token a multiprocessor',
        }
      : { formula: 'spec.channels.ll', note: 'as asked' },
  maxLlTokensPerRank: 'spec.ll.maxTokensPerRank',
  maxLlRecvTokens: 'numRanks × maxLlTokensPerRank',
  llInputRowBytes: 'hidden × 2',
  llRowBytes: ({ plan }) => ({ formula: plan.features.hasLlFp8 ? 'hidden' : 'hidden × 2' }),
  numLlScaleWords: ({ plan }) =>
    plan.features.hasLlFp8
      ? {
          formula: plan.features.hasLlPackedScales
            ? 'ceil(hidden / (LL_SCALE_BLOCK × SCALES_PER_PACKED_WORD))'
            : 'ceil(hidden / LL_SCALE_BLOCK)',
        }
      : { formula: '0', note: 'rows of bf16 have no scales' },
  llScaleColumnWords: ({ plan }) =>
    plan.features.hasLlColumnScales
      ? { formula: 'roundUp(maxLlRecvTokens, COLUMN_ALIGN)' }
      : { formula: '0', note: 'no scales lie in columns' },
  llOutputRowBytes:
    '(llCombine.piecesPerRow - 1) × llCombine.pieceBytes + llCombine.lastPieceBytes',
  llInFlight: 'spec.ll.inFlight',
  numLlRecvBuffers: ({ plan }) => ({
    formula: plan.features.hasLlCredit ? 'llInFlight' : '2 × llInFlight',
    note: plan.features.hasLlCredit
      ? 'spec.ll.credit: a dispatch waits for every rank before it writes rows, which saves half'
      : 'rows of a call may come while results of as many calls before it are used',
  }),
  numLlCountBuffers: () => ({
    formula: '2 × llInFlight',
    note: 'words of a call may come while as many calls before it are not received',
  }),
  numLlOutputBuffers: () => ({
    formula: '2 × llInFlight',
    note: 'peers may pull for as many calls before it while outputs are written',
  }),
  llHandleBytes: ({ plan }) => ({
    formula: 'roundUp(llHandleHeader + maxLlTokensPerRank × numTopk × 4, HANDLE_ALIGN)',
    terms: { llHandleHeader: llHandleHeader(plan).bytes },
  }),

  'llDispatch.numStages': 'LL_DISPATCH_STAGES',
  'llDispatch.numWarps': 'LL_DISPATCH_WARPS',
  'llDispatch.numThreads': 'llDispatch.numWarps × WARP_SIZE',
  'llDispatch.sharedBytes': ({ plan }) =>
    sumOfFields(llDispatchShared({ ...plan, numStages: plan.llDispatch?.numStages ?? 0 })),

  'llCombine.pieceElements': ({ spec, plan }) => ({
    formula: 'roundUp(ceil(hidden / llCombine.piecesPerRow), pieceUnit)',
    terms: { pieceUnit: llPieceUnit(plan.hidden, (spec.ll || DEFAULT_LL).combineDtype) },
    note: 'the fewest equal pieces of which one for each selection fits in shared memory',
  }),
  'llCombine.piecesPerRow': 'ceil(hidden / llCombine.pieceElements)',
  'llCombine.lastPieceElements': 'hidden - (llCombine.piecesPerRow - 1) × llCombine.pieceElements',
  'llCombine.pieceBytes': (derived) => pieceBytes('llCombine.pieceElements', derived),
  'llCombine.lastPieceBytes': (derived) => pieceBytes('llCombine.lastPieceElements', derived),
  'llCombine.numStages': () => ({
    formula:
      'max(2, numTopk, min(numTopk × llCombine.piecesPerRow, floor((sharedBytesLimit - LL_COMBINE_EXTRA_BYTES) / llCombine.pieceBytes), LL_MAX_COMBINE_STAGES))',
    note: 'all rows of a token at once, as far as shared memory reaches, and a piece of each',
  }),
  'llCombine.vectorsPerPiece': 'ceil(llCombine.pieceElements / llCombine.elementsPerVector)',
  'llCombine.elementsPerVector': ({ plan }) => ({
    formula: plan.features.combinesLlFp8 ? 'VECTOR_BYTES' : 'VECTOR_BYTES / 2',
  }),
  'llCombine.vectorsPerThread':
    'ceil(llCombine.vectorsPerPiece / (WARP_SIZE × LL_MAX_REDUCE_WARPS))',
  'llCombine.numReduceWarps':
    'ceil(llCombine.vectorsPerPiece / (WARP_SIZE × llCombine.vectorsPerThread))',
  'llCombine.numWarps': () => ({ formula: 'llCombine.numReduceWarps + 1', note: 'one pulls rows' }),
  'llCombine.numThreads': 'llCombine.numWarps × WARP_SIZE',
  'llCombine.sharedBytes': ({ plan }) =>
    sumOfFields(llCombineShared(plan.llCombine ?? { pieceBytes: 0, numStages: 0 })),

  'llStage.numWarps': 'LL_STAGE_WARPS',
  'llStage.numThreads': 'llStage.numWarps × WARP_SIZE',
  'llStage.sharedBytes': () => sumOfFields(llStageShared()),
} as const satisfies Readonly<Record<string, Derive>>;

function pieceBytes(
  elements: 'llCombine.pieceElements' | 'llCombine.lastPieceElements',
  { plan }: Derived,
): Derivation {
  if (!plan.features.combinesLlFp8) return { formula: `${elements} × 2` };
  const count =
    (elements === 'llCombine.pieceElements'
      ? plan.llCombine?.pieceElements
      : plan.llCombine?.lastPieceElements) ?? 0;
  const scales = llPieceBytes(count, 'fp8_e4m3') - count;
  return {
    formula: `${elements} + scales`,
    terms: { scales },
    note: `elements, then one f32 for each ${LL_SCALE_BLOCK} of them, in whole vectors`,
  };
}
