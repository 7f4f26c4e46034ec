import type { Features } from './features.js';
import { hasHt } from './high-throughput-plan.js';
import type { Plan } from './plan.js';
import { type Rule, type RuleInput, rule } from './rule.js';

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

const NO_RING = { numStages: 0, pieceBytes: 0, sharedBytes: 0 };

/** What stands for no selection in a 32-bit word: kNoToken. */
const NO_TOKEN = 2 ** 32 - 1;

/** A rule of specs with high-throughput calls. */
function htRule(
  relation: Parameters<typeof rule>[0],
  { appliesTo = () => true, ...input }: RuleInput,
): Rule {
  return rule(relation, { ...input, appliesTo: (plan) => hasHt(plan) && appliesTo(plan) });
}

/** Rules that rows obey in whichever type they travel. */
function rowRules(
  subject: 'rowBytes' | 'combineRowBytes',
  elementBytes: 'elementBytes' | 'combineElementBytes',
) {
  return [
    htRule('multipleOf', {
      subject,
      than: 16,
      field: 'hidden',
      reason: 'rows move as whole 16-byte vectors',
      expected: (plan) => `a multiple of ${16 / (plan[elementBytes] ?? 1)}`,
    }),
  ];
}

/** Rules that every kernel with a ring of stages obeys. */
function ringRules(kernel: 'dispatch' | 'combine') {
  const stages = { field: 'channels.memory.stages', dependsOn: RING_FIELDS };
  const piece = { field: 'channels.memory.pieceBytes', dependsOn: RING_FIELDS };
  return [
    htRule('multipleOf', {
      ...piece,
      subject: `${kernel}.pieceBytes`,
      than: 16,
      reason: 'pieces move as whole 16-byte vectors',
    }),
    htRule('multipleOf', {
      ...piece,
      subject: `${kernel}.lastPieceBytes`,
      than: 16,
      reason: 'pieces move as whole 16-byte vectors',
      expected: () => 'a multiple of 16',
    }),
    htRule('atLeast', {
      ...piece,
      subject: `${kernel}.lastPieceBytes`,
      than: 16,
      reason: 'no piece of a row is empty',
      expected: () => 'a size that leaves no empty piece',
    }),
    htRule('atLeast', {
      ...stages,
      subject: `${kernel}.numStages`,
      than: 2,
      reason: 'one stage fills while another empties',
    }),
    htRule('atMost', {
      ...stages,
      otherField: {
        field: 'channels.memory.pieceBytes',
        isBlamed: (_, { channels }) => channels.memory.stages === 'auto',
      },
      subject: `${kernel}.sharedBytes`,
      than: 'sharedBytesLimit',
      reason: 'a block can have no more',
      expected: sharedBytesExpected(kernel),
    }),
    htRule('atMost', {
      ...piece,
      subject: `${kernel}.numThreads`,
      than: 1024,
      reason: 'a block has at most 1024 threads',
    }),
  ];
}

function sharedBytesExpected(kernel: 'dispatch' | 'combine') {
  return (plan: Plan) => {
    const { numStages, pieceBytes, sharedBytes } = plan[kernel] ?? NO_RING;
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

/** What high-throughput calls ask of a plan. */
export const HIGH_THROUGHPUT_RULES: readonly Rule[] = [
  ...rowRules('rowBytes', 'elementBytes'),
  ...rowRules('combineRowBytes', 'combineElementBytes'),
  htRule('multipleOf', {
    subject: 'hidden',
    than: 'scaleGranule',
    field: 'hidden',
    dependsOn: ['scaleBlock', 'scaleDtype', 'dtype'],
    reason: 'every 4-byte word of packed scales is for four whole blocks',
    expected: (plan) => `a multiple of ${plan.scaleGranule}`,
    appliesTo: ({ features }) => features.hasPackedScales,
  }),
  htRule('multipleOf', {
    subject: 'extraBytes',
    than: 4,
    field: 'extraBytes',
    reason: 'they travel as 4-byte words',
    appliesTo: ({ features }) => features.hasExtras,
  }),
  htRule('atMost', {
    subject: 'extraBytes',
    than: 65536,
    field: 'extraBytes',
    reason: 'they travel word by word beside the row',
    appliesTo: ({ features }) => features.hasExtras,
  }),
  htRule('atMost', {
    subject: 'numBiases',
    than: 2,
    field: 'ht.biases',
    group: 'combine',
    reason: 'combine adds none, one or two',
    appliesTo: ({ features }) => features.hasBiases,
  }),
  htRule('atMost', {
    subject: 'maxTokensPerRank',
    than: 65536,
    field: 'ht.maxTokensPerRank',
    reason: 'indices of tokens and rows are 32-bit',
  }),
  htRule('atMost', {
    subject: 'numChannels',
    than: 64,
    field: 'channels.memory.count',
    reason: "a block keeps every channel's counts in shared memory",
  }),
  htRule('atMost', {
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
    appliesTo: hasHt,
    holds: (plan) => !hasHt(plan) || plan.maxTokensPerRank * plan.numTopk < NO_TOKEN,
  },
  ...ringRules('dispatch'),
  htRule('lessThan', {
    subject: 'dispatch.storeLag',
    than: 'dispatch.numStages',
    field: 'channels.memory.stages',
    dependsOn: RING_FIELDS,
    reason: 'a stage is free again before it is needed',
  }),
  htRule('atLeast', {
    subject: 'dispatch.storeLag',
    than: 1,
    field: 'channels.memory.stages',
    dependsOn: RING_FIELDS,
    reason: 'stores overlap',
    expected: () => 'at least 2',
  }),
  ...ringRules('combine'),
  htRule('atLeast', {
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
  htRule('atMost', {
    subject: 'dispatchLayout.sharedBytes',
    than: 'sharedBytesLimit',
    field: 'experts',
    reason: 'a block can have no more',
    expected: () => 'few enough for their counts to fit in shared memory',
  }),
];
