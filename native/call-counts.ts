import type { RankState } from './rank-state.js';

/** How many calls of each kind there were, or come before the next. */
export interface NumCalls {
  readonly dispatches: number;
  readonly combines: number;
}

const NO_CALLS: NumCalls = { dispatches: 0, combines: 0 };

/** Counts a window's dispatches and combines, with high throughput or with low latency: its buffers rotate with them. */
export class CallCounts {
  readonly rank: RankState;
  /** Where the number of dispatches is among those of a place; that of combines follows. */
  readonly #placeIdx: number;
  #recovery = 0;
  #counts = NO_CALLS;

  constructor(rank: RankState, placeIdx: number) {
    this.rank = rank;
    this.#placeIdx = placeIdx;
  }

  /** Dispatches enqueued since the group was opened or recovered. */
  get numDispatches(): number {
    this.#startOver();
    return this.#counts.dispatches;
  }

  /** Combines enqueued since the group was opened or recovered. */
  get numCombines(): number {
    this.#startOver();
    return this.#counts.combines;
  }

  countDispatch(): void {
    this.#counts = { ...this.#counts, dispatches: this.numDispatches + 1 };
    this.#rotates(0);
    this.rank.group.capture?.onReplay(() => this.countDispatch());
  }

  countCombine(): void {
    this.#counts = { ...this.#counts, combines: this.numCombines + 1 };
    this.usesCombineBuffer();
    this.rank.group.capture?.onReplay(() => this.countCombine());
  }

  /** What is being captured depends on which buffer is the next combine's. */
  usesCombineBuffer(): void {
    this.#rotates(1);
  }

  /** For a capture: as if so many more calls had been made, until what this gives is called. */
  goAhead({ dispatches, combines }: NumCalls): () => void {
    const counts = this.#counts;
    this.#counts = {
      dispatches: this.numDispatches + dispatches,
      combines: this.numCombines + combines,
    };
    return () => {
      this.#counts = counts;
    };
  }

  #rotates(count: number): void {
    this.rank.group.capture?.rotates.add(this.#placeIdx + count);
  }

  #startOver(): void {
    // Buffers rotate with these counts, so that all ranks must start over from the same ones.
    const { numRecoveries } = this.rank.group;
    if (this.#recovery === numRecoveries) return;
    this.#recovery = numRecoveries;
    this.#counts = NO_CALLS;
  }
}
