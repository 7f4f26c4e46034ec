import { increment } from './at.js';
import type { Indices } from './bits.js';
import type { Routing } from './routing.js';
import { isTokenInRank, selections } from './routing.js';

/** What one rank's routing says before anything is sent. R ranks, E experts, T tokens. */
export interface DispatchLayoutReference {
  /** i32 [R]: tokens (not selections) that go to each rank. */
  readonly numTokensPerRank: Int32Array;
  /** i32 [E]: selections of each expert; an expert named twice by one token counts twice. */
  readonly numTokensPerExpert: Int32Array;
  /** u8 [T][R]: 1 where the token goes to the rank. */
  readonly isTokenInRank: Uint8Array;
}

/**
 * The model of `getDispatchLayout` for one rank's `topkIdx` (i64 or i32 [T][topk]). An index outside [−1,
 * E) counts as −1.
 */
export function dispatchLayoutReference(
  routing: Routing,
  topkIdx: Indices,
): DispatchLayoutReference {
  const membership = isTokenInRank(routing, topkIdx);
  const numTokensPerRank = new Int32Array(routing.ranks);
  const numTokensPerExpert = new Int32Array(routing.experts);
  membership.forEach((member, i) => {
    if (member === 1) increment(numTokensPerRank, i % routing.ranks);
  });
  for (const expert of selections(routing, topkIdx)) {
    if (expert >= 0) increment(numTokensPerExpert, expert);
  }
  return { numTokensPerRank, numTokensPerExpert, isTokenInRank: membership };
}
