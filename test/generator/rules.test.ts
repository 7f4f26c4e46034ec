import { describe, expect, it } from 'vitest';
import { generate } from '../../generator/generate.js';
import {
  type CombinePlan,
  type DispatchPlan,
  requireHt,
} from '../../generator/high-throughput-plan.js';
import type { LlCombinePlan, LlDispatchPlan } from '../../generator/low-latency-plan.js';
import { derivePlan, type Plan } from '../../generator/plan.js';
import type { Rule } from '../../generator/rule.js';
import { RULES } from '../../generator/rules.js';
import { parseSpec } from '../../generator/spec.js';

const plan = requireHt(derivePlan(parseSpec({ ranks: 8, hidden: 7168 }, 'test')));
const dispatch = (fields: Partial<DispatchPlan>) => ({
  dispatch: { ...plan.dispatch, ...fields },
});
const combine = (fields: Partial<CombinePlan>) => ({ combine: { ...plan.combine, ...fields } });

const features = (names: Partial<Plan['features']>) => ({
  features: { ...plan.features, ...names },
});
const scales = { ...features({ hasPackedScales: true }), scaleGranule: 512 };
const extras = features({ hasExtras: true });
const biases = features({ hasBiases: true });

const lowLatency = features({ hasLl: true });
const fp8Rows = features({ hasLl: true, hasLlFp8: true });
const packed = features({ hasLl: true, hasLlFp8: true, hasLlPackedScales: true });
const { llDispatch, llCombine } = derivePlan(parseSpec({ ranks: 8, hidden: 7168, ll: {} }, 'test'));
const llDispatchOf = (fields: Partial<LlDispatchPlan>) => ({
  ...lowLatency,
  llDispatch: { ...llDispatch!, ...fields },
});
const llCombineOf = (fields: Partial<LlCombinePlan>) => ({
  ...lowLatency,
  llCombine: { ...llCombine!, ...fields },
});

