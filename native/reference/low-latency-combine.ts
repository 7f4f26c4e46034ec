import { at } from './at.js';
import { bf16FromFloat, floatFromBf16 } from './bf16.js';
import { castFromFp8, castToFp8 } from './cast.js';
import { fma } from './fma.js';
import { lowLatencyScaleBlock } from './low-latency-dispatch.js';

export interface LowLatencyCombineInput {
  /** bf16 bits [experts / ranks][R·M][hidden]: expert outputs, where the rank received the rows. */
  readonly x: Uint16Array;
  /** i32 [T][topk], from the rank's dispatch. */
  readonly slot: Int32Array;
  /** f32 bits [T][topk]. */
  readonly topkWeights: Uint32Array;
}

export interface LowLatencyCombineReferenceCall {
  readonly hidden: number;
  readonly topk: number;
  /** What rows travel as. Default: bf16. */
  readonly transport?: 'bf16' | 'fp8_e4m3';
  /** One entry for each rank. */
  readonly perRank: readonly LowLatencyCombineInput[];
}

/**
 * The model of low-latency combine on all ranks at once: bf16 bits [T][hidden] for each rank. An element is +0, to which
 * weight · y is added for each k in ascending order that selected an expert, each time rounded once to f32; the sum is
 * rounded to bf16, and a NaN becomes 0x7FFF.
 *
 * As fp8, a row travels with an f32 scale for each 128 elements, and y = fp8 · scale, rounded to f32. With `amax` the
 * largest magnitude of the 128, no less than 10⁻⁴, |y − x| ≤ (1 + 2⁻²⁰) · max(|x| · 2⁻⁴, amax / 448 · 2⁻¹⁰): half a unit in the
 * last place of a normal or of a subnormal fp8.
 */
export function lowLatencyCombineReference(call: LowLatencyCombineReferenceCall): Uint16Array[] {
  const { hidden, topk, perRank } = call;
  return perRank.map(({ slot, topkWeights }) => {
    const weights = new Float32Array(
      topkWeights.buffer,
      topkWeights.byteOffset,
      topkWeights.length,
    );
    const out = new Uint16Array((slot.length / topk) * hidden);
    for (let first = 0; first < slot.length; first += topk) {
      const sum = new Float32Array(hidden);
      for (let k = first; k < first + topk; k++) {
        if (at(slot, k) < 0) continue;
        const weight = at(weights, k);
        const y = travelledRow(call, at(slot, k));
        for (let i = 0; i < hidden; i++) sum[i] = fma(weight, at(y, i), at(sum, i));
      }
      out.set(Uint16Array.from(sum, bf16FromFloat), (first / topk) * hidden);
    }
    return out;
  });
}

/** The row that a slot names, as it comes to whoever sums it. */
function travelledRow(call: LowLatencyCombineReferenceCall, slot: number): Float32Array {
  const { hidden, transport = 'bf16', perRank } = call;
  const rowsPerRank = at(perRank, 0).x.length / hidden;
  const { x } = at(perRank, Math.floor(slot / rowsPerRank));
  const first = (slot % rowsPerRank) * hidden;
  const row = Float32Array.from(x.subarray(first, first + hidden), floatFromBf16);
  if (transport === 'bf16') return row;
  const blocks = { hidden, scaleBlock: lowLatencyScaleBlock, scaleDtype: 'f32' } as const;
  return castFromFp8(castToFp8(row, blocks), blocks);
}
