import type { PendingReceive } from './pending-receive.js';
import { receivedStorage, type Storage, windowStorage } from './storage.js';
import type { WindowState } from './window-state.js';

type ReceiveRegion = 'llRecvX' | 'llRecvXScales' | 'llRecvSrcIdx';

/** Which low-latency dispatch filled a receive buffer. */
interface Filling {
  /** The window's low-latency dispatches before it. */
  readonly sequence: number;
  readonly numRecoveries: number;
  /** Where a hook receives. */
  readonly receive: PendingReceive | undefined;
}

/** The parts of the receive buffer of one of a window's low-latency dispatches. */
export function lowLatencyReceiveWindow(
  window: WindowState,
  { sequence, numRecoveries, receive }: Filling,
): (region: ReceiveRegion) => Storage {
  const { rank, lowLatency } = window;
  const { dims, description, numWindows } = rank.group;
  const inFlight = dims.lowLatency?.inFlight ?? 1;
  let newest = sequence;
  rank.group.capture?.onReplay(() => {
    newest = lowLatency.numDispatches;
  });
  const staleReason = (): string | undefined => {
    const numLater = lowLatency.numDispatches - newest - 1;
    if (numLater < inFlight) return undefined;
    const where = numWindows === 1 ? '' : ` window ${window.idx} of`;
    return `${numLater} low-latency dispatches were enqueued on${where} rank ${rank.idx} since; what one received lives until ${inFlight} more are (ll.inFlight)`;
  };
  return (name) => {
    const region = description.sizes.regions[name];
    if (region === undefined) throw new Error(`${description.spec.name} has no region ${name}`);
    const { offset, stride, numBuffers } = region;
    const start = BigInt(offset + (sequence % numBuffers) * stride);
    return receivedStorage(windowStorage(window, start, numRecoveries, staleReason), receive);
  };
}
