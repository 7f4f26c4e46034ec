import { EpgenSpecError } from './errors.js';
import type { Features } from './features.js';
import { LOW_LATENCY_RULES } from './low-latency-rules.js';
import type { Plan } from './plan.js';
import { type Rule, rule } from './rule.js';

const RING_FIELDS = [
  'hidden',
  'ranks',
  'experts',
  'dtype',
  'combineDtype',
  'channels.memory.count',
  'channels.memory.stages',
  'channels.memory.pieceBytes',
  'channels.memory.inFlightBytes',
];

const WINDOW_FIELDS = [
  ...RING_FIELDS,
  'topk',
  'ht.maxTokensPerRank',
  'ht.liveResults',
  'ht.credit',
];

/** Offsets in ready words count these: kReadyUnit. */
const READY_UNIT = 128;

/** What stands for no selection in a 32-bit word: kNoToken. */
const NO_TOKEN = 2 ** 32 - 1;

/** Rules that rows obey in whichever type they travel. */
function rowRules(
  subject: 'rowBytes' | 'combineRowBytes',
  elementBytes: 'elementBytes' | 'combineElementBytes',
) {
  return [
    rule('multipleOf', {
      subject,
      than: 16,
      field: 'hidden',
      reason: 'rows move as whole 16-byte vectors',
      expected: (plan) => `a multiple of ${16 / plan[elementBytes]}`,
    }),
  ];
}

/** Rules that every kernel with a ring of stages obeys. */
function ringRules(kernel: 'dispatch' | 'combine') {
  const stages = { field: 'channels.memory.stages', dependsOn: RING_FIELDS };
  const piece = { field: 'channels.memory.pieceBytes', dependsOn: RING_FIELDS };
  return [
    rule('multipleOf', {
      ...piece,
      subject: `${kernel}.pieceBytes`,
      than: 16,
      reason: 'pieces move as whole 16-byte vectors',
    }),
    rule('multipleOf', {
      ...piece,
      subject: `${kernel}.lastPieceBytes`,
      than: 16,
      reason: 'pieces move as whole 16-byte vectors',
      expected: () => 'a multiple of 16',
    }),
    rule('atLeast', {
      ...piece,
      subject: `${kernel}.lastPieceBytes`,
      than: 16,
      reason: 'no piece of a row is empty',
      expected: () => 'a size that leaves no empty piece',
    }),
    rule('atLeast', {
      ...stages,
      subject: `${kernel}.numStages`,
      than: 2,
      reason: 'one stage fills while another empties',
    }),
    rule('atMost', {
      ...stages,
      fieldIfAuto: 'channels.memory.pieceBytes',
      subject: `${kernel}.sharedBytes`,
      than: 'sharedBytesLimit',
      reason: 'a block can have no more',
      expected: sharedBytesExpected(kernel),
    }),
    rule('atMost', {
      ...piece,
      subject: `${kernel}.numThreads`,
      than: 1024,
      reason: 'a block has at most 1024 threads',
    }),
  ];
}

function sharedBytesExpected(kernel: 'dispatch' | 'combine') {
  return (plan: Plan) => {
    const { numStages, pieceBytes, sharedBytes } = plan[kernel];
    const use = `${numStages} stages of ${pieceBytes} bytes make ${kernel} use ${sharedBytes}`;
    return `small enough for ${plan.sharedBytesLimit} bytes of shared memory (${use})`;
  };
}

