import { canonicalNan } from './bf16.js';
import { nearestIndex } from './nearest.js';

/** f16 conversions, bit for bit as the kernels do them. */

const infinity = 0x7c00;

/** What each magnitude is worth; infinity as the number that would follow the largest one. */
const magnitudes = Float64Array.from({ length: infinity + 1 }, (_, bits) => {
  const exponent = bits >> 10;
  const fraction = (bits & 0x3ff) / 1024;
  return exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15);
});

/** The value of an f16 bit pattern. Exact: every f16 is an f32. */
export function floatFromF16(bits: number): number {
  const magnitude = bits & 0x7fff;
  if (magnitude > infinity) return Number.NaN;
  const value = magnitude === infinity ? Infinity : (magnitudes[magnitude] as number);
  return bits >> 15 ? -value : value;
}

/**
 * The f16 bits of an f32: round to nearest, ties to even; overflow gives infinity; any NaN gives
 * 0x7FFF.
 */
export function f16FromFloat(value: number): number {
  if (Number.isNaN(value)) return canonicalNan;
  const isNegative = value < 0 || Object.is(value, -0);
  return (isNegative ? 0x8000 : 0) + nearestIndex(magnitudes, Math.abs(value));
}
