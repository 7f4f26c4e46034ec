import { type Derivation, type Derive, type Derived, sumOfFields } from './derivation.js';
import {
  combineStages,
  dispatchStages,
  LAYOUT_WARPS,
  MAX_REDUCE_WARPS,
  requireHt,
} from './high-throughput-plan.js';
import { MAX_AUTO_PIECE_BYTES, pieceUnit } from './pieces.js';
import {
  combineShared,
  dispatchLayoutShared,
  dispatchShared,
  expertMajorShared,
  type StagesInput,
  stagesFor,
  stagesThatFit,
} from './shared-memory.js';

/** How the numbers of each kernel follow from the exchange and from what the spec asks of channels. */
export const KERNELS = {
  'dispatch.pieceBytes': ({ spec, plan }) => pieceBytes('rowBytes', { spec, plan }),
  'dispatch.piecesPerRow': 'ceil(rowBytes / dispatch.pieceBytes)',
  'dispatch.lastPieceBytes': 'rowBytes - (dispatch.piecesPerRow - 1) × dispatch.pieceBytes',
  'dispatch.numStages': ({ spec, plan }) =>
    numStages(dispatchStages({ ...requireHt(plan), memory: spec.channels.memory }), {
      pieceBytes: 'dispatch.pieceBytes',
      atLeast: 'MIN_DISPATCH_STAGES',
    }),
  'dispatch.storeLag': () => ({
    formula: 'floor(dispatch.numStages / 2)',
    note: 'half of the stages store while the others load',
  }),
  'dispatch.numMetaWarps': 'META_WARPS',
  'dispatch.numWarps': () => ({
    formula: 'dispatch.numMetaWarps + 3',
    note: 'one loads rows, one stores them, one counts',
  }),
  'dispatch.numThreads': 'dispatch.numWarps × WARP_SIZE',
  'dispatch.sharedBytes': ({ plan }) => {
    const ht = requireHt(plan);
    return sumOfFields(dispatchShared({ ...ht, ...ht.dispatch }));
  },

  'combine.pieceBytes': ({ spec, plan }) => pieceBytes('combineRowBytes', { spec, plan }),
  'combine.piecesPerRow': 'ceil(combineRowBytes / combine.pieceBytes)',
  'combine.lastPieceBytes': 'combineRowBytes - (combine.piecesPerRow - 1) × combine.pieceBytes',
  'combine.numStages': ({ spec, plan }) =>
    numStages(combineStages({ ...requireHt(plan), memory: spec.channels.memory }), {
      pieceBytes: 'combine.pieceBytes',
      atLeast: plan.numRanks > 2 ? 'numRanks' : 'MIN_COMBINE_STAGES',
    }),
  'combine.vectorsPerPiece': 'combine.pieceBytes / VECTOR_BYTES',
  'combine.elementsPerVector': 'VECTOR_BYTES / combineElementBytes',
  'combine.vectorsPerThread': ({ plan }) => ({
    formula: 'ceil(combine.vectorsPerPiece / (WARP_SIZE × MAX_REDUCE_WARPS))',
    ...(requireHt(plan).combine.vectorsPerThread > 1 ? { boundBy: 'MAX_REDUCE_WARPS' } : {}),
    note: 'the fewest that MAX_REDUCE_WARPS leave to a thread',
  }),
  'combine.numReduceWarps': ({ plan }) => ({
    formula: 'ceil(combine.vectorsPerPiece / (WARP_SIZE × combine.vectorsPerThread))',
    note:
      requireHt(plan).combine.numReduceWarps === MAX_REDUCE_WARPS
        ? 'all of MAX_REDUCE_WARPS'
        : 'the fewest that reach every vector of a piece',
  }),
  'combine.weightSpanWords': ({ plan }) => weightSpanWords(plan),
  'combine.numWarps': () => ({ formula: 'combine.numReduceWarps + 1', note: 'one pulls rows' }),
  'combine.numThreads': 'combine.numWarps × WARP_SIZE',
  'combine.sharedBytes': ({ plan }) => sumOfFields(combineShared(requireHt(plan).combine)),

  'expertMajor.numExpertBits': 'max(1, ceil(log2(numLocalExperts)))',
  'expertMajor.numWarps': 'LAYOUT_WARPS',
  'expertMajor.numThreads': 'expertMajor.numWarps × WARP_SIZE',
  'expertMajor.sharedBytes': ({ plan }) =>
    sumOfFields(expertMajorShared({ ...plan, numWarps: LAYOUT_WARPS })),

  'dispatchLayout.numWarps': 'LAYOUT_WARPS',
  'dispatchLayout.numThreads': 'dispatchLayout.numWarps × WARP_SIZE',
  'dispatchLayout.sharedBytes': ({ plan }) => sumOfFields(dispatchLayoutShared(plan)),
} as const satisfies Readonly<Record<string, Derive>>;

