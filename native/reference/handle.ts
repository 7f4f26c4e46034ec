import { type Arrival, arrivalsOf, type Placement } from './arrivals.js';
import { at } from './at.js';

/**
 * What a rank keeps of a dispatch for its combine. R ranks, C channels, T own tokens; all i32 but
 * isTokenInRank.
 */
export interface ReferenceHandle {
  /** [R src][R dst]: tokens that sources ≤ src send to dst. Equal on every rank. */
  readonly rankPrefixMatrix: Int32Array;
  /** [R dst][C]: own tokens sent to dst through channels ≤ c. */
  readonly channelPrefixMatrix: Int32Array;
  /**
   * [R src][C]: rows that src sent here through channels < c, counted from the first row of src.
   */
  readonly recvChannelPrefixMatrix: Int32Array;
  /** u8 [T][R]. */
  readonly isTokenInRank: Uint8Array;
  /** [T][R]: the token's row at the peer, −1 where it does not go. */
  readonly slot: Int32Array;
}

/** The handles of all ranks, and the rows of all destinations. */
export interface RoutedTokens {
  readonly handles: readonly ReferenceHandle[];
  readonly arrivals: readonly (readonly Arrival[])[];
}

/** Routes tokens by u8 [T][R] of each source. */
export function routeTokens(placement: Placement, membership: readonly Uint8Array[]): RoutedTokens {
  const { ranks, numChannels } = placement;
  const arrivals = arrivalsOf(placement, membership);
  const count = (dst: number, isCounted: (arrival: Arrival) => boolean) =>
    at(arrivals, dst).filter(isCounted).length;
  const perChannel = (cell: (rank: number, channel: number) => number) =>
    Int32Array.from({ length: ranks * numChannels }, (_, i) =>
      cell(Math.floor(i / numChannels), i % numChannels),
    );
  const rankPrefixMatrix = Int32Array.from({ length: ranks * ranks }, (_, i) =>
    count(i % ranks, (row) => row.src <= Math.floor(i / ranks)),
  );
  const handles = membership.map((isTokenInRank, rank) => ({
    rankPrefixMatrix,
    channelPrefixMatrix: perChannel((dst, channel) =>
      count(dst, (row) => row.src === rank && row.channel <= channel),
    ),
    recvChannelPrefixMatrix: perChannel((src, channel) =>
      count(rank, (row) => row.src === src && row.channel < channel),
    ),
    isTokenInRank,
    slot: slotsOf(arrivals, rank, isTokenInRank.length / ranks),
  }));
  return { handles, arrivals };
}

function slotsOf(
  arrivals: readonly (readonly Arrival[])[],
  rank: number,
  numTokens: number,
): Int32Array {
  const ranks = arrivals.length;
  const slot = new Int32Array(numTokens * ranks).fill(-1);
  arrivals.forEach((rows, dst) => {
    for (const { src, tokenIdx, row } of rows) {
      if (src === rank) slot[tokenIdx * ranks + dst] = row;
    }
  });
  return slot;
}
