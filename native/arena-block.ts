import type { Allocation } from './allocation.js';
import type { GraphMemory } from './graph-memory.js';
import { Keepers, type Kept } from './keepers.js';
import type { PendingReceive } from './pending-receive.js';
import type { RankState } from './rank-state.js';

const forgotten = new FinalizationRegistry<() => void>((free) => free());

/** A block of a rank's arena; it goes back when it is freed, or else when nothing refers to it any more. */
export class ArenaBlock implements Kept {
  readonly rank: RankState;
  /** The graph that it belongs to and goes back with, if it does. */
  readonly owner: GraphMemory | undefined;
  /** Undefined for a block of no bytes. */
  readonly #allocation: Allocation | undefined;
  #isFreed = false;
  readonly #keepers = new Keepers();

  constructor(rank: RankState, numBytes: number) {
    this.rank = rank;
    const { capture } = rank.group;
    this.owner = capture?.memory;
    if (capture !== undefined) {
      this.#allocation = capture.allocate(rank, numBytes);
      return;
    }
    if (numBytes === 0) return;
    this.#allocation = rank.allocate(numBytes, this);
    forgotten.register(this, freeLater(rank, this.#allocation), this);
  }

  /** 256-byte aligned; 0 for a block of no bytes. */
  get pointer(): bigint {
    return this.#allocation?.pointer ?? 0n;
  }

  get isFreed(): boolean {
    return this.owner?.isFreed ?? this.#isFreed;
  }

  /** Gives the block back at once: work enqueued before keeps its order before whoever gets the block next. */
  free(): void {
    if (this.#isFreed || this.owner !== undefined) return;
    this.#isFreed = true;
    this.#giveBack();
  }

  /** Until the receive is enqueued, `free` gives nothing back. */
  keepFor(receive: PendingReceive): void {
    if (this.owner !== undefined) this.owner.keepFor(receive);
    else this.#keepers.add(receive);
  }

  letGo(): void {
    if (this.owner !== undefined) this.owner.letGo();
    else this.#giveBack();
  }

  #giveBack(): void {
    if (!this.#isFreed || this.#keepers.due !== undefined) return;
    forgotten.unregister(this);
    if (this.#allocation !== undefined) this.rank.free(this.#allocation);
  }
}

/** A function apart, so that what the registry holds does not refer to the block. */
function freeLater(rank: RankState, allocation: Allocation): () => void {
  return () => rank.free(allocation);
}

/** Allocates several blocks or none. */
export function allocateAll<K extends string>(
  rank: RankState,
  bytes: Readonly<Record<K, number>>,
): Record<K, ArenaBlock> {
  const blocks: Partial<Record<K, ArenaBlock>> = {};
  try {
    for (const name in bytes) blocks[name] = new ArenaBlock(rank, bytes[name]);
  } catch (error) {
    for (const block of Object.values<ArenaBlock | undefined>(blocks)) block?.free();
    throw error;
  }
  return blocks as Record<K, ArenaBlock>;
}
