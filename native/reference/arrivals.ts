import { at } from './at.js';
import { channelOfToken } from './routing.js';

/** A token's row at a rank that it goes to. */
export interface Arrival {
  readonly src: number;
  readonly tokenIdx: number;
  readonly channel: number;
  readonly row: number;
}

/** Where rows lie at the receiver: without holes, or each source's from a multiple of `slotTokens` on. */
export interface Placement {
  readonly ranks: number;
  readonly numChannels: number;
  /** Most tokens that a rank sends, where placement is slotted. Default: compact placement. */
  readonly slotTokens?: number;
}

/** The rows of each destination, by source rank, then by source token, from u8 [T][R] of each source. */
export function arrivalsOf(placement: Placement, membership: readonly Uint8Array[]): Arrival[][] {
  const { ranks, numChannels, slotTokens } = placement;
  return Array.from({ length: ranks }, (_, dst) => {
    const arrivals: Arrival[] = [];
    membership.forEach((isTokenInRank, src) => {
      const numTokens = isTokenInRank.length / ranks;
      let row = slotTokens === undefined ? arrivals.length : src * slotTokens;
      for (let tokenIdx = 0; tokenIdx < numTokens; tokenIdx++) {
        if (at(isTokenInRank, tokenIdx * ranks + dst) === 0) continue;
        const channel = channelOfToken(tokenIdx, numTokens, numChannels);
        arrivals.push({ src, tokenIdx, channel, row: row++ });
      }
    });
    return arrivals;
  });
}

/** Rows that a rank's tensors have: those that arrived, or all slots. */
export function numRowsOf(placement: Placement, arrivals: readonly Arrival[]): number {
  const { ranks, slotTokens } = placement;
  return slotTokens === undefined ? arrivals.length : ranks * slotTokens;
}
