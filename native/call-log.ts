import { EpgenArgumentError } from './errors.js';

/** Calls that all ranks take part in. */
export type CollectiveKind = 'dispatch' | 'combine';

interface Entry {
  readonly kind: CollectiveKind;
  /** The rank that made this call first. */
  readonly firstRank: number;
}

/**
 * Remembers the group's sequence of collective calls: a rank that leaves it would wait for words that no peer sends,
 * so it is refused before anything is launched.
 */
export class CallLog {
  readonly #numCalls: number[];
  #numForgotten = 0;
  #entries: Entry[] = [];

  constructor(numRanks: number) {
    this.#numCalls = Array.from({ length: numRanks }, () => 0);
  }

  /** Refuses a call of another kind than an earlier rank's call at the same place in the sequence. */
  assertFits(rank: number, kind: CollectiveKind): void {
    const callIdx = this.#numCalls[rank] as number;
    const entry = this.#entries[callIdx - this.#numForgotten];
    if (entry === undefined || entry.kind === kind) return;
    throw new EpgenArgumentError(
      `Expected call ${callIdx + 1} of rank ${rank} to be ${entry.kind}, as on rank ${entry.firstRank}, but received ${kind}`,
      { hint: 'Every rank makes the same sequence of dispatch and combine calls.' },
    );
  }

  append(rank: number, kind: CollectiveKind): void {
    const callIdx = this.#numCalls[rank] as number;
    if (callIdx === this.#numForgotten + this.#entries.length) {
      this.#entries.push({ kind, firstRank: rank });
    }
    this.#numCalls[rank] = callIdx + 1;
    // A call that every rank has made is never compared again.
    const numCommon = Math.min(...this.#numCalls);
    this.#entries.splice(0, numCommon - this.#numForgotten);
    this.#numForgotten = numCommon;
  }
}
