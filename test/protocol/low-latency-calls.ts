import { LowLatencyHost } from './low-latency-host.js';
import type { Model } from './model.js';

/**
 * What a group of ranks may call with low latency. `llDispatch` and `llCombine` are whole, `llSend` and `llPublish`
 * their first halves. The second halves come later: `llReceive` and `llPull` of the oldest call under way,
 * `…Newest` of the newest; `…First` on rank 0 alone, `…Others` on the ranks that are behind. A send reads all results
 * that it may send on. `llUse` reads and changes every result that lives, `llFill` writes the input of the next
 * combine where that is given out; whatever less a caller does, no more can go wrong.
 */
export type LowLatencyCall =
  | 'llDispatch'
  | 'llSend'
  | 'llReceive'
  | 'llReceiveNewest'
  | 'llReceiveFirst'
  | 'llReceiveOthers'
  | 'llCombine'
  | 'llPublish'
  | 'llPull'
  | 'llPullNewest'
  | 'llPullFirst'
  | 'llPullOthers'
  | 'llUse'
  | 'llFill';

export const dispatchCalls: readonly LowLatencyCall[] = [
  'llDispatch',
  'llSend',
  'llReceive',
  'llReceiveNewest',
  'llReceiveFirst',
  'llReceiveOthers',
];

export const combineCalls: readonly LowLatencyCall[] = [
  'llCombine',
  'llPublish',
  'llPull',
  'llPullNewest',
  'llPullFirst',
  'llPullOthers',
];

export function isLowLatency(call: string): call is LowLatencyCall {
  return call.startsWith('ll');
}

/** Every legal sequence that begins with `before` and has `length` calls more. */
export function* lowLatencySequences(
  length: number,
  model: Model,
  alphabet: readonly LowLatencyCall[],
  before: readonly LowLatencyCall[] = [],
): Generator<readonly LowLatencyCall[]> {
  if (length === 0) {
    yield before;
    return;
  }
  for (const call of alphabet) {
    const calls = [...before, call];
    const host = new LowLatencyHost(model);
    if (!calls.every((one) => host.take(one) !== undefined)) continue;
    yield* lowLatencySequences(length - 1, model, alphabet, calls);
  }
}

/** With all that callers may do before, between and behind. */
export function withUses<Call extends string>(
  calls: readonly Call[],
): readonly (Call | 'llUse' | 'llFill')[] {
  return calls.flatMap((call) => [call, 'llUse', 'llFill'] as const);
}