/** What no spec has whose rows have gaps. */
function needsCompact(
  option: 'expertMajor' | 'worstTokens',
  { isAsked, reason }: { isAsked(features: Features): boolean; readonly reason: string },
): Rule {
  const isBroken = ({ features }: Plan) => isAsked(features) && features.isSlotted;
  return {
    field: `ht.${option}`,
    dependsOn: [`ht.${option}`, 'channels.memory.placement'],
    group: 'exchange',
    message: `${option} needs compact placement: ${reason}`,
    expr: `!"${option} of slotted rows"`,
    expected: () => "false where channels.memory.placement is 'slotted'",
    reason,
    appliesTo: isBroken,
    holds: (plan) => !isBroken(plan),
  };
}

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
  ...rowRules('rowBytes', 'elementBytes'),
  ...rowRules('combineRowBytes', 'combineElementBytes'),
  rule('multipleOf', {
    subject: 'hidden',
    than: 'scaleGranule',
    field: 'hidden',
    dependsOn: ['scaleBlock', 'scaleDtype', 'dtype'],
    reason: 'every 4-byte word of packed scales is for four whole blocks',
    expected: (plan) => `a multiple of ${plan.scaleGranule}`,
    appliesTo: ({ features }) => features.hasPackedScales,
  }),
  rule('multipleOf', {
    subject: 'extraBytes',
    than: 4,
    field: 'extraBytes',
    reason: 'they travel as 4-byte words',
    appliesTo: ({ features }) => features.hasExtras,
  }),
  rule('atMost', {
    subject: 'extraBytes',
    than: 65536,
    field: 'extraBytes',
    reason: 'they travel word by word beside the row',
    appliesTo: ({ features }) => features.hasExtras,
  }),
  rule('atMost', {
    subject: 'numBiases',
    than: 2,
    field: 'ht.biases',
    group: 'combine',
    reason: 'combine adds none, one or two',
    appliesTo: ({ features }) => features.hasBiases,
  }),
  rule('atMost', {
    subject: 'maxTokensPerRank',
    than: 65536,
    field: 'ht.maxTokensPerRank',
    reason: 'indices of tokens and rows are 32-bit',
  }),
  rule('atMost', {
    subject: 'numChannels',
    than: 64,
    field: 'channels.memory.count',
    reason: "a block keeps every channel's counts in shared memory",
  }),
  rule('atMost', {
    subject: 'liveResults',
    than: 4,
    field: 'ht.liveResults',
    group: 'window',
    reason: 'each live result takes a receive buffer',
  }),
  {
    subject: 'maxTokensPerRank',
    field: 'ht.maxTokensPerRank',
    dependsOn: ['ht.maxTokensPerRank', 'topk'],
    group: 'exchange',
    message:
      'maxTokensPerRank * numTopk must be less than 4294967295: selections are counted in 32 bits',
    expr: 'uint64_t{kMaxTokensPerRank} * kNumTopk < kNoToken',
    expected: (plan) => `less than ${Math.ceil(NO_TOKEN / plan.numTopk)}`,
    reason: 'selections are counted in 32 bits',
    appliesTo: () => true,
    holds: (plan) => plan.maxTokensPerRank * plan.numTopk < NO_TOKEN,
  },
  ...ringRules('dispatch'),
  rule('lessThan', {
    subject: 'dispatch.storeLag',
    than: 'dispatch.numStages',
    field: 'channels.memory.stages',
    dependsOn: RING_FIELDS,
    reason: 'a stage is free again before it is needed',
  }),
  rule('atLeast', {
    subject: 'dispatch.storeLag',
    than: 1,
    field: 'channels.memory.stages',
    dependsOn: RING_FIELDS,
    reason: 'stores overlap',
    expected: () => 'at least 2',
  }),
  ...ringRules('combine'),
  rule('atLeast', {
    subject: 'combine.numStages',
    than: 'numRanks',
    field: 'channels.memory.stages',
    thanField: 'ranks',
    dependsOn: RING_FIELDS,
    reason: 'the pieces of one step wait on distinct stages',
  }),
  needsCompact('expertMajor', {
    isAsked: ({ hasExpertMajor }) => hasExpertMajor,
    reason: 'it groups one run of received rows',
  }),
  needsCompact('worstTokens', {
    isAsked: ({ hasWorstTokens }) => hasWorstTokens,
    reason: 'slotted rows have gaps, and as many rows as can come',
  }),
  ...LOW_LATENCY_RULES,
  rule('atMost', {
    subject: 'dispatchLayout.sharedBytes',
    than: 'sharedBytesLimit',
    field: 'experts',
    reason: 'a block can have no more',
    expected: () => 'few enough for their counts to fit in shared memory',
  }),
  {
    subject: 'windowBytes',
    field: 'ht.maxTokensPerRank',
    dependsOn: WINDOW_FIELDS,
    group: 'window',
    message:
      'windowBytes / 128 must be at most 4294967295: a ready word carries an offset in the window in 32 bits',
    expr: 'kWindowBytes / kReadyUnit <= 0xffffffffu',
    expected: () => 'small enough for a window of 512 GiB',
    reason: 'a ready word carries an offset in the window in 32 bits',
    appliesTo: () => true,
    holds: (plan) => plan.windowBytes / READY_UNIT <= 0xffffffff,
  },
  rule('atLeast', {
    subject: 'arenaBytes',
    than: 'handleBytes',
    field: 'arenaBytes',
    dependsOn: WINDOW_FIELDS,
    group: 'window',
    reason: 'the arena holds at least one handle',
  }),
];

/** @throws EpgenSpecError that names every broken rule, in the plan's words. */
export function requireRules(plan: Plan, source: string): void {
  const broken = RULES.filter((one) => !one.holds(plan));
  if (broken.length === 0) return;
  throw new EpgenSpecError(
    [`${source} breaks rules of the plan:`, ...broken.map((one) => `  ${one.message}`)].join('\n'),
  );
}
