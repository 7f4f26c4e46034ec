import { type Arrival, numRowsOf, type Placement } from './arrivals.js';
import { at, increment } from './at.js';
import { type Bits, type Indices, zerosLike } from './bits.js';
import { type ReferenceHandle, routeTokens } from './handle.js';
import { movePayload, type Payload, type PayloadShape } from './payload.js';
import type { Routing } from './routing.js';
import { isTokenInRank, selections } from './routing.js';
import type { ScaleShape } from './scales.js';

/** What every kind of dispatch says about its rows. */
export interface DispatchShape extends PayloadShape, Placement {}

/** What one rank sends, and how it wants to receive. T = numTokens. */
export interface DispatchRows<X extends Bits = Bits> extends Payload<X> {
  readonly numTokens: number;
  /** Bits [T][hidden]. */
  readonly x: X;
  /** [T][words], or [words][T] where received scales lie in columns. */
  readonly xScales?: Uint32Array;
  /** Counts per expert are rounded up to a multiple of it. Default: 1. */
  readonly expertAlignment?: number;
  /** How many rows the rank's tensors have, in compact placement. Default: as many as arrive. */
  readonly numWorstTokens?: number;
}

export interface DispatchInput<X extends Bits = Uint16Array, I extends Indices = BigInt64Array>
  extends DispatchRows<X> {
  /** i64 or i32 [T][topk]; −1, or any index outside [0, experts), selects nothing. */
  readonly topkIdx: I;
  /** f32 bits [T][topk]. */
  readonly topkWeights: Uint32Array;
}

export interface DispatchReferenceCall<
  X extends Bits = Uint16Array,
  I extends Indices = BigInt64Array,
> extends Routing,
    DispatchShape {
  /** One entry for each rank. */
  readonly perRank: readonly DispatchInput<X, I>[];
}

/**
 * What one rank receives, whatever its tokens' experts are: rows by source rank, then by source
 * token. The rows in `arrivals` are defined; others are zeros here and anything on a device.
 */
export interface ReceivedRows<X extends Bits = Bits> extends Payload<X> {
  readonly numRecvTokens: number;
  /** Rows that the tensors have: more than arrived with slotted placement and `numWorstTokens`. */
  readonly numRows: number;
  readonly arrivals: readonly Arrival[];
  /** i32 [R]: rows of each source. */
  readonly numTokensPerRank: Int32Array;
  /** i32 [numRows]: the token's index on its source rank. */
  readonly srcIdx: Int32Array;
}

/** What one rank receives of a dispatch that routes. */
export interface RoutedOutput<X extends Bits = Bits> extends ReceivedRows<X> {
  /**
   * i32 [experts / ranks]: selections of each local expert, rounded up to the rank's
   * `expertAlignment`; an expert named twice by one token counts twice.
   */
  readonly numTokensPerExpert: Int32Array;
  readonly handle: ReferenceHandle;
}

export interface DispatchOutput<X extends Bits = Uint16Array, I extends Indices = BigInt64Array>
  extends RoutedOutput<X> {
  /** [numRows][topk]: local expert id, −1 where the expert lives elsewhere and in rows that did not arrive. */
  readonly topkIdx: I;
  /** f32 bits [numRows][topk]: +0 where topkIdx is −1. */
  readonly topkWeights: Uint32Array;
}

/** The model of HT dispatch on all ranks at once. */
export function dispatchReference<X extends Bits, I extends Indices>(
  call: DispatchReferenceCall<X, I>,
): DispatchOutput<X, I>[] {
  const { handles, arrivals } = routeTokens(
    call,
    call.perRank.map((input) => isTokenInRank(call, input.topkIdx)),
  );
  return handles.map((handle, rank) => {
    const rows = receiveRows(call, call.perRank, at(arrivals, rank), rank);
    return { ...rows, ...receiveTopk(call, rows, rank), handle };
  });
}

export interface WithoutTopkInput<X extends Bits = Bits> extends DispatchRows<X> {
  /** u8 [T][R]: 1 where the token goes to the rank. */
  readonly isTokenInRank: Uint8Array;
  /** i32 [E]: selections of each expert. */
  readonly numTokensPerExpert: Int32Array;
}

/** The model of a dispatch that knows only what `getDispatchLayout` gave, on all ranks at once. */
export function dispatchWithoutTopkReference<X extends Bits>(
  call: DispatchShape & {
    readonly experts: number;
    readonly perRank: readonly WithoutTopkInput<X>[];
  },
): RoutedOutput<X>[] {
  const { handles, arrivals } = routeTokens(
    call,
    call.perRank.map((input) => input.isTokenInRank),
  );
  const numLocalExperts = call.experts / call.ranks;
  return handles.map((handle, rank) => {
    const counts = new Int32Array(numLocalExperts);
    for (const { numTokensPerExpert } of call.perRank) {
      counts.forEach((count, expert) => {
        counts[expert] = count + at(numTokensPerExpert, rank * numLocalExperts + expert);
      });
    }
    return {
      ...receiveRows(call, call.perRank, at(arrivals, rank), rank),
      numTokensPerExpert: aligned(counts, at(call.perRank, rank)),
      handle,
    };
  });
}

