import { at } from './at.js';
import { type SummedBits, type SummedDtype, sumRows, zerosOf } from './summed.js';

export interface CombineReferenceCall<D extends SummedDtype = 'bf16'> {
  readonly ranks: number;
  readonly hidden: number;
  /** Type of all elements. Default: bf16. */
  readonly dtype?: D;
  /** One entry for each rank. */
  readonly perRank: readonly CombineInput<D>[];
}

export interface CombineInput<D extends SummedDtype = 'bf16'> {
  /** Bits [N][hidden]: the expert outputs, one for each row that the rank received. */
  readonly x: SummedBits[D];
  /** i32 [T][R], from the rank's dispatch handle: the row of its own token at each peer, or −1. */
  readonly slot: Int32Array;
  /** Bits [T][hidden] each, added before all rows. Default: none. */
  readonly biases?: readonly SummedBits[D][];
}

/**
 * The model of HT combine on all ranks at once: bits [T][hidden] for each rank. An element is the
 * f32 sum, from +0, of the biases and then, in ascending rank order, of the ranks that hold the
 * token, rounded once; a NaN becomes 0x7FFF, in f32 0x7FFFFFFF.
 */
export function combineReference<D extends SummedDtype = 'bf16'>(
  call: CombineReferenceCall<D>,
): SummedBits[D][] {
  const { ranks, hidden, dtype = 'bf16' as D } = call;
  return call.perRank.map(({ slot, biases = [] }) => {
    const numTokens = slot.length / ranks;
    const out = zerosOf(dtype, numTokens * hidden);
    for (let tokenIdx = 0; tokenIdx < numTokens; tokenIdx++) {
      const added = biases.map((x) => ({ x, row: tokenIdx }));
      const held = call.perRank
        .map(({ x }, rank) => ({ x, row: at(slot, tokenIdx * ranks + rank) }))
        .filter(({ row }) => row >= 0);
      out.set(sumRows(dtype, hidden, [...added, ...held]), tokenIdx * hidden);
    }
    return out;
  });
}

export interface CombineWeightsReferenceCall {
  readonly ranks: number;
  readonly topk: number;
  /** For each rank: f32 bits [N][topk] of its received rows, and `slot` as for {@link combineReference}. */
  readonly perRank: readonly { readonly topkWeights: Uint32Array; readonly slot: Int32Array }[];
}

/** The top-k weights that combine brings back: f32 bits [T][topk] for each rank, summed as rows are. */
export function combineWeightsReference(call: CombineWeightsReferenceCall): Uint32Array[] {
  const perRank = call.perRank.map(({ topkWeights, slot }) => ({ x: topkWeights, slot }));
  return combineReference({ ranks: call.ranks, hidden: call.topk, dtype: 'f32', perRank });
}
