import { EpgenArgumentError } from './errors.js';

/** Calls that all ranks take part in. */
export type CollectiveKind =
  | 'dispatch'
  | 'dispatch from a layout'
  | 'dispatch from a handle'
  | 'combine'
  | 'combine with topkWeights'
  | 'lowLatencyDispatch'
  | 'lowLatencyCombine';

interface Entry {
  /** Kind and window. */
  readonly call: string;
  /** Of the dispatch whose handle the call has, where it has one. */
  readonly dispatchName: string | undefined;
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

  /** Refuses another call than an earlier rank's at the same place in the sequence. */
  assertFits(rank: number, call: string, dispatchName?: string): void {
    const callIdx = this.#numCalls[rank] as number;
    const entry = this.#entries[callIdx - this.#numForgotten];
    if (entry === undefined) return;
    if (entry.call === call) {
      assertSameDispatch(`call ${callIdx + 1} of rank ${rank}`, dispatchName, entry);
      return;
    }
    throw new EpgenArgumentError(
      `Expected call ${callIdx + 1} of rank ${rank} to be ${entry.call}, as on rank ${entry.firstRank}, but received ${call}`,
      {
        hint: 'Every rank makes the same sequence of dispatch and combine calls, over all windows.',
      },
    );
  }

  numCalls(rank: number): number {
    return this.#numCalls[rank] as number;
  }

  append(rank: number, call: string, dispatchName?: string): void {
    const callIdx = this.#numCalls[rank] as number;
    if (callIdx === this.#numForgotten + this.#entries.length) {
      this.#entries.push({ call, dispatchName, firstRank: rank });
    }
    this.#numCalls[rank] = callIdx + 1;
    // A call that every rank has made is never compared again.
    const numCommon = Math.min(...this.#numCalls);
    this.#entries.splice(0, numCommon - this.#numForgotten);
    this.#numForgotten = numCommon;
  }
}

/** Refuses the handle of another dispatch than an earlier rank's: rows would go to each other's places, or come from there. */
export function assertSameDispatch(
  what: string,
  received: string | undefined,
  { dispatchName, firstRank }: Pick<Entry, 'dispatchName' | 'firstRank'>,
): void {
  if (received === undefined || dispatchName === undefined) return;
  if (received === dispatchName) return;
  throw new EpgenArgumentError(
    `Expected the handle of ${what} to be of ${dispatchName}, as on rank ${firstRank}, but received that of ${received}`,
    { hint: 'All ranks go along the handles of one and the same dispatch.' },
  );
}
