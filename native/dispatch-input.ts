import { EpgenArgumentError } from './errors.js';
import type { RankState } from './rank-state.js';
import type { Resource } from './stream-order.js';
import { nextLowLatencyReceived, nextReceived } from './window-resources.js';
import type { WindowState } from './window-state.js';

/** Addresses by the names of their arguments. */
type Pointers = Readonly<Record<string, bigint>>;

/**
 * Refuses to send what lies where the dispatch itself delivers: rows of other ranks come while it is being read. With
 * `ht.credit` the oldest live result lies there.
 */
export function assertOutlives(
  rank: RankState,
  window: WindowState,
  pointers: Pointers,
  path: string,
): void {
  const name = lyingIn(rank, nextReceived(window), pointers);
  if (name === undefined) return;
  throw filled(
    `${path}${name}`,
    'Copy it first (copy: true of the dispatch that gave it), or raise ht.liveResults in the spec.',
  );
}

/** As {@link assertOutlives}, for a low-latency dispatch: only addresses of the caller's can lie there. */
export function assertOutlivesLowLatency(
  rank: RankState,
  window: WindowState,
  pointers: Pointers,
  path: string,
): void {
  const name = lyingIn(rank, nextLowLatencyReceived(window), pointers);
  if (name !== undefined) throw filled(`${path}${name}`, 'Copy it first.');
}

function lyingIn(rank: RankState, overwritten: Resource, pointers: Pointers): string | undefined {
  const found = Object.entries(pointers).find(([, pointer]) =>
    rank.resourcesAt(pointer).includes(overwritten),
  );
  return found?.[0];
}

function filled(name: string, hint: string): EpgenArgumentError {
  return new EpgenArgumentError(
    `Expected ${name} to outlive this dispatch, but it lies in the receive buffer that the dispatch fills`,
    { hint },
  );
}