/** Rows along the routing of a handle: `slot` is the handle's, i32 [T][R]. */
export interface CachedInput<X extends Bits = Bits> extends DispatchRows<X> {
  readonly slot: Int32Array;
}

/** The model of a dispatch from handles, on all ranks at once: the same rows as those of the handles' dispatch. */
export function cachedDispatchReference<X extends Bits>(
  call: DispatchShape & { readonly perRank: readonly CachedInput<X>[] },
): ReceivedRows<X>[] {
  const { arrivals } = routeTokens(
    call,
    call.perRank.map(({ slot }) => Uint8Array.from(slot, (row) => (row >= 0 ? 1 : 0))),
  );
  return arrivals.map((rows, rank) => receiveRows(call, call.perRank, rows, rank));
}

function receiveRows<X extends Bits>(
  shape: DispatchShape,
  inputs: readonly DispatchRows<X>[],
  arrivals: readonly Arrival[],
  rank: number,
): ReceivedRows<X> {
  const { numWorstTokens } = at(inputs, rank);
  if (numWorstTokens !== undefined && numWorstTokens < arrivals.length) {
    throw new RangeError(
      `expected at most ${numWorstTokens} rows at rank ${rank}, received ${arrivals.length}`,
    );
  }
  const numRows = numWorstTokens ?? numRowsOf(shape, arrivals);
  const srcIdx = new Int32Array(numRows);
  const numTokensPerRank = new Int32Array(shape.ranks);
  for (const { src, tokenIdx, row } of arrivals) {
    srcIdx[row] = tokenIdx;
    increment(numTokensPerRank, src);
  }
  const payload = movePayload(
    shape,
    inputs.map((input) => ({ payload: input, ...sentScales(shape, input) })),
    arrivals.map(({ src, tokenIdx, row }) => ({ from: src, fromRow: tokenIdx, row })),
    numRows,
  );
  return {
    ...payload,
    numRecvTokens: arrivals.length,
    numRows,
    arrivals,
    numTokensPerRank,
    srcIdx,
  };
}

/** Columns of sent scales are as long as there are tokens. */
function sentScales(
  { scales }: DispatchShape,
  { numTokens }: DispatchRows,
): { readonly scales?: ScaleShape } {
  if (scales?.columnWords === undefined) return scales === undefined ? {} : { scales };
  return { scales: { words: scales.words, columnWords: numTokens } };
}

function receiveTopk<X extends Bits, I extends Indices>(
  call: DispatchReferenceCall<X, I>,
  { arrivals, numRows }: ReceivedRows<X>,
  rank: number,
): Pick<DispatchOutput<X, I>, 'topkIdx' | 'topkWeights' | 'numTokensPerExpert'> {
  const { topk } = call;
  const numLocalExperts = call.experts / call.ranks;
  const experts = call.perRank.map((input) => selections(call, input.topkIdx));
  const localExperts = new Int32Array(numRows * topk).fill(-1);
  const topkWeights = new Uint32Array(numRows * topk);
  const counts = new Int32Array(numLocalExperts);
  for (const { src, tokenIdx, row } of arrivals) {
    for (let k = 0; k < topk; k++) {
      const localExpert = at(at(experts, src), tokenIdx * topk + k) - rank * numLocalExperts;
      if (localExpert < 0 || localExpert >= numLocalExperts) continue;
      localExperts[row * topk + k] = localExpert;
      topkWeights[row * topk + k] = at(at(call.perRank, src).topkWeights, tokenIdx * topk + k);
      increment(counts, localExpert);
    }
  }
  const input = at(call.perRank, rank);
  return {
    topkIdx: indicesLike(input.topkIdx, localExperts),
    topkWeights,
    numTokensPerExpert: aligned(counts, input),
  };
}

function indicesLike<I extends Indices>(like: I, experts: Int32Array): I {
  const indices = zerosLike(like, experts.length);
  experts.forEach((expert, i) => {
    indices[i] = indices instanceof BigInt64Array ? BigInt(expert) : expert;
  });
  return indices;
}

function aligned(counts: Int32Array, { expertAlignment = 1 }: DispatchRows): Int32Array {
  return counts.map((count) => Math.ceil(count / expertAlignment) * expertAlignment);
}
