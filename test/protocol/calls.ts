/**
 * What a group of ranks may call. `dispatch`; `combineNewest` and `combineOldest` pull in place
 * from a live result; `combineOutput` from an output buffer that is written just before;
 * `combineMixed` in place on even ranks and from an output buffer on odd ones; `read` reads the
 * oldest live result, `write` changes it in place. The last two are refused by the host:
 * `readStale` reads a result one dispatch too late, `combineLate` takes the input buffer of the
 * combine before it.
 */
export type Call =
  | 'dispatch'
  | 'combineNewest'
  | 'combineOldest'
  | 'combineOutput'
  | 'combineMixed'
  | 'read'
  | 'write'
  | 'readStale'
  | 'combineLate';

export const legalCalls: readonly Call[] = [
  'dispatch',
  'combineNewest',
  'combineOldest',
  'combineOutput',
  'combineMixed',
  'read',
  'write',
];

/** Whether the host lets a group make `call` after `before`. */
export function isLegal(before: readonly Call[], call: Call, liveResults: number): boolean {
  const numDispatches = before.filter((earlier) => earlier === 'dispatch').length;
  if (call === 'dispatch') return true;
  if (numDispatches === 0) return false;
  if (call === 'combineOldest') return Math.min(numDispatches, liveResults) > 1;
  if (call === 'write') return !isOldestBeingPulled(before, Math.min(numDispatches, liveResults));
  return call !== 'readStale' && call !== 'combineLate';
}

function isOldestBeingPulled(before: readonly Call[], numLive: number): boolean {
  const last = before.findLast((earlier) => earlier !== 'read' && earlier !== 'write');
  const pullsNewest = last === 'combineNewest' || last === 'combineMixed';
  return last === 'combineOldest' || (pullsNewest && numLive === 1);
}

/**
 * Every legal sequence of exactly `length` calls. Shorter ones need no run of their own: a rank
 * that has not reached the last calls yet is in the shorter sequence.
 */
export function* callSequences(
  length: number,
  liveResults: number,
  alphabet: readonly Call[] = legalCalls,
  before: readonly Call[] = [],
): Generator<readonly Call[]> {
  if (before.length === length) {
    yield before;
    return;
  }
  for (const call of alphabet) {
    if (!isLegal(before, call, liveResults)) continue;
    yield* callSequences(length, liveResults, alphabet, [...before, call]);
  }
}
