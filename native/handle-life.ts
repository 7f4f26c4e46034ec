import type { ArenaBlock } from './arena-block.js';
import { EpgenArgumentError, EpgenStaleError } from './errors.js';

/** How long a handle may be used: until it is disposed, its graph is, or the group recovers. */
export class HandleLife {
  readonly #block: ArenaBlock;
  readonly #numRecoveries: number;
  #isDisposed = false;

  constructor(block: ArenaBlock, numRecoveries: number) {
    this.#block = block;
    this.#numRecoveries = numRecoveries;
  }

  /** Throws where it must not be used any more; `name` is its in the message. A call that is being captured uses it from now on. */
  assertUsable(name: string): void {
    const { owner, rank } = this.#block;
    const { group } = rank;
    group.assertOpen(name);
    if (this.#isDisposed) {
      throw new EpgenArgumentError(
        `Expected ${name} to be a live handle but received one that was disposed`,
      );
    }
    if (group.numRecoveries !== this.#numRecoveries) {
      throw new EpgenStaleError(
        `Expected ${name} to be live, but the group was recovered since its dispatch`,
      );
    }
    owner?.assertLive(name);
    group.capture?.use(this, owner, () => this.assertUsable(name));
  }

  /** Gives the memory back, where it is not a graph's. Safe to repeat. */
  dispose(): void {
    const { owner, rank } = this.#block;
    if (this.#isDisposed || owner !== undefined) return;
    rank.group.refuseInCapture('dispose() of a handle');
    this.#isDisposed = true;
    this.#block.free();
  }
}
