import type { RankState } from './rank-state.js';

/** Enough to keep the memory of a device busy. */
const MOST_BLOCKS = 256;
/** Every block of the emulated machine costs time and memory, whatever it moves. */
export const MOST_EMULATED_BLOCKS = 2;
/** Two for each warp: fewer are not worth what a block has to find out first. */
const ROWS_PER_BLOCK = 16;

/** Blocks of a kernel that moves rows within this rank's memory. The result does not depend on it. */
export function localGrid(rank: RankState, numRows: number): number {
  const most = rank.group.backend === 'cpu' ? MOST_EMULATED_BLOCKS : MOST_BLOCKS;
  return Math.max(1, Math.min(most, Math.ceil(numRows / ROWS_PER_BLOCK)));
}
