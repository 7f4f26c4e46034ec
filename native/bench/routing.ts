import { randomFillSync } from 'node:crypto';
import type { Spec } from '../spec-types.js';

/** One rank's routing of a window, and what it makes travel. */
export interface BenchRouting {
  /** [tokens, topk], as the spec has indices. */
  readonly topkIdx: BigInt64Array | Int32Array;
  /** [tokens, topk] */
  readonly topkWeights: Float32Array;
  /** Rows that leave the rank for others. */
  readonly numRemoteRows: number;
  /** Selections of experts on other ranks. */
  readonly numRemoteSelections: number;
}

export type RoutingShape = Pick<Spec, 'ranks' | 'experts' | 'topk' | 'topkIdx'>;

/** Uniform routing: each token chooses `topk` different experts, all sets equally likely. The seed gives the same again. */
export function uniformRouting(
  { ranks, experts, topk, topkIdx }: RoutingShape,
  numTokens: number,
  rank: number,
  seed: number,
): BenchRouting {
  const random = randomFrom(seed * 1009 + rank);
  const pool = Array.from({ length: experts }, (_, expert) => expert);
  const numLocalExperts = experts / ranks;
  const chosen = new Int32Array(numTokens * topk);
  const topkWeights = new Float32Array(numTokens * topk);
  let numRemoteRows = 0;
  let numRemoteSelections = 0;
  for (let tokenIdx = 0; tokenIdx < numTokens; tokenIdx++) {
    let mask = 0;
    for (let k = 0; k < topk; k++) {
      const other = k + Math.floor(random() * (experts - k));
      const expert = pool[other] as number;
      pool[other] = pool[k] as number;
      pool[k] = expert;
      chosen[tokenIdx * topk + k] = expert;
      topkWeights[tokenIdx * topk + k] = random();
      const owner = Math.floor(expert / numLocalExperts);
      mask |= 1 << owner;
      if (owner !== rank) numRemoteSelections += 1;
    }
    for (let others = mask & ~(1 << rank); others !== 0; others &= others - 1) numRemoteRows += 1;
  }
  return {
    topkIdx: topkIdx === 'i32' ? chosen : BigInt64Array.from(chosen, BigInt),
    ...{ topkWeights, numRemoteRows, numRemoteSelections },
  };
}

/** Random bf16 values of magnitude below 2: no infinities, no NaNs. */
export function randomRows(numBytes: number): Uint8Array {
  const rows = new Uint8Array(numBytes);
  for (let at = 0; at < numBytes; at += 2 ** 30) {
    randomFillSync(rows, at, Math.min(2 ** 30, numBytes - at));
  }
  const words = new Uint32Array(rows.buffer);
  for (let i = 0; i < words.length; i++) words[i] = (words[i] as number) & 0xbfff_bfff;
  return rows;
}

/** Numbers in [0, 1) that depend on the seed only (splitmix32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let hash = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    hash = Math.imul(hash ^ (hash >>> 15), 0x735a2d97);
    return ((hash ^ (hash >>> 15)) >>> 0) / 2 ** 32;
  };
}
