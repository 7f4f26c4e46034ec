import { lastSendOf, type ReuseInput } from '../../generator/reuse.js';
import type { LowLatencyCall } from './low-latency-calls.js';

/**
 * What a group of ranks may call. `dispatch`; `dispatchCached` along the routing of a handle;
 * `dispatchResult` sends the oldest result on that it may; `combineNewest` and `combineOldest` pull in
 * place from a live result, `combineAcross` from the oldest on even ranks and the newest on odd ones;
 * `combineOutput` from an output buffer that is written just before; `combineMixed` in place on even
 * ranks and from an output buffer on odd ones; `read` reads the oldest live result, `write` changes it
 * in place. The last ones are refused by the host: `readStale` reads a result one dispatch too late,
 * `dispatchLate` sends a result that goes to that dispatch or is gone, `combineLate` takes the input
 * buffer of the combine before it.
 */
export type HighThroughputCall =
  | 'dispatch'
  | 'dispatchCached'
  | 'dispatchResult'
  | 'combineNewest'
  | 'combineOldest'
  | 'combineAcross'
  | 'combineOutput'
  | 'combineMixed'
  | 'read'
  | 'write'
  | 'readStale'
  | 'dispatchLate'
  | 'combineLate';

export type Call = HighThroughputCall | LowLatencyCall;

export const legalCalls: readonly HighThroughputCall[] = [
  'dispatch',
  'combineNewest',
  'combineOldest',
  'combineOutput',
  'combineMixed',
  'read',
  'write',
];

/** What sends rows from what was received, or along a routing that was sent before. */
export const moreCalls: readonly HighThroughputCall[] = [
  ...legalCalls,
  'dispatchCached',
  'dispatchResult',
  'combineAcross',
];

/** What decides how long a result lives. */
export type Lifetimes = Pick<ReuseInput, 'liveResults' | 'credit'>;

export function isDispatch(call: HighThroughputCall): boolean {
  return call.startsWith('dispatch');
}

/** Whether the host lets a group make `call` after `before`. */
export function isLegal(
  before: readonly HighThroughputCall[],
  call: HighThroughputCall,
  lifetimes: Lifetimes,
): boolean {
  const numLive = Math.min(before.filter(isDispatch).length, lifetimes.liveResults);
  if (call === 'dispatch') return true;
  if (numLive === 0) return false;
  if (call === 'dispatchResult') return lastSendOf(lifetimes) > 0;
  if (call === 'combineOldest' || call === 'combineAcross') return numLive > 1;
  if (call === 'write') return !isOldestBeingPulled(before, numLive);
  return call !== 'readStale' && call !== 'combineLate' && call !== 'dispatchLate';
}

function isOldestBeingPulled(before: readonly HighThroughputCall[], numLive: number): boolean {
  const last = before.findLast((earlier) => earlier !== 'read' && earlier !== 'write');
  const pullsNewest = last === 'combineNewest' || last === 'combineMixed';
  const pullsOldest = last === 'combineOldest' || last === 'combineAcross';
  return pullsOldest || (pullsNewest && numLive === 1);
}

/**
 * Every legal sequence of exactly `length` calls. Shorter ones need no run of their own: a rank
 * that has not reached the last calls yet is in the shorter sequence.
 */
export function* callSequences(
  length: number,
  lifetimes: Lifetimes,
  alphabet: readonly HighThroughputCall[] = legalCalls,
  before: readonly HighThroughputCall[] = [],
): Generator<readonly HighThroughputCall[]> {
  if (before.length === length) {
    yield before;
    return;
  }
  for (const call of alphabet) {
    if (!isLegal(before, call, lifetimes)) continue;
    yield* callSequences(length, lifetimes, alphabet, [...before, call]);
  }
}
