import type { HandleParts } from './handle.js';
import { highThroughputOf } from './high-throughput.js';
import type { Region, Spec } from './spec-types.js';
import { windowStorage } from './storage.js';
import type { Tensor } from './tensor.js';
import { createTensor } from './tensor.js';
import type { WindowState } from './window-state.js';

/** Where the input of a window's next combine starts in it. */
export function nextOutputOffset(window: WindowState): bigint {
  return nextOffset(window, highThroughputOf(window.rank.group).output);
}

/** Where the top-k weights that a window's next combine brings start in it. */
export function nextWeightsOffset(window: WindowState): bigint {
  const { spec, sizes } = window.rank.group.description;
  const { outputWeights } = sizes.regions;
  if (outputWeights === undefined) throw new Error(`${spec.name} has no region outputWeights`);
  return nextOffset(window, outputWeights);
}

function nextOffset(window: WindowState, { offset, stride, numBuffers }: Region): bigint {
  return BigInt(offset + (window.numCombines % numBuffers) * stride);
}

/** A view of the next combine's input buffer; stale once that combine is enqueued, or another handle claims the buffer. */
export function claimOutput(
  { rank, window, dispatchName }: HandleParts,
  numRows: number,
): Tensor<Spec['combineDtype'], readonly [number, number]> {
  const { numRecoveries, dims, description } = rank.group;
  const staleReason = window.inputs.claim(dispatchName);
  const storage = windowStorage(window, nextOutputOffset(window), numRecoveries, staleReason);
  return createTensor(description.spec.combineDtype, [numRows, dims.hidden], storage);
}
