import type { RankState } from './rank-state.js';

const forgotten = new FinalizationRegistry<() => void>((free) => free());

/** A block of a rank's arena; it goes back when it is freed, or else when nothing refers to it any more. */
export class ArenaBlock {
  readonly rank: RankState;
  /** 256-byte aligned; 0 for a block of no bytes. */
  readonly pointer: bigint;
  #isFreed = false;

  constructor(rank: RankState, numBytes: number) {
    this.rank = rank;
    this.pointer = numBytes === 0 ? 0n : rank.allocate(numBytes);
    if (numBytes > 0) forgotten.register(this, freeLater(rank, this.pointer), this);
  }

  get isFreed(): boolean {
    return this.#isFreed;
  }

  /** Gives the block back at once: work enqueued before keeps its order before whoever gets the block next. */
  free(): void {
    if (this.#isFreed) return;
    this.#isFreed = true;
    forgotten.unregister(this);
    if (this.pointer !== 0n) this.rank.free(this.pointer);
  }
}

/** A function apart, so that what the registry holds does not refer to the block. */
function freeLater(rank: RankState, pointer: bigint): () => void {
  return () => rank.free(pointer);
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
