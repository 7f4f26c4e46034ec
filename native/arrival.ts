import { EpgenStaleError } from './errors.js';
import type { GroupState } from './group-state.js';

/** Values on their way into a block, which nobody waits for. */
export class Arrival {
  readonly #group: GroupState;
  readonly #numRecoveries: number;
  #loss: { readonly error: unknown } | undefined;

  constructor(group: GroupState) {
    this.#group = group;
    this.#numRecoveries = group.numRecoveries;
  }

  /** They will never be there, because of `error`. */
  lose(error: unknown): void {
    this.#loss = { error };
  }

  /** Throws where they got lost: what went wrong, or once that is history, {@link EpgenStaleError}. */
  assertNotLost(name: string): void {
    if (this.#loss === undefined) return;
    const { error } = this.#loss;
    if (this.#group.numRecoveries === this.#numRecoveries) throw error;
    throw new EpgenStaleError(
      `Expected ${name} to be live, but the group gave up before its values were written`,
      { cause: error },
    );
  }
}
