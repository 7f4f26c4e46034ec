import { EpgenArgumentError } from './errors.js';
import type { RankState } from './rank-state.js';

/**
 * How far a rank's sequence of calls has come: for each window how many there were of each kind in `KINDS`, with which its
 * buffers rotate.
 */
export type Place = readonly number[];

const KINDS = ['dispatches', 'combines', 'low-latency dispatches', 'low-latency combines'] as const;
export const NUMBERS_PER_WINDOW = KINDS.length;

/** Where all ranks are; throws where they are not at one place. `wanted` is what needs that. */
export function commonPlace(ranks: readonly RankState[], wanted: string): Place {
  const [first, ...others] = ranks.map(({ place }) => place);
  if (first === undefined) throw new Error('a group without ranks');
  others.forEach((place, i) => {
    const k = place.findIndex((count, j) => count !== first[j]);
    if (k < 0) return;
    const what = KINDS[k % NUMBERS_PER_WINDOW];
    const isOnlyWindow = place.length === NUMBERS_PER_WINDOW;
    const where = isOnlyWindow ? '' : ` on window ${Math.floor(k / NUMBERS_PER_WINDOW)}`;
    throw new EpgenArgumentError(
      `Expected all ranks to have made the same calls before ${wanted}, but rank 0 has made ${first[k]} ${what}${where}, rank ${i + 1} ${place[k]}`,
    );
  });
  return first;
}

/** Every way to go ahead by less than a whole turn: `periods` says how many steps that is for each number. */
export function turns(periods: Place): Place[] {
  return periods.reduce<Place[]>(
    (places, period) =>
      places.flatMap((place) => Array.from({ length: period }, (_, step) => [...place, step])),
    [[]],
  );
}

/** The same for places from which the same buffers come. */
export function turnKey(place: Place, periods: Place): string {
  return place.map((count, k) => count % (periods[k] ?? 1)).join();
}
