// Sums in fp64, from the definition of low-latency dispatch and combine: nothing here is shared with kernels or with their
// bit-exact model.

/** What one rank sends. */
interface Sent {
  readonly numTokens: number;
  readonly topkIdx: ArrayLike<number | bigint>;
  /** f32 bits [T][topk]. */
  readonly topkWeights: Uint32Array;
}

interface Shape {
  readonly ranks: number;
  readonly experts: number;
  readonly topk: number;
  readonly hidden: number;
  readonly maxTokensPerRank: number;
}

/** The value of bf16 bits. */
export function bf16Value(bits: number): number {
  return new Float32Array(Uint32Array.of(bits * 0x10000).buffer)[0]!;
}

/** Who chose an expert: by source, then by token, each once. */
export function chosenBy({ topk }: Shape, perRank: readonly Sent[], expert: number) {
  return perRank.flatMap(({ topkIdx, numTokens }, source) =>
    Array.from({ length: numTokens }, (_, token) => ({ source, token })).filter(({ token }) =>
      Array.from({ length: topk }, (_, k) => Number(topkIdx[token * topk + k])).includes(expert),
    ),
  );
}

/** What the reference's own tests bound: 0 for the same vector, 1 for one at right angles. */
export function calcDiff(got: ArrayLike<number>, want: ArrayLike<number>): number {
  let product = 0;
  let squares = 0;
  for (let i = 0; i < want.length; i++) {
    product += 2 * got[i]! * want[i]!;
    squares += got[i]! ** 2 + want[i]! ** 2;
  }
  return squares === 0 ? 0 : 1 - product / squares;
}

/** One rank's sums, and how far from them what was computed in f32 and rounded to bf16 may lie. */
export interface Fp64Sums {
  readonly values: Float64Array;
  readonly bounds: Float64Array;
}

/** How far an element may be off that travelled as fp8 beside others of which `amax` is the largest magnitude. */
function castError(value: number, amax: number): number {
  return (1 + 2 ** -20) * Math.max(Math.abs(value) / 16, (Math.max(amax, 1e-4) / 448) * 2 ** -10);
}

/**
 * Sums of weight · y for each token of each rank. `outputs` are bf16 bits [experts / ranks][R·M][hidden] of each rank. Bounds
 * scale with the magnitudes of what is added: one f32 rounding for each addition, one bf16 rounding, and as fp8 half a unit
 * of each element.
 */
export function sumsInFp64(
  shape: Shape,
  perRank: readonly Sent[],
  outputs: readonly Uint16Array[],
  transport: 'bf16' | 'fp8_e4m3',
): Fp64Sums[] {
  const { ranks, experts, topk, hidden, maxTokensPerRank } = shape;
  const numLocalExperts = experts / ranks;
  const rows = Array.from({ length: experts }, (_, expert) => chosenBy(shape, perRank, expert));
  return perRank.map(({ numTokens, topkIdx, topkWeights }, source) => {
    const values = new Float64Array(numTokens * hidden);
    const bounds = new Float64Array(numTokens * hidden);
    const weights = new Float32Array(topkWeights.slice().buffer);
    for (let token = 0; token < numTokens; token++) {
      const magnitudes = new Float64Array(hidden);
      const casts = new Float64Array(hidden);
      for (let k = 0; k < topk; k++) {
        const expert = Number(topkIdx[token * topk + k]);
        if (expert < 0) continue;
        const row = rows[expert]!.findIndex((of) => of.source === source && of.token === token);
        const first = ((expert % numLocalExperts) * ranks * maxTokensPerRank + row) * hidden;
        const bits = outputs[Math.floor(expert / numLocalExperts)]!;
        const y = Array.from(bits.subarray(first, first + hidden), bf16Value);
        const weight = weights[token * topk + k]!;
        for (let i = 0; i < hidden; i++) {
          values[token * hidden + i]! += weight * y[i]!;
          magnitudes[i]! += Math.abs(weight * y[i]!);
        }
        if (transport === 'bf16') continue;
        for (let i = 0; i < hidden; i++) {
          const block = y.slice(i - (i % 128), i - (i % 128) + 128);
          casts[i]! += Math.abs(weight) * castError(y[i]!, Math.max(...block.map(Math.abs)));
        }
      }
      for (let i = 0; i < hidden; i++) {
        const value = Math.abs(values[token * hidden + i]!);
        const added = topk * 2 ** -24 * (magnitudes[i]! + casts[i]!) + casts[i]!;
        bounds[token * hidden + i] = added + 2 ** -8 * (value + added) + 2 ** -126;
      }
    }
    return { values, bounds };
  });
}
