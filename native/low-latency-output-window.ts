import { EpgenUnsupportedError } from './errors.js';
import type { LowLatency } from './low-latency-arguments.js';
import type { LowLatencyHandleParts } from './low-latency-handle.js';
import type { Region } from './spec-types.js';
import { windowStorage } from './storage.js';
import { createTensor, type Tensor } from './tensor.js';
import type { WindowState } from './window-state.js';

/** Where the inputs of a window's low-latency combines lie. */
export function lowLatencyOutputRegion({ rank }: WindowState): Region {
  const { spec, sizes } = rank.group.description;
  const { llOutput } = sizes.regions;
  if (llOutput === undefined) throw new Error(`${spec.name} has no region llOutput`);
  return llOutput;
}

/** Where the input of a window's next low-latency combine starts in it. */
export function nextLowLatencyOutputOffset(window: WindowState): bigint {
  const { offset, stride, numBuffers } = lowLatencyOutputRegion(window);
  return BigInt(offset + (window.lowLatency.numCombines % numBuffers) * stride);
}

/**
 * A view of the next low-latency combine's input buffer; stale once that combine is enqueued, or another handle claims the
 * buffer. Refused while peers may still be reading what was there.
 */
export function claimLowLatencyOutput(
  { rank, window, dispatchName }: LowLatencyHandleParts,
  { combineDtype, maxRecvTokens }: LowLatency,
): Tensor<'bf16', readonly [number, number, number]> {
  const { numRecoveries, dims, description } = rank.group;
  if (combineDtype !== 'bf16') {
    throw new EpgenUnsupportedError(
      `Expected combine to move bf16, which it can read in place, but ${description.spec.name} casts its rows to ${combineDtype}`,
      { hint: "Give lowLatencyCombine any other tensor, or set ll.combineDtype to 'bf16'." },
    );
  }
  window.lowLatency.assertRoom('combine');
  const staleReason = window.lowLatency.inputs.claim(dispatchName);
  const offset = nextLowLatencyOutputOffset(window);
  const storage = windowStorage(window, offset, numRecoveries, staleReason);
  return createTensor('bf16', [dims.numLocalExperts, maxRecvTokens, dims.hidden], storage);
}
