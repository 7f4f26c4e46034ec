import type { ArenaBlock } from './arena-block.js';
import type { LaterWrite, RankState } from './rank-state.js';

/** The memory behind a tensor. */
export interface Storage {
  readonly rank: RankState;
  readonly pointer: bigint;
  /** Where it lies in the rank's window, if it does: what a combine can read in place. */
  readonly windowOffset: bigint | undefined;
  /** Why it must not be used any more; undefined while it may. */
  staleReason(): string | undefined;
  /** Why it must not be written any more; undefined while it may. */
  sealedReason(): string | undefined;
  /** Peers will read it from now on. */
  seal(): void;
  release(): void;
}

const NOT_SEALED = (): undefined => undefined;
const NOTHING_TO_DO = (): void => undefined;

/** A whole block of the arena, which goes back with the tensor; `write` brings its first contents. */
export function blockStorage(block: ArenaBlock, write?: LaterWrite): Storage {
  return {
    rank: block.rank,
    pointer: block.pointer,
    windowOffset: undefined,
    staleReason: () =>
      write?.isLost ? 'the group gave up before its values were written' : undefined,
    sealedReason: NOT_SEALED,
    seal: NOTHING_TO_DO,
    release: () => block.free(),
  };
}

/** Part of a handle's block, which the handle owns. */
export function handleStorage(block: ArenaBlock, offset: number): Storage {
  return {
    rank: block.rank,
    pointer: block.pointer + BigInt(offset),
    windowOffset: undefined,
    staleReason: () => (block.isFreed ? 'its handle was disposed' : undefined),
    sealedReason: () => 'it belongs to a handle',
    seal: NOTHING_TO_DO,
    release: NOTHING_TO_DO,
  };
}

/** Memory of the rank whose contents the caller answers for. */
export function borrowedStorage(rank: RankState, pointer: bigint, numBytes: number): Storage {
  return {
    rank,
    pointer,
    windowOffset: undefined,
    // An address that the addon refuses would leave the other ranks of a call waiting.
    staleReason: () =>
      rank.owns(pointer, numBytes) ? undefined : 'the tensor that it pointed into was freed',
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
    staleReason: () =>
      rank.group.numRecoveries === numRecoveries ? staleReason() : 'the group was recovered since',
    sealedReason: () =>
      isSealed ? 'it was handed to combine, and peers may still be reading it' : undefined,
    seal: () => {
      isSealed = true;
    },
    release: NOTHING_TO_DO,
  };
}
