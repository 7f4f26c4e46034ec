import { at } from '../../native/reference/at.js';
import type { DispatchInput, Routing } from '../../native/reference/index.js';
import { type Random, randomFrom } from './random.js';

/** A call for every rank, made from a seed: the same seed always gives the same bits. */
export interface RoutingOptions extends Routing {
  readonly hidden: number;
  readonly seed: number;
  /** Tokens of each rank. */
  readonly numTokens: readonly number[];
  readonly pattern: RoutingPattern;
}

type Select = (routing: Routing, random: Random, rank: number) => number[];

/** How one token chooses its experts. */
export const routingPatterns = {
  distinct: (routing, random) => distinct(routing.experts, routing.topk, random),
  duplicates: (routing, random) =>
    Array.from({ length: routing.topk }, () => random(Math.min(routing.experts, 3))),
  someNone: (routing, random) =>
    distinct(routing.experts, routing.topk, random).map((expert) =>
      random(3) === 0 ? -1 : expert,
    ),
  allNone: (routing) => Array<number>(routing.topk).fill(-1),
  oneRank: (routing, random) => {
    const numLocalExperts = routing.experts / routing.ranks;
    const first = (routing.ranks - 1) * numLocalExperts;
    return Array.from({ length: routing.topk }, () => first + random(numLocalExperts));
  },
  oneExpert: (routing) => Array<number>(routing.topk).fill(routing.experts >> 1),
  noneToSelf: (routing, random, rank) =>
    distinct(routing.experts, routing.topk, random).map((expert) =>
      Math.floor(expert / (routing.experts / routing.ranks)) === rank ? -1 : expert,
    ),
} as const satisfies Record<string, Select>;

export type RoutingPattern = keyof typeof routingPatterns;

/** Inputs of all ranks: routing by the pattern, rows and weights of random bits (NaNs included). */
export function dispatchInputs(options: RoutingOptions): DispatchInput[] {
  const select: Select = routingPatterns[options.pattern];
  return options.numTokens.map((numTokens, rank) => {
    const random = randomFrom(options.seed, rank, 0x70);
    const topkIdx = new BigInt64Array(numTokens * options.topk);
    for (let tokenIdx = 0; tokenIdx < numTokens; tokenIdx++) {
      select(options, random, rank).forEach((expert, k) => {
        topkIdx[tokenIdx * options.topk + k] = BigInt(expert);
      });
    }
    const topkWeights = Uint32Array.from(topkIdx, () => random(2 ** 32));
    const x = new Uint16Array(numTokens * options.hidden);
    for (let tokenIdx = 0; tokenIdx < numTokens; tokenIdx++) {
      x.set(rowBits(options.seed, rank, tokenIdx, options.hidden), tokenIdx * options.hidden);
    }
    return { numTokens, x, topkIdx, topkWeights };
  });
}

/** The bf16 bits of one token's row; a test that knows (seed, rank, token) can make it again. */
export function rowBits(seed: number, rank: number, tokenIdx: number, hidden: number): Uint16Array {
  const random = randomFrom(seed, rank, tokenIdx + 0x10000);
  return Uint16Array.from({ length: hidden }, () => random(0x10000));
}

/** As many token counts as ranks: 0 on one rank, the maximum on another, the others between. */
export function unequalTokens(ranks: number, max: number, seed: number): number[] {
  const random = randomFrom(seed, ranks, max);
  const counts = Array.from({ length: ranks }, () => random(max + 1));
  const empty = random(ranks);
  counts[(empty + 1) % ranks] = max;
  if (ranks > 1) counts[empty] = 0;
  return counts;
}

function distinct(numExperts: number, topk: number, random: Random): number[] {
  const experts = Array.from({ length: numExperts }, (_, expert) => expert);
  for (let k = 0; k < topk; k++) {
    const other = k + random(numExperts - k);
    [experts[k], experts[other]] = [at(experts, other), at(experts, k)];
  }
  return experts.slice(0, topk);
}
