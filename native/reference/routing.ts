import type { Indices } from './bits.js';

/**
 * The shape of a routing: `experts` is a multiple of `ranks`; rank r owns experts [r·E/R,
 * (r+1)·E/R).
 */
export interface Routing {
  readonly ranks: number;
  readonly experts: number;
  readonly topk: number;
}

/** `topkIdx` as numbers, every index outside [−1, experts) taken as −1. */
export function selections(routing: Routing, topkIdx: Indices): number[] {
  return Array.from<number | bigint, number>(topkIdx, (idx) =>
    idx >= 0 && idx < routing.experts ? Number(idx) : -1,
  );
}

/** u8 [T][R]: 1 where at least one of the token's experts lives on the rank. */
export function isTokenInRank(routing: Routing, topkIdx: Indices): Uint8Array {
  const { ranks, experts, topk } = routing;
  const membership = new Uint8Array((topkIdx.length / topk) * ranks);
  selections(routing, topkIdx).forEach((expert, i) => {
    const tokenIdx = Math.floor(i / topk);
    if (expert >= 0) membership[tokenIdx * ranks + Math.floor(expert / (experts / ranks))] = 1;
  });
  return membership;
}

/** The channel that carries a token: channel c of C carries [c·⌈T/C⌉, min(T, (c+1)·⌈T/C⌉)). */
export function channelOfToken(tokenIdx: number, numTokens: number, numChannels: number): number {
  return Math.floor(tokenIdx / Math.ceil(numTokens / numChannels));
}
