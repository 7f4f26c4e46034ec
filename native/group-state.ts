import type { RawGroup } from './addon-types.js';
import { CallLog } from './call-log.js';
import { type Dimensions, dimensionsOf } from './dimensions.js';
import { EpgenError } from './errors.js';
import { errorFromRaw } from './raw-errors.js';
import type { ModuleDescription } from './spec-types.js';

/** What a group's ranks, tensors and handles share. */
export class GroupState {
  readonly description: ModuleDescription;
  readonly dims: Dimensions;
  readonly backend: 'cpu' | 'cuda';
  readonly #raw: RawGroup;
  #log: CallLog;
  #phase: 'open' | 'recovering' | 'disposed' = 'open';
  #numRecoveries = 0;
  #recovery: Promise<void> | undefined;

  constructor(description: ModuleDescription, raw: RawGroup, backend: 'cpu' | 'cuda') {
    this.description = description;
    this.dims = dimensionsOf(description);
    this.backend = backend;
    this.#raw = raw;
    this.#log = new CallLog(this.dims.numRanks);
  }

  get log(): CallLog {
    return this.#log;
  }

  /** How often the group has started over; views and handles from before a recovery are stale. */
  get numRecoveries(): number {
    return this.#numRecoveries;
  }

  get isDisposed(): boolean {
    return this.#phase === 'disposed';
  }

  /** The addon's group, while it may be used. */
  get raw(): RawGroup {
    this.assertOpen();
    return this.#raw;
  }

  assertOpen(): void {
    if (this.#phase === 'disposed') {
      throw new EpgenError('EPGEN_DISPOSED', 'The group was disposed: open another one.');
    }
    if (this.#phase === 'recovering') {
      throw new EpgenError(
        'EPGEN_ABORTED',
        'The group is recovering: await group.recover() first.',
      );
    }
  }

  /** Calls the addon; its errors come out as epgen's. */
  async call<T>(run: (raw: RawGroup) => Promise<T>): Promise<T> {
    return this.settle(this.callSync(run));
  }

  /** Waits for what the addon promised; its errors come out as epgen's. */
  async settle<T>(pending: Promise<T>): Promise<T> {
    try {
      return await pending;
    } catch (error) {
      throw this.errorFrom(error);
    }
  }

  /** As {@link GroupState.call}, for what the addon does at once. */
  callSync<T>(run: (raw: RawGroup) => T): T {
    const { raw } = this;
    try {
      return run(raw);
    } catch (error) {
      throw this.errorFrom(error);
    }
  }

  /** epgen's error for one of the addon's. */
  errorFrom(error: unknown): unknown {
    return errorFromRaw(error, this.dims);
  }

  /** Gives a block of a rank's arena back; also while the group recovers, never after it was disposed. */
  free(rank: number, pointer: bigint): void {
    this.#raw.free(rank, pointer);
  }

  /** Starts over; one who comes while that is under way waits for the same. */
  recover(): Promise<void> {
    this.#recovery ??= this.#startOver().finally(() => {
      this.#recovery = undefined;
    });
    return this.#recovery;
  }

  async #startOver(): Promise<void> {
    await this.call(async (raw) => {
      this.#phase = 'recovering';
      try {
        await raw.reset(0);
        this.#numRecoveries += 1;
        this.#log = new CallLog(this.dims.numRanks);
      } finally {
        if (this.#phase === 'recovering') this.#phase = 'open';
      }
    });
  }

  async dispose(): Promise<void> {
    this.#phase = 'disposed';
    await this.settle(this.#raw.dispose());
  }
}
