import {
  cachedDispatchReference,
  combineReference,
  combineWeightsReference,
  type DispatchShape,
  type ReceivedRows,
  type SummedBits,
  type SummedDtype,
} from '../../native/reference/index.js';

export interface DispatchBackwardCall<D extends SummedDtype> {
  readonly ranks: number;
  readonly hidden: number;
  readonly topk: number;
  readonly dtype: D;
  /** For each rank: gradients of what it received, and the slots of its dispatch handle. */
  readonly perRank: readonly {
    readonly x: SummedBits[D];
    readonly topkWeights: Uint32Array;
    readonly slot: Int32Array;
  }[];
}

/** Gradients of what each rank dispatched: the combine of the gradients of what ranks received, weights and all. */
export function dispatchBackward<D extends SummedDtype>(
  call: DispatchBackwardCall<D>,
): { readonly x: SummedBits[D]; readonly topkWeights: Uint32Array }[] {
  const topkWeights = combineWeightsReference(call);
  return combineReference(call).map((x, rank) => ({ x, topkWeights: topkWeights[rank]! }));
}

export interface CombineBackwardCall<D extends SummedDtype> extends DispatchShape {
  /** For each rank: gradients [T][hidden] of what it combined, and the slots of its handle. */
  readonly perRank: readonly {
    readonly numTokens: number;
    readonly x: SummedBits[D];
    readonly slot: Int32Array;
  }[];
}

/** Gradients of the rows that each rank gave to combine: a dispatch of the gradients from the handles. */
export function combineBackward<D extends SummedDtype>(
  call: CombineBackwardCall<D>,
): ReceivedRows<SummedBits[D]>[] {
  return cachedDispatchReference(call);
}
