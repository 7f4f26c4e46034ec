import { assertSameDispatch, type CollectiveKind } from './call-log.js';
import { describe } from './dtype.js';
import { EpgenArgumentError, EpgenError } from './errors.js';
import type { RankState } from './rank-state.js';
import type { WindowState } from './window-state.js';

/** One rank's part of a collective call: its arguments are checked, nothing is launched. */
export interface Part<T> {
  readonly rank: RankState;
  readonly window: WindowState;
  readonly kind: CollectiveKind;
  /** Of the dispatch whose handle the call has, where it has one. */
  readonly dispatchName?: string | undefined;
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
  for (const part of parts) {
    part.rank.group.log.assertFits(part.rank.idx, callOf(part), part.dispatchName);
  }
  assertOneKind(parts);
  assertOneDispatch(parts);
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

/** What all ranks have to do alike: a kind of call and, where there are several, a window. */
function callOf({ rank, window, kind }: Part<unknown>): string {
  return rank.group.numWindows === 1 ? kind : `${kind} on window ${window.idx}`;
}

/** Parts that were just checked against what other ranks did before, but not against each other. */
function assertOneKind(parts: readonly Part<unknown>[]): void {
  const [first] = parts;
  if (first === undefined) return;
  const wanted = callOf(first);
  const other = parts.find((part) => callOf(part) !== wanted);
  if (other === undefined) return;
  throw new EpgenArgumentError(
    `Expected the call of rank ${other.rank.idx} to be ${wanted}, as that of rank ${first.rank.idx}, but received ${callOf(other)}`,
  );
}

function assertOneDispatch(parts: readonly Part<unknown>[]): void {
  const first = parts.find(({ dispatchName }) => dispatchName !== undefined);
  if (first === undefined) return;
  const wanted = { dispatchName: first.dispatchName, firstRank: first.rank.idx };
  for (const part of parts) {
    assertSameDispatch(`the call of rank ${part.rank.idx}`, part.dispatchName, wanted);
  }
}

/** Starts all ranks at once, so that a run on the emulated machine depends on its seed only. */
function launchTogether<T>(parts: readonly Part<T>[], launched: T[]): void {
  const group = parts[0]?.rank.group;
  group?.callSync((raw) => raw.hold());
  try {
    for (const part of parts) {
      launched.push(part.launch());
      part.rank.group.log.append(part.rank.idx, callOf(part), part.dispatchName);
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
