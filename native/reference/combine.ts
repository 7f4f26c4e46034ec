import { at } from './at.js';
import { bf16FromFloat, floatFromBf16 } from './bf16.js';

export interface CombineReferenceCall {
  readonly ranks: number;
  readonly hidden: number;
  /** One entry for each rank. */
  readonly perRank: readonly CombineInput[];
}

export interface CombineInput {
  /** bf16 bits [N][hidden]: the expert outputs, one for each row that the rank received. */
  readonly x: Uint16Array;
  /** i32 [T][R], from the rank's dispatch handle: the row of its own token at each peer, or −1. */
  readonly slot: Int32Array;
}

/**
 * The model of HT combine on all ranks at once: bf16 bits [T][hidden] for each rank. An element is
 * the f32 sum, from +0 and in ascending rank order, over the ranks that hold the token, rounded
 * once to bf16; a NaN becomes 0x7FFF.
 */
export function combineReference(call: CombineReferenceCall): Uint16Array[] {
  return call.perRank.map(({ slot }) => {
    const numTokens = slot.length / call.ranks;
    const out = new Uint16Array(numTokens * call.hidden);
    for (let tokenIdx = 0; tokenIdx < numTokens; tokenIdx++) {
      const slots = slot.subarray(tokenIdx * call.ranks, (tokenIdx + 1) * call.ranks);
      out.set(combineToken(call, slots), tokenIdx * call.hidden);
    }
    return out;
  });
}

function combineToken(call: CombineReferenceCall, slots: Int32Array): Uint16Array {
  const sum = new Float32Array(call.hidden);
  slots.forEach((row, rank) => {
    if (row < 0) return;
    const first = row * call.hidden;
    const x = at(call.perRank, rank).x.subarray(first, first + call.hidden);
    x.forEach((bits, i) => {
      sum[i] = Math.fround(at(sum, i) + floatFromBf16(bits));
    });
  });
  return Uint16Array.from(sum, bf16FromFloat);
}
