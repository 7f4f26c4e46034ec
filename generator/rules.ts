import { EpgenSpecError } from './errors.js';
import { hasHt } from './high-throughput-plan.js';
import { HIGH_THROUGHPUT_RULES } from './high-throughput-rules.js';
import { LOW_LATENCY_RULES } from './low-latency-rules.js';
import type { Plan } from './plan.js';
import { type Rule, rule } from './rule.js';
import { isMostlyLowLatency } from './window.js';

/** Offsets in ready words count these: kReadyUnit. */
const READY_UNIT = 128;

const READY_WORD = 'a ready word carries an offset in the window in 32 bits';

/** What the size of a window follows from. */
const WINDOW_FIELDS = [
  'ranks',
  'hidden',
  'experts',
  'topk',
  'topkIdx',
  'dtype',
  'scaleBlock',
  'scaleDtype',
  'scaleLayout',
  'extraBytes',
  'combineDtype',
  'channels.memory.count',
  'ht.maxTokensPerRank',
  'ht.liveResults',
  'ht.credit',
  'ht.combineWeights',
  'ht.readyCounters',
  'channels.ll',
  'll.maxTokensPerRank',
  'll.inFlight',
  'll.credit',
  'll.dtype',
  'll.scaleDtype',
  'll.scaleLayout',
  'll.combineDtype',
];

/** Rules of what a rank reserves, for calls of both kinds. */
const MEMORY_RULES: readonly Rule[] = [
  {
    subject: 'windowBytes',
    field: 'ht.maxTokensPerRank',
    otherField: { field: 'll.maxTokensPerRank', isBlamed: isMostlyLowLatency },
    dependsOn: WINDOW_FIELDS,
    group: 'window',
    message: `windowBytes / 128 must be at most 4294967295: ${READY_WORD}`,
    expr: 'kWindowBytes / kReadyUnit <= 0xffffffffu',
    expected: () => 'small enough for a window of 512 GiB',
    reason: READY_WORD,
    appliesTo: () => true,
    holds: (plan) => plan.windowBytes / READY_UNIT <= 0xffffffff,
  },
  rule('atLeast', {
    subject: 'arenaBytes',
    than: 'handleBytes',
    field: 'arenaBytes',
    dependsOn: [
      'ranks',
      'experts',
      'ht.maxTokensPerRank',
      'channels.memory.count',
      'channels.memory.placement',
    ],
    group: 'window',
    reason: 'the arena holds at least one handle',
    appliesTo: hasHt,
  }),
  rule('atLeast', {
    subject: 'arenaBytes',
    than: 'llHandleBytes',
    field: 'arenaBytes',
    dependsOn: ['ranks', 'experts', 'topk', 'll.maxTokensPerRank'],
    group: 'window',
    reason: 'the arena holds at least one handle',
    appliesTo: ({ features }) => features.hasLl,
  }),
];

/** Every constraint on a plan. */
export const RULES: readonly Rule[] = [
  rule('atMost', {
    subject: 'numLocalRanks',
    than: { cppName: 'kMaxRanks', value: 8 },
    field: 'ranksPerNode',
    dependsOn: ['ranks'],
    reason: 'a node has at most 8 ranks',
  }),
  rule('multipleOf', {
    subject: 'numRanks',
    than: 'numLocalRanks',
    field: 'ranks',
    thanField: 'ranksPerNode',
    reason: 'every node has the same number of ranks',
    expected: (plan) => `at most ranksPerNode (${plan.numLocalRanks}), or a multiple of it`,
  }),
  rule('multipleOf', {
    subject: 'numExperts',
    than: 'numRanks',
    field: 'experts',
    thanField: 'ranks',
    reason: 'every rank owns the same number of experts',
  }),
  rule('atMost', {
    subject: 'numExperts',
    than: 2048,
    field: 'experts',
    reason: 'a block counts the selections of all experts in shared memory',
  }),
  rule('atMost', {
    subject: 'numTopk',
    than: 32,
    field: 'topk',
    reason: "a warp reads a token's choices one per lane",
  }),
  rule('atMost', {
    subject: 'numTopk',
    than: 'numExperts',
    field: 'topk',
    thanField: 'experts',
    reason: 'a token chooses distinct experts',
  }),
  rule('atMost', {
    subject: 'hidden',
    than: 16384,
    field: 'hidden',
    reason: 'rows of at most 16384 elements are planned for',
  }),
  ...HIGH_THROUGHPUT_RULES,
  ...LOW_LATENCY_RULES,
  ...MEMORY_RULES,
];

/** @throws EpgenSpecError that names every broken rule, in the plan's words. */
export function requireRules(plan: Plan, source: string): void {
  const broken = RULES.filter((one) => !one.holds(plan));
  if (broken.length === 0) return;
  throw new EpgenSpecError(
    [`${source} breaks rules of the plan:`, ...broken.map((one) => `  ${one.message}`)].join('\n'),
  );
}
