import type { CallCounts } from './call-counts.js';
import type { PendingReceive } from './pending-receive.js';
import { receivedStorage, type Storage, windowStorage } from './storage.js';
import type { WindowState } from './window-state.js';

type ReceiveRegion =
  | 'recvX'
  | 'recvXScales'
  | 'recvExtras'
  | 'recvTopkIdx'
  | 'recvTopkWeights'
  | 'recvSrcIdx';
type LowLatencyReceiveRegion = 'llRecvX' | 'llRecvXScales' | 'llRecvSrcIdx';

/** The parts of one receive buffer. */
export type ReceiveView = (region: ReceiveRegion) => Storage;

/** Which dispatch filled a receive buffer. */
interface Filling {
  /** The window's dispatches of its kind before it. */
  readonly sequence: number;
  readonly numRecoveries: number;
}

/** How long a receive buffer keeps what a dispatch brought. */
interface Lifetime {
  readonly counts: CallCounts;
  /** Dispatches from its own on. */
  readonly numLive: number;
  /** What those are called. */
  readonly dispatches: string;
  /** How long that is, and what to do about it. */
  readonly advice: string;
}

/** The receive buffer of one of a window's dispatches. */
export function receiveWindow(window: WindowState, filling: Filling): ReceiveView {
  const { liveResults } = window.rank.group.dims;
  return bufferOf(window, filling, {
    counts: window,
    numLive: liveResults,
    dispatches: 'dispatches',
    advice: `what a dispatch received lives until ${liveResults} more are (ht.liveResults), with copy: true until it is disposed`,
  });
}

/** The same of a low-latency dispatch; `receive` is where a hook receives. */
export function lowLatencyReceiveWindow(
  window: WindowState,
  filling: Filling,
  receive: PendingReceive | undefined,
): (region: LowLatencyReceiveRegion) => Storage {
  const { inFlight = 1 } = window.rank.group.dims.lowLatency ?? {};
  const view = bufferOf(window, filling, {
    counts: window.lowLatency,
    numLive: inFlight,
    dispatches: 'low-latency dispatches',
    advice: `what one received lives until ${inFlight} more are (ll.inFlight): use it sooner, copy it, or raise ll.inFlight in the spec and build again`,
  });
  return (region) => receivedStorage(view(region), receive);
}

function bufferOf(
  window: WindowState,
  { sequence, numRecoveries }: Filling,
  { counts, numLive, dispatches, advice }: Lifetime,
): (region: ReceiveRegion | LowLatencyReceiveRegion) => Storage {
  const { rank } = window;
  const { description, numWindows } = rank.group;
  let newest = sequence;
  rank.group.capture?.onReplay(() => {
    newest = counts.numDispatches;
  });
  const staleReason = (): string | undefined => {
    const numLater = counts.numDispatches - newest - 1;
    if (numLater < numLive) return undefined;
    const where = numWindows === 1 ? '' : ` window ${window.idx} of`;
    return `${numLater} ${dispatches} were enqueued on${where} rank ${rank.idx} since; ${advice}`;
  };
  return (name) => {
    const region = description.sizes.regions[name];
    if (region === undefined) throw new Error(`${description.spec.name} has no region ${name}`);
    const { offset, stride, numBuffers } = region;
    const start = BigInt(offset + (sequence % numBuffers) * stride);
    return windowStorage(window, start, numRecoveries, staleReason);
  };
}
