import type { CollectiveKind } from './call-log.js';
import { describe } from './dtype.js';
import { EpgenArgumentError, EpgenError } from './errors.js';
import type { RankState } from './rank-state.js';

/** One rank's part of a collective call: its arguments are checked, nothing is launched. */
export interface Part<T> {
  readonly rank: RankState;
  readonly kind: CollectiveKind;
  /** Checks once more what other arguments' getters may have ended, then takes the memory that the call needs. */
  reserve(): void;
  /** Gives it back where the call is not launched. */
  cancel(): void;
  launch(): T;
  /** Nobody will take what the launch gave: hears of its failure, and gives its memory back. */
  abandon(launched: T): void;
}

/** Launches all parts, or none: whatever can be refused is refused before the first launch. */
export function launchAll<T>(parts: readonly Part<T>[]): T[] {
  for (const { rank, kind } of parts) rank.group.log.assertFits(rank.idx, kind);
  const reserved: Part<T>[] = [];
  const launched: T[] = [];
  try {
    for (const part of parts) {
      part.reserve();
      reserved.push(part);
    }
    launchTogether(parts, launched);
    return launched;
  } catch (error) {
    for (const part of reserved.slice(launched.length)) part.cancel();
    // The failed launch is what the caller hears of; the others then fail because of it.
    launched.forEach((result, i) => {
      parts[i]?.abandon(result);
    });
    throw error;
  }
}

/** Starts all ranks at once, so that a run on the emulated machine depends on its seed only. */
function launchTogether<T>(parts: readonly Part<T>[], launched: T[]): void {
  const group = parts[0]?.rank.group;
  group?.callSync((raw) => raw.hold());
  try {
    for (const part of parts) {
      launched.push(part.launch());
      part.rank.group.log.append(part.rank.idx, part.kind);
    }
  } finally {
    group?.callSync((raw) => raw.release());
  }
}

/** Launches one rank's part by itself. */
export function launchOne<T>(part: Part<T>): T {
  const [launched] = launchAll([part]);
  return launched as T;
}

/** Waits for every rank, so that nothing of a failed call goes on behind the caller's back. */
export async function settleAll<T>(pending: readonly Promise<T>[]): Promise<T[]> {
  const outcomes = await Promise.allSettled(pending);
  const errors = outcomes.flatMap((outcome) =>
    outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
  );
  if (errors.length > 0) throw errors.find((error) => !isConsequence(error)) ?? errors[0];
  return Promise.all(pending);
}

/** One element per rank, or a clear error. */
export function checkPerRank(ranks: readonly RankState[], perRank: unknown): readonly unknown[] {
  if (!Array.isArray(perRank) || perRank.length !== ranks.length) {
    const received = Array.isArray(perRank) ? `${perRank.length}` : describe(perRank);
    throw new EpgenArgumentError(
      `Expected an array of ${ranks.length} calls, one per rank, but received ${received}`,
    );
  }
  return perRank;
}

/** An error that follows from another rank's. */
function isConsequence(error: unknown): boolean {
  return error instanceof EpgenError && error.code === 'EPGEN_ABORTED';
}
