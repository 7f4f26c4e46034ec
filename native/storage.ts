import type { Allocation } from './allocation.js';
import type { ArenaBlock } from './arena-block.js';
import type { Arrival } from './arrival.js';
import { EpgenStaleError } from './errors.js';
import type { GraphMemory } from './graph-memory.js';
import type { PendingReceive } from './pending-receive.js';
import type { RankState } from './rank-state.js';
import type { WindowState } from './window-state.js';

/** The memory behind a tensor. */
export interface Storage {
  readonly rank: RankState;
  readonly pointer: bigint;
  /** Where it lies in a window of the rank, if it is a view of one: what a combine on that window can read in place. */
  readonly place: { readonly window: WindowState; readonly offset: bigint } | undefined;
  /** Throws where it must not be used any more; `name` is whose it is in the message. */
  assertLive(name: string): void;
  /** Throws what kept its first contents from arriving, if anything did. */
  assertNotLost(name: string): void;
  /** Why it must not be written any more; undefined while it may. */
  sealedReason(): string | undefined;
  /** Peers will read it from now on. */
  seal(): void;
  release(): void;
  /** The block of the arena that it is as a whole, if it is one. */
  readonly block?: ArenaBlock | undefined;
  /** The graph that it belongs to, and that alone gives it back, if it does. */
  readonly owner: GraphMemory | undefined;
}

const NOT_SEALED = (): undefined => undefined;
const NOTHING_TO_DO = (): void => undefined;

/** A whole block of the arena, which goes back with the tensor; `arrival` brings its first contents. */
export function blockStorage(block: ArenaBlock, arrival?: Arrival): Storage {
  return {
    rank: block.rank,
    pointer: block.pointer,
    place: undefined,
    assertLive: (name) => {
      block.owner?.assertLive(name);
      arrival?.assertNotLost(name);
    },
    assertNotLost: (name) => arrival?.assertNotLost(name),
    sealedReason: NOT_SEALED,
    seal: NOTHING_TO_DO,
    release: () => block.free(),
    block,
    owner: block.owner,
  };
}

/** Part of a handle's block, which the handle owns: it lives as long. */
export function handleStorage(block: ArenaBlock, offset: number, numRecoveries: number): Storage {
  const { rank } = block;
  return {
    rank,
    pointer: block.pointer + BigInt(offset),
    place: undefined,
    assertLive: (name) => {
      block.owner?.assertLive(name);
      if (block.isFreed) throw stale(name, 'its handle was disposed');
      assertNotRecovered(rank, numRecoveries, name);
    },
    assertNotLost: NOTHING_TO_DO,
    sealedReason: () => 'it belongs to a handle',
    seal: NOTHING_TO_DO,
    release: NOTHING_TO_DO,
    owner: block.owner,
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
    place: undefined,
    // An address that the addon refuses would leave the other ranks of a call waiting; one that it takes again is another's.
    assertLive: (name) => {
      const isFreed = owner?.isFreed || rank.refusal(pointer, numBytes) !== undefined;
      if (isFreed) throw stale(name, 'the memory that it pointed to was freed');
    },
    assertNotLost: NOTHING_TO_DO,
    sealedReason: NOT_SEALED,
    seal: NOTHING_TO_DO,
    release: NOTHING_TO_DO,
    owner: undefined,
  };
}

/** A view of the window, live until `staleReason` says otherwise, or the group starts over. */
export function windowStorage(
  window: WindowState,
  offset: bigint,
  numRecoveries: number,
  staleReason: () => string | undefined,
): Storage {
  const { rank } = window;
  const { capture } = rank.group;
  let isSealed = false;
  capture?.onReplay(() => {
    isSealed = false;
  });
  const seal = () => {
    isSealed = true;
    rank.group.capture?.onReplay(seal);
  };
  return {
    rank,
    pointer: window.base + offset,
    place: { window, offset },
    assertLive: (name) => {
      assertNotRecovered(rank, numRecoveries, name);
      if (capture?.isLive === false) throw stale(name, 'its graph has not been replayed yet');
      const reason = staleReason();
      if (reason !== undefined) throw stale(name, reason);
    },
    assertNotLost: NOTHING_TO_DO,
    sealedReason: () =>
      isSealed ? 'it was handed to combine, and peers may still be reading it' : undefined,
    seal,
    release: NOTHING_TO_DO,
    owner: capture?.memory,
  };
}

/** The same memory, of no use before `receive` was enqueued, if there is one. */
export function receivedStorage(storage: Storage, receive: PendingReceive | undefined): Storage {
  if (receive === undefined) return storage;
  return {
    ...storage,
    assertLive: (name) => {
      storage.assertLive(name);
      receive.assertEnqueued(name);
    },
  };
}

function assertNotRecovered(rank: RankState, numRecoveries: number, name: string): void {
  if (rank.group.numRecoveries !== numRecoveries)
    throw stale(name, 'the group was recovered since');
}

function stale(name: string, reason: string): EpgenStaleError {
  return new EpgenStaleError(`Expected ${name} to be live, but ${reason}`);
}
