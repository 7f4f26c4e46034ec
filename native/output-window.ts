import type { HandleParts } from './handle.js';
import type { RankState } from './rank-state.js';
import { windowStorage } from './storage.js';
import type { Tensor } from './tensor.js';
import { createTensor } from './tensor.js';

/** Where the next combine's input starts in the rank's window. */
export function nextOutputOffset(rank: RankState): bigint {
  const { offset, stride, numBuffers } = rank.group.description.sizes.regions.output;
  return BigInt(offset + (rank.numCombines % numBuffers) * stride);
}

/** A view of the next combine's input buffer; stale once that combine is enqueued, or another handle claims the buffer. */
export function claimOutput(
  rank: RankState,
  holder: HandleParts,
  numRows: number,
): Tensor<'bf16', readonly [number, number]> {
  const { numRecoveries, dims } = rank.group;
  const { numCombines } = rank;
  const claim = rank.claimOutput(holder);
  const storage = windowStorage(rank, nextOutputOffset(rank), numRecoveries, () => {
    if (rank.numCombines !== numCombines) {
      return `a combine was enqueued on rank ${rank.idx} since: take rank.combineInput(handle) again`;
    }
    if (rank.numOutputClaims !== claim) {
      return `rank.combineInput was called for another handle on rank ${rank.idx} since, and both share one buffer`;
    }
    return undefined;
  });
  return createTensor('bf16', [numRows, dims.hidden], storage);
}
