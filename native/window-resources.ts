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

/** What a low-latency dispatch received, by receive buffer. */
function lowLatencyReceived(window: WindowState, buffer: number): Resource {
  return `window ${window.idx} low-latency received ${buffer}`;
}

/** The input of a low-latency combine, by buffer: peers read it, until the combine that is named below has ended. */
function lowLatencyOutput(window: WindowState, buffer: number): Resource {
  return `window ${window.idx} low-latency output ${buffer}`;
}

/** The part at an offset. */
export function windowResource(window: WindowState, offset: number): Resource {
  for (const [name, region] of Object.entries<Region | undefined>(regionsOf(window))) {
    if (region === undefined) continue;
    const start = offset - region.offset;
    if (start < 0 || start >= region.stride * region.numBuffers) continue;
    const buffer = Math.floor(start / region.stride);
    if (name.startsWith('recv')) return received(window, buffer);
    if (name.startsWith('llRecv')) return lowLatencyReceived(window, buffer);
    if (name === 'llOutput') return lowLatencyOutput(window, buffer);
  }
  return outputs(window);
}

/**
 * What the window's next dispatch writes: peers fill its own buffer, and may fill those of results that end with it as soon
 * as it runs.
 */
export function dispatchWrites(window: WindowState): Resource[] {
  const numBuffers = numBuffersOf(window, 'recvX');
  const { liveResults } = window.rank.group.dims;
  const written = unlike({ next: window.numDispatches, live: liveResults, numBuffers });
  return [callsOf(window), ...written.map((buffer) => received(window, buffer))];
}

/** What the window's next dispatch fills. */
export function nextReceived(window: WindowState): Resource {
  return received(window, window.numDispatches % numBuffersOf(window, 'recvX'));
}

/** What a combine writes: until it has ended, peers may be reading the input of the one before. */
export function combineWrites(window: WindowState): Resource[] {
  return [callsOf(window), outputs(window)];
}

/** What the window's next low-latency dispatch fills. */
export function nextLowLatencyReceived(window: WindowState): Resource {
  return lowLatencyReceivedBy(window, window.lowLatency.numDispatches);
}

/** What the window's low-latency dispatch number `sequence` fills. */
export function lowLatencyReceivedBy(window: WindowState, sequence: number): Resource {
  return lowLatencyReceived(window, sequence % numBuffersOf(window, 'llRecvX'));
}

/** What the window's next low-latency dispatch writes as soon as it runs: as {@link dispatchWrites}. */
export function lowLatencyDispatchWrites(window: WindowState): Resource[] {
  const numBuffers = numBuffersOf(window, 'llRecvX');
  const { inFlight = 1 } = window.rank.group.dims.lowLatency ?? {};
  const next = window.lowLatency.numDispatches;
  const written = unlike({ next, live: inFlight, numBuffers });
  return [callsOf(window), ...written.map((buffer) => lowLatencyReceived(window, buffer))];
}

/** Where the input of the window's low-latency combine number `sequence` lies. */
export function lowLatencyInputOf(window: WindowState, sequence: number): Resource {
  return lowLatencyOutput(window, sequence % numBuffersOf(window, 'llOutput'));
}

/**
 * What may be written once the receive of a low-latency combine has ended: the input of the one that comes `inFlight` later.
 * Peers had read what it takes the place of before they sent what this one received.
 */
export function freedByLowLatencyCombine(window: WindowState, sequence: number): Resource {
  const { inFlight = 1 } = window.rank.group.dims.lowLatency ?? {};
  return lowLatencyInputOf(window, sequence + inFlight);
}

/** Buffers but those of live results, of which the next call's is one. */
function unlike({
  next,
  live,
  numBuffers,
}: {
  readonly next: number;
  readonly live: number;
  readonly numBuffers: number;
}): number[] {
  const kept = new Set<number>();
  for (let k = Math.max(0, next - live + 1); k < next; k++) kept.add(k % numBuffers);
  return Array.from({ length: numBuffers }, (_, b) => b).filter((b) => !kept.has(b));
}

function numBuffersOf(window: WindowState, name: 'recvX' | 'llRecvX' | 'llOutput'): number {
  return regionsOf(window)[name]?.numBuffers ?? 1;
}

function regionsOf(window: WindowState) {
  return window.rank.group.description.sizes.regions;
}
