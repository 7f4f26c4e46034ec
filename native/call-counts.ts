import type { RankState } from './rank-state.js';

interface Counts {
  readonly numDispatches: number;
  readonly numCombines: number;
  readonly numOutputClaims: number;
  readonly outputHolder: WeakRef<object> | undefined;
}

/** Counts the calls of one kind on a window: its buffers rotate with them. */
export class CallCounts {
  readonly rank: RankState;
  /** Where the number of dispatches is among those of a place; that of combines follows. */
  readonly #placeIdx: number;
  #recovery = 0;
  #counts: Counts = {
    numDispatches: 0,
    numCombines: 0,
    numOutputClaims: 0,
    outputHolder: undefined,
  };

  constructor(rank: RankState, placeIdx: number) {
    this.rank = rank;
    this.#placeIdx = placeIdx;
  }

  /** Dispatches enqueued since the group was opened or recovered. */
  get numDispatches(): number {
    this.#startOver();
    return this.#counts.numDispatches;
  }

  /** Combines enqueued since the group was opened or recovered. */
  get numCombines(): number {
    this.#startOver();
    return this.#counts.numCombines;
  }

  /** How often the next combine's input buffer changed hands; only the last holder may use it. */
  get numOutputClaims(): number {
    return this.#counts.numOutputClaims;
  }

  countDispatch(): void {
    const numDispatches = this.numDispatches + 1;
    this.#counts = { ...this.#counts, numDispatches };
    this.#rotates(0, () => this.countDispatch());
  }

  countCombine(): void {
    const numCombines = this.numCombines + 1;
    this.#counts = { ...this.#counts, numCombines };
    this.#rotates(1, () => this.countCombine());
  }

  /** For a capture: as if so many more calls had been made, until what this gives is called. */
  goAhead(numDispatches: number, numCombines: number): () => void {
    const counts = this.#counts;
    this.#counts = {
      ...counts,
      numDispatches: this.numDispatches + numDispatches,
      numCombines: this.numCombines + numCombines,
    };
    return () => {
      this.#counts = counts;
    };
  }

  /** Hands the next combine's input buffer to `holder`; a claim of another holder ends. */
  claimOutput(holder: object): number {
    const { outputHolder, numOutputClaims } = this.#counts;
    if (outputHolder?.deref() !== holder) {
      this.#counts = {
        ...this.#counts,
        numOutputClaims: numOutputClaims + 1,
        outputHolder: new WeakRef(holder),
      };
    }
    this.#rotates(1, () => this.claimOutput(holder));
    return this.#counts.numOutputClaims;
  }

  /** Whether the next combine's input buffer was handed to `holder` last, or to nobody. */
  isOutputFor(holder: object): boolean {
    const other = this.#counts.outputHolder?.deref();
    return other === undefined || other === holder;
  }

  /** Replays of what is being captured do `effect` too, and depend on one of the counts. */
  #rotates(count: number, effect: () => void): void {
    const { capture } = this.rank.group;
    capture?.rotates.add(this.#placeIdx + count);
    capture?.onReplay(effect);
  }

  #startOver(): void {
    // Buffers rotate with these counts, so that all ranks must start over from the same ones.
    const { numRecoveries } = this.rank.group;
    if (this.#recovery === numRecoveries) return;
    this.#recovery = numRecoveries;
    this.#counts = { ...this.#counts, numDispatches: 0, numCombines: 0 };
  }
}
