import type { Allocation } from './allocation.js';
import type { ArenaBlock } from './arena-block.js';
import type { Arrival } from './arrival.js';
import { EpgenStaleError } from './errors.js';
import type { RankState } from './rank-state.js';

/** The memory behind a tensor. */
export interface Storage {
  readonly rank: RankState;
  readonly pointer: bigint;
  /** Where it lies in the rank's window, if it does: what a combine can read in place. */
  readonly windowOffset: bigint | undefined;
  /** Throws where it must not be used any more; `name` is whose it is in the message. */
  assertLive(name: string): void;
  /** Why it must not be written any more; undefined while it may. */
  sealedReason(): string | undefined;
  /** Peers will read it from now on. */
  seal(): void;
  release(): void;
}

const NOT_SEALED = (): undefined => undefined;
const NOTHING_TO_DO = (): void => undefined;

/** A whole block of the arena, which goes back with the tensor; `arrival` brings its first contents. */
export function blockStorage(block: ArenaBlock, arrival?: Arrival): Storage {
  return {
    rank: block.rank,
    pointer: block.pointer,
    windowOffset: undefined,
    assertLive: (name) => arrival?.assertNotLost(name),
    sealedReason: NOT_SEALED,
    seal: NOTHING_TO_DO,
    release: () => block.free(),
  };
}

/** Part of a handle's block, which the handle owns: it lives as long. */
export function handleStorage(block: ArenaBlock, offset: number, numRecoveries: number): Storage {
  const { rank } = block;
  return {
    rank,
    pointer: block.pointer + BigInt(offset),
    windowOffset: undefined,
    assertLive: (name) => {
      if (block.isFreed) throw stale(name, 'its handle was disposed');
      assertNotRecovered(rank, numRecoveries, name);
    },
    sealedReason: () => 'it belongs to a handle',
    seal: NOTHING_TO_DO,
    release: NOTHING_TO_DO,
  };
}

/** Memory of the rank whose contents the caller answers for; `owner` is what of the arena it lies in, if it does. */
export function borrowedStorage(
  rank: RankState,
  { pointer, numBytes }: Pick<Allocation, 'pointer' | 'numBytes'>,
  owner: Allocation | undefined,
): Storage {
  return {
    rank,
    pointer,
    windowOffset: undefined,
    // An address that the addon refuses would leave the other ranks of a call waiting; one that it takes again is another's.
    assertLive: (name) => {
      const isFreed = owner?.isFreed || rank.refusal(pointer, numBytes) !== undefined;
      if (isFreed) throw stale(name, 'the memory that it pointed to was freed');
    },
    sealedReason: NOT_SEALED,
    seal: NOTHING_TO_DO,
    release: NOTHING_TO_DO,
  };
}

/** A view of the window, live until `staleReason` says otherwise, or the group starts over. */
export function windowStorage(
  rank: RankState,
  offset: bigint,
  numRecoveries: number,
  staleReason: () => string | undefined,
): Storage {
  let isSealed = false;
  return {
    rank,
    pointer: rank.windowBase + offset,
    windowOffset: offset,
    assertLive: (name) => {
      assertNotRecovered(rank, numRecoveries, name);
      const reason = staleReason();
      if (reason !== undefined) throw stale(name, reason);
    },
    sealedReason: () =>
      isSealed ? 'it was handed to combine, and peers may still be reading it' : undefined,
    seal: () => {
      isSealed = true;
    },
    release: NOTHING_TO_DO,
  };
}

function assertNotRecovered(rank: RankState, numRecoveries: number, name: string): void {
  if (rank.group.numRecoveries !== numRecoveries)
    throw stale(name, 'the group was recovered since');
}

function stale(name: string, reason: string): EpgenStaleError {
  return new EpgenStaleError(`Expected ${name} to be live, but ${reason}`);
}
