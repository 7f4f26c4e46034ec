// Times what is enqueued on all ranks, on the devices' own clocks.
import type { RawGroup } from '../addon-types.js';

/** Enqueues one operation on all ranks; gives the promises of its calls. */
export type Start = (round: number) => readonly Promise<unknown>[];

export interface RoundsInput {
  readonly group: RawGroup;
  readonly numRanks: number;
  /** How many are timed; a few come before them, and are counted from 0 too. */
  readonly numRounds: number;
  /** How long the devices wait first, so that JavaScript can enqueue rounds ahead of them. */
  readonly runwayNs: number;
}

const NUM_WARM_UP_ROUNDS = 4;
/** Rounds that are enqueued at once: a dispatch may hold one of a rank's 16 count records until it ends. */
const MAX_ENQUEUED_ROUNDS = 12;

/** [operation][round][rank] µs between events around each, behind a line that all ranks start from. */
export async function timeRounds(
  { group, numRanks, numRounds, runwayNs }: RoundsInput,
  operations: readonly Start[],
): Promise<number[][][]> {
  const ranks = Array.from({ length: numRanks }, (_, rank) => rank);
  const times = operations.map((): number[][] => []);
  const numAll = NUM_WARM_UP_ROUNDS + numRounds;
  for (let first = 0; first < numAll; first += MAX_ENQUEUED_ROUNDS) {
    const numEnqueued = Math.min(MAX_ENQUEUED_ROUNDS, numAll - first);
    for (const rank of ranks) group.delay(rank, runwayNs);
    const calls: Promise<unknown>[] = [];
    const events = Array.from({ length: numEnqueued }, (_, i) =>
      operations.map((start) => {
        group.startBarrier();
        const from = ranks.map((rank) => group.event(rank));
        calls.push(...start(first + i));
        return { from, to: ranks.map((rank) => group.event(rank)) };
      }),
    );
    await Promise.all(calls);
    await Promise.all(ranks.map((rank) => group.synchronize(rank)));
    for (const round of events) {
      for (const [i, { from, to }] of round.entries()) {
        times[i]?.push(
          ranks.map((rank) => 1e3 * group.elapsedMs(rank, from[rank] ?? 0, to[rank] ?? 0)),
        );
      }
    }
  }
  return times.map((rounds) => rounds.slice(NUM_WARM_UP_ROUNDS));
}
