import type { CallCounts } from './call-counts.js';
import { EpgenArgumentError } from './errors.js';

interface Claim {
  /** Of the handle that got the buffer. Collecting that handle does not make its rows another's. */
  readonly dispatchName: string;
  /** Which combine's the buffer is, and since when. */
  readonly numCombines: number;
  readonly numRecoveries: number;
}

/** What messages call the method that hands the buffer out, and the calls that take it. */
interface Words {
  readonly method: string;
  readonly aCombine: string;
}

/** Whom the input buffer of a window's next combine was handed to: the handle of one dispatch at a time. */
export class BufferClaims {
  readonly #counts: CallCounts;
  readonly #words: Words;
  #newest: Claim | undefined;

  constructor(counts: CallCounts, words: Words) {
    this.#counts = counts;
    this.#words = words;
  }

  /** Hands the buffer to the handle of a dispatch, and takes it from another's; the result says why that is over, once it is. */
  claim(dispatchName: string): () => string | undefined {
    const { rank } = this.#counts;
    const { capture } = rank.group;
    let claim = this.#claim(dispatchName);
    this.#counts.usesCombineBuffer();
    capture?.onReplay(() => {
      claim = this.#claim(dispatchName);
    });
    const { method, aCombine } = this.#words;
    return () => {
      const { capture: current } = rank.group;
      if (current !== undefined && current !== capture) {
        return `it was taken before the function of group.capture was called, for one of the buffers that combines take turns with: take ${method}(handle) inside the function`;
      }
      if (this.#counts.numCombines !== claim.numCombines) {
        return `${aCombine} was enqueued on rank ${rank.idx} since: take ${method}(handle) again`;
      }
      if (this.#newest !== claim) {
        return `${method} was called for another handle on rank ${rank.idx} since, and both share one buffer`;
      }
      return undefined;
    };
  }

  /** Refuses the buffer as `path`x where another handle has it: its rows lie elsewhere. */
  assertFor(dispatchName: string, path: string): void {
    const claim = this.#newest;
    if (claim === undefined || !this.#isCurrent(claim)) return;
    if (claim.dispatchName === dispatchName) return;
    throw new EpgenArgumentError(
      `Expected ${path}x to be the buffer of ${path}handle but received what ${this.#words.method} gave for another handle`,
    );
  }

  /** For a capture: what it claims matters to its replays; what was claimed before is back once this result is called. */
  setAside(): () => void {
    const claim = this.#newest;
    return () => {
      this.#newest = claim;
    };
  }

  #claim(dispatchName: string): Claim {
    const { numCombines, rank } = this.#counts;
    const { numRecoveries } = rank.group;
    const before = this.#newest;
    if (before?.dispatchName === dispatchName && this.#isCurrent(before)) return before;
    this.#newest = { dispatchName, numCombines, numRecoveries };
    return this.#newest;
  }

  #isCurrent({ numCombines, numRecoveries }: Claim): boolean {
    const { numCombines: current, rank } = this.#counts;
    return numCombines === current && numRecoveries === rank.group.numRecoveries;
  }
}
