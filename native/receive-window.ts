import { type Storage, windowStorage } from './storage.js';
import type { WindowState } from './window-state.js';

type ReceiveRegion =
  | 'recvX'
  | 'recvXScales'
  | 'recvExtras'
  | 'recvTopkIdx'
  | 'recvTopkWeights'
  | 'recvSrcIdx';

/** The parts of one receive buffer. */
export type ReceiveView = (region: ReceiveRegion) => Storage;

/** The receive buffer of a window's dispatch number `sequence`. */
export function receiveWindow(
  window: WindowState,
  sequence: number,
  numRecoveries: number,
): ReceiveView {
  const { rank } = window;
  const { dims, description, numWindows } = rank.group;
  let newest = sequence;
  rank.group.capture?.onReplay(() => {
    newest = window.numDispatches;
  });
  const staleReason = (): string | undefined => {
    const numLater = window.numDispatches - newest - 1;
    if (numLater < dims.liveResults) return undefined;
    const where = numWindows === 1 ? '' : ` window ${window.idx} of`;
    return `${numLater} dispatches were enqueued on${where} rank ${rank.idx} since; what a dispatch received lives until ${dims.liveResults} more are (ht.liveResults), with copy: true until it is disposed`;
  };
  return (name) => {
    const region = description.sizes.regions[name];
    if (region === undefined) throw new Error(`${description.spec.name} has no region ${name}`);
    const { offset, stride, numBuffers } = region;
    const start = BigInt(offset + (sequence % numBuffers) * stride);
    return windowStorage(window, start, numRecoveries, staleReason);
  };
}
