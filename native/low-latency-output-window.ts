import { EpgenUnsupportedError } from './errors.js';
import type { LowLatency } from './low-latency-arguments.js';
import type { LowLatencyHandleParts } from './low-latency-handle.js';
import { windowStorage } from './storage.js';
import { createTensor, type Tensor } from './tensor.js';
import type { WindowState } from './window-state.js';

/** Where the input of a window's next low-latency combine starts in it. */
export function nextLowLatencyOutputOffset({ rank, lowLatency }: WindowState): bigint {
  const { spec, sizes } = rank.group.description;
  const { llOutput } = sizes.regions;
  if (llOutput === undefined) throw new Error(`${spec.name} has no region llOutput`);
  const { offset, stride, numBuffers } = llOutput;
  return BigInt(offset + (lowLatency.numCombines % numBuffers) * stride);
}

/**
 * A view of the next low-latency combine's input buffer; stale once that combine is enqueued, or another handle claims the
 * buffer. Refused while peers may still be reading what was there.
 */
export function claimLowLatencyOutput(
  holder: LowLatencyHandleParts,
  { combineDtype, maxRecvTokens }: LowLatency,
): Tensor<'bf16', readonly [number, number, number]> {
  const { rank, window } = holder;
  const { numRecoveries, dims, description } = rank.group;
  if (combineDtype !== 'bf16') {
    throw new EpgenUnsupportedError(
      `Expected combine to move bf16, which it can read in place, but ${description.spec.name} casts its rows to ${combineDtype}`,
      { hint: "Give lowLatencyCombine any other tensor, or set ll.combineDtype to 'bf16'." },
    );
  }
  const { lowLatency } = window;
  lowLatency.assertRoom('combine');
  lowLatency.claimOutput(holder);
  const claimNow = () => ({
    numCombines: lowLatency.numCombines,
    number: lowLatency.numOutputClaims,
  });
  let claim = claimNow();
  rank.group.capture?.onReplay(() => {
    claim = claimNow();
  });
  const offset = nextLowLatencyOutputOffset(window);
  const storage = windowStorage(window, offset, numRecoveries, () => {
    if (lowLatency.numCombines !== claim.numCombines) {
      return `a low-latency combine was enqueued on rank ${rank.idx} since: take rank.getNextLowLatencyCombineBuffer(handle) again`;
    }
    if (lowLatency.numOutputClaims !== claim.number) {
      return `rank.getNextLowLatencyCombineBuffer was called for another handle on rank ${rank.idx} since, and both share one buffer`;
    }
    return undefined;
  });
  return createTensor('bf16', [dims.numLocalExperts, maxRecvTokens, dims.hidden], storage);
}
