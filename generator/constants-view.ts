import { cppName, snakeCase } from './cpp-name.js';
import type { Plan } from './plan.js';
import { numberOf, type PlanNumber, type RuleGroup } from './rule.js';
import { RULES } from './rules.js';

/** Width of generated C++. */
export const COLUMNS = 120;

/** Constants and what is asserted of them. */
export interface ConstantsView {
  readonly name: string;
  readonly constants: readonly {
    readonly ctype: string;
    readonly name: string;
    readonly value: string;
  }[];
  readonly asserts: readonly AssertView[];
}

export interface AssertView {
  readonly expr: string;
  readonly message: string;
  readonly fitsOnOneLine: boolean;
}

/** The constants of layout.cuh, in order. */
const CONSTANTS: Readonly<Record<RuleGroup, readonly PlanNumber[]>> = {
  exchange: [
    'numRanks',
    'numLocalRanks',
    'numExperts',
    'numLocalExperts',
    'numTopk',
    'hidden',
    'maxTokensPerRank',
    'maxRecvTokens',
    'numChannels',
    'rowBytes',
    'combineRowBytes',
    'scaleGranule',
    'numScaleWords',
    'scaleColumnWords',
    'extraBytes',
    'numExtraWords',
    'numLlChannels',
    'maxLlTokensPerRank',
    'maxLlRecvTokens',
    'llInputRowBytes',
    'llRowBytes',
    'numLlScaleWords',
    'llScaleColumnWords',
    'llOutputRowBytes',
    'sharedBytesLimit',
  ],
  dispatch: [
    'dispatch.numStages',
    'dispatch.pieceBytes',
    'dispatch.piecesPerRow',
    'dispatch.lastPieceBytes',
    'dispatch.storeLag',
    'dispatch.numMetaWarps',
    'dispatch.numWarps',
    'dispatch.numThreads',
    'dispatch.sharedBytes',
  ],
  combine: [
    'combine.numStages',
    'combine.pieceBytes',
    'combine.piecesPerRow',
    'combine.lastPieceBytes',
    'combine.numReduceWarps',
    'combine.vectorsPerThread',
    'combine.weightSpanWords',
    'combine.numWarps',
    'combine.numThreads',
    'combine.sharedBytes',
    'numBiases',
  ],
  expertMajor: [
    'expertMajor.numExpertBits',
    'expertMajor.numWarps',
    'expertMajor.numThreads',
    'expertMajor.sharedBytes',
  ],
  llDispatch: [
    'llDispatch.numStages',
    'llDispatch.numWarps',
    'llDispatch.numThreads',
    'llDispatch.sharedBytes',
  ],
  llCombine: [
    'llCombine.numStages',
    'llCombine.pieceBytes',
    'llCombine.piecesPerRow',
    'llCombine.lastPieceBytes',
    'llCombine.pieceElements',
    'llCombine.lastPieceElements',
    'llCombine.numReduceWarps',
    'llCombine.vectorsPerThread',
    'llCombine.numWarps',
    'llCombine.numThreads',
    'llCombine.sharedBytes',
  ],
  llStage: ['llStage.numWarps', 'llStage.numThreads', 'llStage.sharedBytes'],
  dispatchLayout: ['dispatchLayout.numThreads', 'dispatchLayout.sharedBytes'],
  window: [
    'liveResults',
    'numRecvBuffers',
    'numOutputBuffers',
    'llInFlight',
    'numLlRecvBuffers',
    'numLlCountBuffers',
    'numLlOutputBuffers',
    'windowBytes',
    'handleBytes',
    'llHandleBytes',
    'arenaBytes',
  ],
};

/** Sizes of what lies in device memory need 64 bits. */
const WIDE: ReadonlySet<PlanNumber> = new Set<PlanNumber>([
  'windowBytes',
  'arenaBytes',
  'handleBytes',
  'llHandleBytes',
]);

/** Numbers of what a spec may do without: 0 says that it does. */
const OPTIONAL: ReadonlySet<PlanNumber> = new Set<PlanNumber>([
  'maxTokensPerRank',
  'maxRecvTokens',
  'numChannels',
  'rowBytes',
  'combineRowBytes',
  'numScaleWords',
  'scaleColumnWords',
  'extraBytes',
  'numExtraWords',
  'numBiases',
  'combine.weightSpanWords',
  'liveResults',
  'numRecvBuffers',
  'numOutputBuffers',
  'handleBytes',
  'numLlChannels',
  'maxLlTokensPerRank',
  'maxLlRecvTokens',
  'llInputRowBytes',
  'llRowBytes',
  'numLlScaleWords',
  'llScaleColumnWords',
  'llOutputRowBytes',
  'llInFlight',
  'numLlRecvBuffers',
  'numLlCountBuffers',
  'numLlOutputBuffers',
  'llHandleBytes',
]);

/** Without scales beside them, they follow from the bytes of a piece. */
const ELEMENTS_BESIDE_SCALES: ReadonlySet<PlanNumber> = new Set<PlanNumber>([
  'llCombine.pieceElements',
  'llCombine.lastPieceElements',
]);

function isUsed(plan: Plan, name: PlanNumber): boolean {
  // A block of scales that are not packed needs no whole multiple: only the packed ones' check names it.
  if (name === 'scaleGranule') return plan.features.hasPackedScales;
  if (ELEMENTS_BESIDE_SCALES.has(name)) return plan.features.combinesLlFp8;
  return !OPTIONAL.has(name) || numberOf(plan, name) > 0;
}

export function constantsView(plan: Plan, group: RuleGroup): ConstantsView {
  return {
    name: snakeCase(group),
    constants: CONSTANTS[group]
      .filter((name) => isUsed(plan, name))
      .map((name) => ({
        ctype: WIDE.has(name) ? 'uint64_t' : 'uint32_t',
        name: cppName(name, group),
        value: `${numberOf(plan, name)}`,
      })),
    asserts: RULES.filter((rule) => rule.group === group && rule.appliesTo(plan)).map(assertView),
  };
}

export function assertView({
  expr,
  message,
}: {
  readonly expr: string;
  readonly message: string;
}): AssertView {
  const fitsOnOneLine = `static_assert(${expr}, "${message}");`.length <= COLUMNS;
  return { expr, message, fitsOnOneLine };
}
