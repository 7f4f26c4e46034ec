import { DTYPES, VECTOR_BYTES } from './dtype.js';
import { LL_CHIP_CHANNELS, LL_SCALE_BLOCK, llScaleGranule } from './low-latency-plan.js';
import type { Plan } from './plan.js';
import { type Rule, type RuleInput, rule } from './rule.js';

const SLOTS = 2 ** 31;

const hasLl = ({ features }: Plan) => features.hasLl;

/** A rule of specs with low-latency calls. */
function llRule(relation: Parameters<typeof rule>[0], input: RuleInput): Rule {
  return rule(relation, { appliesTo: hasLl, ...input });
}

const WHOLE_VECTORS = `a multiple of ${VECTOR_BYTES / DTYPES.bf16.bytes}`;

/** What makes every piece of a combined row whole vectors, and none empty. */
function wholePieces({ features }: Plan): string {
  return features.combinesLlFp8 ? `a multiple of ${LL_SCALE_BLOCK}` : WHOLE_VECTORS;
}

/** What low-latency calls ask of a plan. */
export const LOW_LATENCY_RULES: readonly Rule[] = [
  llRule('multipleOf', {
    subject: 'llInputRowBytes',
    than: 16,
    field: 'hidden',
    reason: 'rows move as whole 16-byte vectors',
    expected: () => WHOLE_VECTORS,
  }),
  llRule('multipleOf', {
    subject: 'hidden',
    than: LL_SCALE_BLOCK,
    field: 'hidden',
    dependsOn: ['ll.dtype'],
    reason: `low-latency rows of fp8 have one scale per ${LL_SCALE_BLOCK} elements`,
    appliesTo: ({ features }) => features.hasLlFp8 || features.combinesLlFp8,
  }),
  llRule('multipleOf', {
    subject: 'hidden',
    than: llScaleGranule('ue8m0'),
    field: 'hidden',
    dependsOn: ['ll.scaleDtype'],
    reason: 'every 4-byte word of packed scales is for four whole blocks',
    appliesTo: ({ features }) => features.hasLlPackedScales,
  }),
  llRule('atMost', {
    subject: 'numLlChannels',
    than: LL_CHIP_CHANNELS,
    field: 'channels.ll',
    dependsOn: ['ll.maxTokensPerRank'],
    reason: 'all channels of a call run at once on one device',
  }),
  {
    subject: 'maxLlTokensPerRank',
    field: 'll.maxTokensPerRank',
    dependsOn: ['ll.maxTokensPerRank', 'experts', 'ranks'],
    group: 'exchange',
    message:
      'numExperts * maxLlRecvTokens must be less than 2147483648: a slot names a row of any rank in 31 bits',
    expr: 'uint64_t{kNumExperts} * kMaxLlRecvTokens < 0x80000000u',
    expected: (plan) => `less than ${Math.ceil(SLOTS / (plan.numExperts * plan.numRanks))}`,
    reason: 'a slot names a row of any rank in 31 bits',
    appliesTo: hasLl,
    holds: (plan) => plan.numExperts * (plan.maxLlRecvTokens ?? 0) < SLOTS,
  },
  llRule('atMost', {
    subject: 'llDispatch.sharedBytes',
    than: 'sharedBytesLimit',
    field: 'hidden',
    dependsOn: ['experts', 'll.dtype'],
    reason: 'a block can have no more',
    expected: () => 'small enough for two rows in shared memory',
  }),
  llRule('atMost', {
    subject: 'llCombine.sharedBytes',
    than: 'sharedBytesLimit',
    field: 'topk',
    dependsOn: ['hidden', 'll.combineDtype'],
    reason: 'a block can have no more',
    expected: () => 'small enough for a piece of each selection in shared memory',
  }),
  llRule('atLeast', {
    subject: 'llCombine.numStages',
    than: 'numTopk',
    field: 'topk',
    reason: 'the pieces of one step wait on distinct stages',
  }),
  llRule('atLeast', {
    subject: 'llCombine.lastPieceBytes',
    than: 16,
    field: 'hidden',
    reason: 'no piece of a row is empty',
    expected: wholePieces,
  }),
  llRule('multipleOf', {
    subject: 'llCombine.pieceBytes',
    than: 16,
    field: 'hidden',
    reason: 'pieces move as whole 16-byte vectors',
    expected: wholePieces,
  }),
  llRule('multipleOf', {
    subject: 'llCombine.lastPieceBytes',
    than: 16,
    field: 'hidden',
    reason: 'pieces move as whole 16-byte vectors',
    expected: wholePieces,
  }),
];
