import { at } from './at.js';
import type { Bits, Indices } from './bits.js';
import type { DispatchOutput } from './dispatch.js';
import { movePayload, type Payload, type PayloadShape } from './payload.js';
import type { ScaleShape } from './scales.js';
import { type SummedBits, type SummedDtype, sumRows, zerosOf } from './summed.js';

export interface ExpertMajorReferenceCall<X extends Bits, I extends Indices> extends PayloadShape {
  readonly topk: number;
  readonly numLocalExperts: number;
  /** Each expert's rows begin at a multiple of it. Default: 1. */
  readonly expertAlignment?: number;
  readonly received: Omit<DispatchOutput<X, I>, 'handle'>;
}

/**
 * One rank's received rows, one for each selection, grouped by local expert; within an expert by received row, then by k.
 * N received rows, M of the result.
 */
export interface ExpertMajorOutput<X extends Bits = Bits> extends Payload<X> {
  /** M: selections of each expert rounded up to the alignment, in sum. */
  readonly numRows: number;
  /** f32 bits [M]. */
  readonly topkWeights: Uint32Array;
  /** i32 [N][topk]: the selection's row here, −1 where the expert lives elsewhere. */
  readonly slot: Int32Array;
  /** i32 [experts / ranks]: rows of each expert, padding included. */
  readonly numTokensPerExpert: Int32Array;
  /** u8 [M]: 1 in the rows that fill up an expert's group: zeros if they were asked for, anything otherwise. */
  readonly isPadding: Uint8Array;
}

/** The model of `rank.expertMajor`. Scales in columns have a column of the result's rows. */
export function expertMajorReference<X extends Bits, I extends Indices>(
  call: ExpertMajorReferenceCall<X, I>,
): ExpertMajorOutput<X> {
  const { topk, numLocalExperts, expertAlignment = 1, received, scales } = call;
  const slot = new Int32Array(received.numRows * topk).fill(-1);
  const moves: { from: number; fromRow: number; row: number; weight: number }[] = [];
  const numTokensPerExpert = new Int32Array(numLocalExperts);
  let numRows = 0;
  for (let expert = 0; expert < numLocalExperts; expert++) {
    const first = numRows;
    for (const { row: fromRow } of received.arrivals) {
      for (let k = 0; k < topk; k++) {
        const selection = fromRow * topk + k;
        if (Number(at<number | bigint>(received.topkIdx, selection)) !== expert) continue;
        slot[selection] = numRows;
        const weight = at(received.topkWeights, selection);
        moves.push({ from: 0, fromRow, row: numRows++, weight });
      }
    }
    numRows = first + Math.ceil((numRows - first) / expertAlignment) * expertAlignment;
    numTokensPerExpert[expert] = numRows - first;
  }
  const topkWeights = new Uint32Array(numRows);
  const isPadding = new Uint8Array(numRows).fill(1);
  for (const { row, weight } of moves) {
    topkWeights[row] = weight;
    isPadding[row] = 0;
  }
  const shape = { ...call, scales: expertMajorScales(scales, numRows) };
  const payload = movePayload(shape, [{ payload: received, scales }], moves, numRows);
  return { ...payload, numRows, topkWeights, slot, numTokensPerExpert, isPadding };
}

function expertMajorScales(
  scales: ScaleShape | undefined,
  numRows: number,
): ScaleShape | undefined {
  if (scales?.columnWords === undefined) return scales;
  return { words: scales.words, columnWords: numRows };
}

export interface ExpertSumReferenceCall<D extends SummedDtype> {
  readonly dtype: D;
  readonly hidden: number;
  readonly topk: number;
  /** Bits [M][hidden]: expert outputs, grouped by expert. */
  readonly y: SummedBits[D];
  /** i32 [N][topk], of {@link expertMajorReference}. */
  readonly slot: Int32Array;
}

/** What combine pulls after expert-major outputs: bits [N][hidden], each row's selections summed in k order, unweighted. */
export function expertSumReference<D extends SummedDtype>({
  dtype,
  hidden,
  topk,
  y,
  slot,
}: ExpertSumReferenceCall<D>): SummedBits[D] {
  const sums = zerosOf(dtype, (slot.length / topk) * hidden);
  for (let row = 0; row < slot.length / topk; row++) {
    const selections = Array.from(slot.subarray(row * topk, (row + 1) * topk))
      .filter((selection) => selection >= 0)
      .map((selection) => ({ x: y, row: selection }));
    sums.set(sumRows(dtype, hidden, selections), row * hidden);
  }
  return sums;
}
