import type { PendingReceive } from './pending-receive.js';

/** Something that a receive needs until its hook has enqueued it, also where its owner has given it back before. */
export interface Kept {
  keepFor(receive: PendingReceive): void;
  /** A receive that needed it was enqueued, or given up. */
  letGo(): void;
}

/** The receives that need something. */
export class Keepers {
  #receives: readonly PendingReceive[] = [];

  add(receive: PendingReceive): void {
    this.#receives = [...this.#receives.filter(({ isDue }) => isDue), receive];
  }

  /** One that is still to come, if any is. */
  get due(): PendingReceive | undefined {
    return this.#receives.find(({ isDue }) => isDue);
  }
}
