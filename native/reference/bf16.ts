/** bf16 conversions, bit for bit as the kernels do them. */

const floatView = new Float32Array(1);
const bitsView = new Uint32Array(floatView.buffer);

/** What CUDA's cvt.rn.bf16x2.f32 returns for every NaN. */
export const canonicalNan = 0x7fff;

/** The value of a bf16 bit pattern. Exact: every bf16 is an f32. */
export function floatFromBf16(bits: number): number {
  bitsView[0] = bits << 16;
  return floatView[0] as number;
}

/**
 * The bf16 bits of an f32: round to nearest, ties to even; overflow gives infinity; any NaN gives
 * 0x7FFF.
 */
export function bf16FromFloat(value: number): number {
  if (Number.isNaN(value)) return canonicalNan;
  floatView[0] = value;
  const bits = bitsView[0] as number;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}
