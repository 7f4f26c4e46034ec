import type { RankState } from './rank-state.js';
import { type Storage, windowStorage } from './storage.js';

type ReceiveRegion = 'recvX' | 'recvTopkIdx' | 'recvTopkWeights' | 'recvSrcIdx';

/** The receive buffer of a rank's dispatch number `sequence`. */
export function receiveWindow(
  rank: RankState,
  sequence: number,
  numRecoveries: number,
): (region: ReceiveRegion) => Storage {
  const { dims, description } = rank.group;
  const staleReason = (): string | undefined => {
    const numLater = rank.numDispatches - sequence - 1;
    if (numLater < dims.liveResults) return undefined;
    return `${numLater} dispatches were enqueued on rank ${rank.idx} since; what a dispatch received lives until ${dims.liveResults} more are (ht.liveResults), with copy: true until it is disposed`;
  };
  return (name) => {
    const { offset, stride, numBuffers } = description.sizes.regions[name];
    const start = BigInt(offset + (sequence % numBuffers) * stride);
    return windowStorage(rank, start, numRecoveries, staleReason);
  };
}
