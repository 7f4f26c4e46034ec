// The parts of a window as streams tell them apart.
import type { Region } from './spec-types.js';
import type { Resource } from './stream-order.js';
import type { WindowState } from './window-state.js';

/** Where a window's calls come one after the other. */
export function callsOf(window: WindowState): Resource {
  return `window ${window.idx} calls`;
}

/** What a dispatch received, by receive buffer. */
function received(window: WindowState, buffer: number): Resource {
  return `window ${window.idx} received ${buffer}`;
}

/** Inputs of combines. */
function outputs(window: WindowState): Resource {
  return `window ${window.idx} outputs`;
}

/** The part at an offset. */
export function windowResource(window: WindowState, offset: number): Resource {
  for (const [name, region] of Object.entries<Region | undefined>(regionsOf(window))) {
    if (region === undefined || !name.startsWith('recv')) continue;
    const start = offset - region.offset;
    if (start < 0 || start >= region.stride * region.numBuffers) continue;
    return received(window, Math.floor(start / region.stride));
  }
  return outputs(window);
}

/**
 * What the window's next dispatch writes: peers fill its own buffer, and may fill those of results that end with it as soon
 * as it runs.
 */
export function dispatchWrites(window: WindowState): Resource[] {
  const { numBuffers } = regionsOf(window).recvX;
  const { liveResults } = window.rank.group.dims;
  const next = window.numDispatches;
  const live = new Set<number>();
  for (let k = Math.max(0, next - liveResults + 1); k < next; k++) live.add(k % numBuffers);
  const written = Array.from({ length: numBuffers }, (_, b) => b).filter((b) => !live.has(b));
  return [callsOf(window), ...written.map((buffer) => received(window, buffer))];
}

/** What the window's next dispatch fills. */
export function nextReceived(window: WindowState): Resource {
  return received(window, window.numDispatches % regionsOf(window).recvX.numBuffers);
}

/** What a combine writes: until it has ended, peers may be reading the input of the one before. */
export function combineWrites(window: WindowState): Resource[] {
  return [callsOf(window), outputs(window)];
}

function regionsOf(window: WindowState) {
  return window.rank.group.description.sizes.regions;
}
