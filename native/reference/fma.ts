import { at } from './at.js';

const floatView = new Float64Array(1);
const bitsView = new BigUint64Array(floatView.buffer);

/**
 * a·b + c of f32 numbers, rounded once to f32, to nearest even. The product is exact in f64; their sum is rounded to odd
 * there, so that rounding it again to f32 gives what a single rounding of the exact sum gives.
 */
export function fma(a: number, b: number, c: number): number {
  const product = a * b;
  const sum = product + c;
  // Knuth's two-sum: what the addition lost, exactly. NaN where there is no finite sum.
  const added = sum - product;
  const lost = product - (sum - added) + (c - added);
  if (!(Math.abs(lost) > 0)) return Math.fround(sum);
  return Math.fround(roundedToOdd(sum, lost));
}

/** Of the two f64 numbers around sum + lost, of which sum is the nearer one, the one with an odd last bit. */
function roundedToOdd(sum: number, lost: number): number {
  floatView[0] = sum;
  const bits = at(bitsView, 0);
  if (bits & 1n) return sum;
  bitsView[0] = lost > 0 === sum > 0 ? bits + 1n : bits - 1n;
  return at(floatView, 0);
}