/** Each rule by its assertion, with numbers that only just break it and that only just keep it. */
const cases: readonly [expr: string, broken: Partial<Plan>, kept: Partial<Plan>][] = [
  ['kNumLocalRanks <= kMaxRanks', { numLocalRanks: 9 }, { numLocalRanks: 8 }],
  ['kNumRanks % kNumLocalRanks == 0', { numRanks: 12 }, { numRanks: 16 }],
  ['kNumExperts % kNumRanks == 0', { numExperts: 250 }, { numExperts: 248 }],
  ['kNumExperts <= 2048', { numExperts: 2049 }, { numExperts: 2048 }],
  ['kNumTopk <= 32', { numTopk: 33 }, { numTopk: 32 }],
  ['kNumTopk <= kNumExperts', { numTopk: 9, numExperts: 8 }, { numTopk: 8, numExperts: 8 }],
  ['kHidden <= 16384', { hidden: 16385 }, { hidden: 16384 }],
  ['kRowBytes % 16 == 0', { rowBytes: 40 }, { rowBytes: 48 }],
  ['kCombineRowBytes % 16 == 0', { combineRowBytes: 40 }, { combineRowBytes: 48 }],
  ['kHidden % kScaleGranule == 0', { ...scales, hidden: 640 }, { ...scales, hidden: 1024 }],
  ['kExtraBytes % 4 == 0', { ...extras, extraBytes: 6 }, { ...extras, extraBytes: 8 }],
  ['kExtraBytes <= 65536', { ...extras, extraBytes: 65540 }, { ...extras, extraBytes: 65536 }],
  [
    '!"expertMajor of slotted rows"',
    features({ hasExpertMajor: true, isSlotted: true }),
    features({ hasExpertMajor: true, isSlotted: false }),
  ],
  [
    '!"worstTokens of slotted rows"',
    features({ hasWorstTokens: true, isSlotted: true }),
    features({ hasWorstTokens: true, isSlotted: false }),
  ],
  ['kNumBiases <= 2', { ...biases, numBiases: 3 }, { ...biases, numBiases: 2 }],
  ['kMaxTokensPerRank <= 65536', { maxTokensPerRank: 65537 }, { maxTokensPerRank: 65536 }],
  ['kNumChannels <= 64', { numChannels: 65 }, { numChannels: 64 }],
  [
    'uint64_t{kMaxTokensPerRank} * kNumTopk < kNoToken',
    { maxTokensPerRank: 2 ** 27, numTopk: 32 },
    { maxTokensPerRank: 2 ** 27 - 1, numTopk: 32 },
  ],
  ['kLiveResults <= 4', { liveResults: 5 }, { liveResults: 4 }],
  [
    'kWindowBytes / kReadyUnit <= 0xffffffffu',
    { windowBytes: 2 ** 39 },
    { windowBytes: 2 ** 39 - 4096 },
  ],
  [
    'kArenaBytes >= kHandleBytes',
    { arenaBytes: 127, handleBytes: 128 },
    { arenaBytes: 128, handleBytes: 128 },
  ],
  ['kPieceBytes % 16 == 0', dispatch({ pieceBytes: 24 }), dispatch({ pieceBytes: 32 })],
  ['kLastPieceBytes % 16 == 0', dispatch({ lastPieceBytes: 24 }), dispatch({ lastPieceBytes: 32 })],
  ['kLastPieceBytes >= 16', dispatch({ lastPieceBytes: 0 }), dispatch({ lastPieceBytes: 16 })],
  ['kNumStages >= 2', dispatch({ numStages: 1 }), dispatch({ numStages: 2, storeLag: 1 })],
  [
    'kSharedBytes <= kSharedBytesLimit',
    dispatch({ sharedBytes: 232449 }),
    dispatch({ sharedBytes: 232448 }),
  ],
  ['kNumThreads <= 1024', dispatch({ numThreads: 1056 }), dispatch({ numThreads: 1024 })],
  ['kStoreLag < kNumStages', dispatch({ storeLag: 8 }), dispatch({ storeLag: 7 })],
  ['kStoreLag >= 1', dispatch({ storeLag: 0 }), dispatch({ storeLag: 1 })],
  ['kPieceBytes % 16 == 0', combine({ pieceBytes: 24 }), combine({ pieceBytes: 32 })],
  ['kLastPieceBytes % 16 == 0', combine({ lastPieceBytes: 24 }), combine({ lastPieceBytes: 32 })],
  ['kLastPieceBytes >= 16', combine({ lastPieceBytes: 0 }), combine({ lastPieceBytes: 16 })],
  ['kNumStages >= 2', combine({ numStages: 1 }), combine({ numStages: 8 })],
  [
    'kSharedBytes <= kSharedBytesLimit',
    combine({ sharedBytes: 232449 }),
    combine({ sharedBytes: 232448 }),
  ],
  ['kNumThreads <= 1024', combine({ numThreads: 1056 }), combine({ numThreads: 1024 })],
  ['kNumStages >= kNumRanks', combine({ numStages: 7 }), combine({ numStages: 8 })],
  [
    'kSharedBytes <= kSharedBytesLimit',
    { dispatchLayout: { ...plan.dispatchLayout, sharedBytes: 232449 } },
    { dispatchLayout: { ...plan.dispatchLayout, sharedBytes: 232448 } },
  ],
  [
    'kLlInputRowBytes % 16 == 0',
    { ...lowLatency, llInputRowBytes: 40 },
    { ...lowLatency, llInputRowBytes: 48 },
  ],
  ['kHidden % 128 == 0', { ...fp8Rows, hidden: 320 }, { ...fp8Rows, hidden: 384 }],
  ['kHidden % 512 == 0', { ...packed, hidden: 640 }, { ...packed, hidden: 1024 }],
  [
    'kNumLlChannels <= 128',
    { ...lowLatency, numLlChannels: 129 },
    { ...lowLatency, numLlChannels: 128 },
  ],
  [
    'uint64_t{kNumExperts} * kMaxLlRecvTokens < 0x80000000u',
    { ...lowLatency, numExperts: 2048, maxLlRecvTokens: 2 ** 20 },
    { ...lowLatency, numExperts: 2048, maxLlRecvTokens: 2 ** 20 - 1 },
  ],
  [
    'kSharedBytes <= kSharedBytesLimit',
    llDispatchOf({ sharedBytes: 232449 }),
    llDispatchOf({ sharedBytes: 232448 }),
  ],
  [
    'kSharedBytes <= kSharedBytesLimit',
    llCombineOf({ sharedBytes: 232449 }),
    llCombineOf({ sharedBytes: 232448 }),
  ],
  ['kNumStages >= kNumTopk', llCombineOf({ numStages: 7 }), llCombineOf({ numStages: 8 })],
  [
    'kLastPieceBytes >= 16',
    llCombineOf({ lastPieceBytes: 0 }),
    llCombineOf({ lastPieceBytes: 16 }),
  ],
  ['kPieceBytes % 16 == 0', llCombineOf({ pieceBytes: 24 }), llCombineOf({ pieceBytes: 32 })],
  [
    'kLastPieceBytes % 16 == 0',
    llCombineOf({ lastPieceBytes: 24 }),
    llCombineOf({ lastPieceBytes: 32 }),
  ],
  [
    'kArenaBytes >= kLlHandleBytes',
    { ...lowLatency, handleBytes: 0, arenaBytes: 127, llHandleBytes: 128 },
    { ...lowLatency, handleBytes: 0, arenaBytes: 128, llHandleBytes: 128 },
  ],
];

function brokenBy(fields: Partial<Plan>): readonly string[] {
  return RULES.filter((rule) => !rule.holds({ ...plan, ...fields })).map((rule) => rule.expr);
}

describe('RULES', () => {
  it.each(cases)('%s', (expr, broken, kept) => {
    expect(brokenBy(broken)).toContain(expr);
    expect(brokenBy(kept)).not.toContain(expr);
  });

  it('are all in this table', () => {
    const known = cases.map(([expr]) => expr).sort();
    expect(RULES.map((rule) => rule.expr).sort()).toEqual(known);
  });

  it('hold for a valid spec', () => {
    expect(brokenBy({})).toEqual([]);
  });

  it.each<[calls: string, input: object]>([
    ['high-throughput calls', {}],
    ['calls of both kinds', { ll: {} }],
    ['low-latency calls alone', { ht: false, ll: {} }],
  ])('appear in layout.cuh, each with its message: %s', (_, input) => {
    const own = parseSpec({ ranks: 8, hidden: 7168, ...input }, 'test');
    const text = (generate(own).get('layout.cuh') ?? '').replaceAll(/,\n\s+/g, ', ');
    const assertionOf = ({ expr, message }: Rule) => `static_assert(${expr}, "${message}");`;
    const [applied, others] = [true, false].map((applies) =>
      RULES.filter((rule) => rule.appliesTo(derivePlan(own)) === applies).map(assertionOf),
    ) as [string[], string[]];
    for (const assertion of applied) expect(text).toContain(assertion);
    // Some rule is there for either kind of calls, in the same words.
    for (const assertion of others) {
      if (!applied.includes(assertion)) expect(text).not.toContain(assertion);
    }
  });
});
