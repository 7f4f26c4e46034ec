import type { SpecInput } from '../../../generator/spec.js';
import type { DispatchInput } from '../../../native/reference/index.js';
import type { Spec } from '../../../native/spec-types.js';
import { dispatchInputs, type RoutingPattern } from '../../support/routing.js';

/** Rank counts of the suites for GPUs; those with more ranks than GPUs are skipped. */
export const rankCounts = [2, 4, 8] as const;

export const maxTokens = 96;

/** One spec for all suites, so that few addons are packed. */
export function gpuSpec(ranks: number): SpecInput {
  return {
    ...{ ranks, hidden: 1024, experts: ranks * 8, topk: 6 },
    ht: { maxTokensPerRank: maxTokens, liveResults: 2 },
    channels: { memory: { count: 4 } },
  };
}

/** The same for low-latency calls; rows are short, since the model computes each of them. */
export function lowLatencyGpuSpec(ranks: number, ll: object = {}): SpecInput {
  return {
    ...gpuSpec(ranks),
    ...{ hidden: 512, ht: { maxTokensPerRank: 32, liveResults: 2 } },
    ll: { maxTokensPerRank: 64, inFlight: 2, ...ll },
    arenaBytes: 2 ** 26,
  };
}

export function inputsOf(
  spec: Spec,
  pattern: RoutingPattern,
  seed: number,
  numTokens: readonly number[] = Array(spec.ranks).fill(maxTokens),
): DispatchInput[] {
  const { ranks, experts, topk, hidden } = spec;
  return dispatchInputs({ ranks, experts, topk, hidden, seed, numTokens, pattern });
}

export async function failureOf(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected a rejection');
}
