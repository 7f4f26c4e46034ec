import { nearestIndex } from './nearest.js';

/** Conversions of fp8 e4m3 (four bits of exponent, three of mantissa, no infinities). */

const nan = 0x7f;

/** Its largest number. */
export const fp8Max = 448;

const magnitudes = Float64Array.from({ length: nan }, (_, bits) => {
  const exponent = bits >> 3;
  const fraction = (bits & 7) / 8;
  return exponent === 0 ? fraction * 2 ** -6 : (1 + fraction) * 2 ** (exponent - 7);
});

/** The value of an fp8 bit pattern. */
export function floatFromFp8(bits: number): number {
  const value = magnitudes[bits & 0x7f] ?? Number.NaN;
  return bits >> 7 ? -value : value;
}

/**
 * The fp8 bits of an f32, as CUDA's cvt.rn.satfinite.e4m3x2.f32 gives them: round to nearest, ties
 * to even; beyond ±448, infinities included, ±448; any NaN gives 0x7F.
 */
export function fp8FromFloat(value: number): number {
  if (Number.isNaN(value)) return nan;
  const isNegative = value < 0 || Object.is(value, -0);
  return (isNegative ? 0x80 : 0) + nearestIndex(magnitudes, Math.abs(value));
}
