import { at } from './at.js';

/**
 * The index of the value nearest to `magnitude`, ties to the even index; below the first or above the last value it is
 * that value's. Values ascend, and their midpoints are exact in f64.
 */
export function nearestIndex(values: Float64Array, magnitude: number): number {
  let low = 0;
  let high = values.length - 1;
  while (low < high) {
    const above = Math.ceil((low + high) / 2);
    const midpoint = (at(values, above - 1) + at(values, above)) / 2;
    const goesUp = magnitude > midpoint || (magnitude === midpoint && above % 2 === 0);
    if (goesUp) low = above;
    else high = above - 1;
  }
  return low;
}