function pieceBytes(rowBytes: 'rowBytes' | 'combineRowBytes', { spec, plan }: Derived): Derivation {
  const asked = spec.channels.memory.pieceBytes;
  const bytes = requireHt(plan)[rowBytes];
  if (asked !== 'auto') {
    const boundBy = asked < bytes ? 'spec.channels.memory.pieceBytes' : rowBytes;
    return { formula: `min(spec.channels.memory.pieceBytes, ${rowBytes})`, boundBy };
  }
  const isWhole = bytes <= MAX_AUTO_PIECE_BYTES;
  return {
    formula: `roundUp(ceil(${rowBytes} / ceil(${rowBytes} / MAX_AUTO_PIECE_BYTES)), pieceUnit)`,
    terms: { pieceUnit: pieceUnit(bytes) },
    boundBy: isWhole ? rowBytes : 'MAX_AUTO_PIECE_BYTES',
    note: isWhole ? 'a piece is a whole row' : 'the fewest equal pieces of a row',
  };
}

interface StageNames {
  readonly pieceBytes: string;
  readonly atLeast: string;
}

function numStages(input: StagesInput, { pieceBytes, atLeast }: StageNames): Derivation {
  const { boundBy } = stagesFor(input);
  if (boundBy === 'asked') return { formula: 'spec.channels.memory.stages', note: 'as asked' };
  const isFree = input.memory.inFlightBytes === 'auto';
  const underWay = isFree ? 'AUTO_IN_FLIGHT_BYTES' : 'spec.channels.memory.inFlightBytes';
  const limits = [
    `ceil(${underWay} / ${pieceBytes})`,
    ...(isFree ? ['MAX_AUTO_STAGES'] : []),
    'stagesThatFit',
  ];
  const [name, note] = {
    inFlightBytes: [underWay, 'more stages would keep more bytes under way than that'],
    cap: ['MAX_AUTO_STAGES', 'more keep no more bytes under way'],
    sharedMemory: ['stagesThatFit', 'one more would take more than sharedBytesLimit'],
    atLeast: [atLeast, 'fewer would not work'],
  }[boundBy];
  return {
    formula: `max(${atLeast}, min(${limits.join(', ')}))`,
    terms: { stagesThatFit: stagesThatFit(input) },
    boundBy: name,
    note,
  };
}

function weightSpanWords({ features, numTopk }: Derived['plan']): Derivation {
  if (!features.hasCombineWeights) {
    return { formula: '0', note: 'combine brings no top-k weights without spec.ht.combineWeights' };
  }
  const isAligned = (numTopk * 4) % 16 === 0;
  return isAligned
    ? { formula: 'numTopk', note: "a token's weights are whole vectors" }
    : {
        formula: 'roundUp(numTopk + VECTOR_BYTES / 4 - 1, VECTOR_BYTES / 4)',
        note: "a token's weights may begin anywhere in a vector",
      };
}
