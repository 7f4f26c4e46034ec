import { EpgenArgumentError } from './errors.js';
import type { RankState } from './rank-state.js';
import { nextReceived } from './window-resources.js';
import type { WindowState } from './window-state.js';

/**
 * Refuses to send what lies where the dispatch itself delivers: rows of other ranks come while it is being read. With
 * `ht.credit` the oldest live result lies there.
 */
export function assertOutlives(
  rank: RankState,
  window: WindowState,
  pointers: Readonly<Record<string, bigint>>,
  path: string,
): void {
  const overwritten = nextReceived(window);
  for (const [name, pointer] of Object.entries(pointers)) {
    if (!rank.resourcesAt(pointer).includes(overwritten)) continue;
    throw new EpgenArgumentError(
      `Expected ${path}${name} to outlive this dispatch, but it lies in the receive buffer that the dispatch fills`,
      {
        hint: 'Copy it first (copy: true of the dispatch that gave it), or raise ht.liveResults in the spec.',
      },
    );
  }
}
