import type { Features } from './features.js';
import { type HighThroughputPlan, hasHt, type WithHt } from './high-throughput-plan.js';
import type { LowLatencyShape } from './low-latency-plan.js';
import { roundUp } from './round.js';

export const ARENA_UNIT_BYTES = 2 * 2 ** 20;
/** Rows that grouped GEMMs align each expert's group to, at most. */
const MOST_EXPERT_ALIGNMENT = 128;

export interface ArenaInput extends Partial<HighThroughputPlan>, Partial<LowLatencyShape> {
  readonly numTopk: number;
  readonly numLocalExperts: number;
  readonly features: Pick<Features, 'hasExpertMajor' | 'hasLl'>;
}

/** Memory that an arena has room for, and how it follows from the plan. */
export interface ArenaPart {
  readonly name: string;
  readonly bytes: number;
  readonly formula: string;
}

/** What a rank is given room for where the spec leaves it to us. */
export function arenaParts(input: ArenaInput): readonly ArenaPart[] {
  return [
    ...(hasHt(input) ? highThroughputParts(input) : []),
    ...(input.features.hasLl ? lowLatencyParts(input) : []),
  ];
}

/** Six handles, a dozen tensors of tokens, three of received rows, what chooses experts, and rows by expert. */
function highThroughputParts(input: WithHt<ArenaInput>): readonly ArenaPart[] {
  const { maxTokensPerRank, maxRecvTokens, rowBytes, combineRowBytes, numTopk } = input;
  return [
    { name: 'handles', bytes: 6 * input.handleBytes, formula: '6 × handleBytes' },
    {
      name: 'tokens',
      bytes: 12 * maxTokensPerRank * Math.max(rowBytes, combineRowBytes),
      formula: '12 × maxTokensPerRank × max(rowBytes, combineRowBytes)',
    },
    {
      name: 'received',
      bytes: 3 * maxRecvTokens * combineRowBytes,
      formula: '3 × maxRecvTokens × combineRowBytes',
    },
    {
      name: 'choices',
      bytes: 16 * maxTokensPerRank * numTopk * 8,
      formula: '16 × maxTokensPerRank × numTopk × 8',
    },
    ...(input.features.hasExpertMajor ? [expertRows(input)] : []),
  ];
}

/** Rows by expert and as many outputs: twice as many as come when all experts are chosen equally often, and padding. */
function expertRows(input: WithHt<ArenaInput>): ArenaPart {
  const { maxTokensPerRank, numTopk, numLocalExperts, rowBytes, combineRowBytes } = input;
  const numRows = 2 * maxTokensPerRank * numTopk + MOST_EXPERT_ALIGNMENT * numLocalExperts;
  return {
    name: 'expert_rows',
    bytes: 2 * numRows * Math.max(rowBytes, combineRowBytes),
    formula: `2 × (2 × maxTokensPerRank × numTopk + ${MOST_EXPERT_ALIGNMENT} × numLocalExperts) × max(rowBytes, combineRowBytes)`,
  };
}

/** Handles of calls under way and of four more, a dozen tensors of tokens, what chooses experts, and one of expert outputs. */
function lowLatencyParts(input: ArenaInput): readonly ArenaPart[] {
  const { maxLlTokensPerRank = 0, maxLlRecvTokens = 0, llInputRowBytes = 0 } = input;
  const { llInFlight = 0, llHandleBytes = 0, numLocalExperts } = input;
  return [
    {
      name: 'll_handles',
      bytes: (llInFlight + 4) * llHandleBytes,
      formula: '(llInFlight + 4) × llHandleBytes',
    },
    {
      name: 'll_tokens',
      bytes: 12 * maxLlTokensPerRank * llInputRowBytes,
      formula: '12 × maxLlTokensPerRank × llInputRowBytes',
    },
    {
      name: 'll_choices',
      bytes: 16 * maxLlTokensPerRank * input.numTopk * 8,
      formula: '16 × maxLlTokensPerRank × numTopk × 8',
    },
    {
      name: 'll_outputs',
      bytes: numLocalExperts * maxLlRecvTokens * llInputRowBytes,
      formula: 'numLocalExperts × maxLlRecvTokens × llInputRowBytes',
    },
  ];
}

/** Room for all of that. */
export function autoArenaBytes(input: ArenaInput): number {
  const bytes = arenaParts(input).reduce((sum, part) => sum + part.bytes, 0);
  return roundUp(bytes, ARENA_UNIT_BYTES);
}
