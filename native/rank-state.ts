import { EpgenArgumentError } from './errors.js';
import type { GroupState } from './group-state.js';

const ARENA_HINT =
  'dispose() tensors and handles that are not needed any more, or raise arenaBytes in the spec.';

/** A write that nobody waits for. */
export interface LaterWrite {
  /** Whether the group gave up before it was done. */
  readonly isLost: boolean;
}

/** One rank's place in the group's sequence of calls. */
export class RankState {
  readonly group: GroupState;
  readonly idx: number;
  readonly windowBase: bigint;
  #recovery = 0;
  #numDispatches = 0;
  #numCombines = 0;
  #numOutputClaims = 0;
  #outputHolder: WeakRef<object> | undefined;
  #keptError: unknown;
  readonly #blocks = new Map<bigint, number>();

  constructor(group: GroupState, idx: number) {
    this.group = group;
    this.idx = idx;
    this.windowBase = group.callSync((raw) => raw.windowBase(idx));
  }

  /** Dispatches enqueued since the group was opened or recovered. */
  get numDispatches(): number {
    this.#startOver();
    return this.#numDispatches;
  }

  /** Combines enqueued since the group was opened or recovered. */
  get numCombines(): number {
    this.#startOver();
    return this.#numCombines;
  }

  /** How often the next combine's input buffer changed hands; only the last holder may use it. */
  get numOutputClaims(): number {
    return this.#numOutputClaims;
  }

  countDispatch(): void {
    this.#startOver();
    this.#numDispatches += 1;
  }

  countCombine(): void {
    this.#startOver();
    this.#numCombines += 1;
  }

  /** Hands the next combine's input buffer to `holder`; a claim of another holder ends. */
  claimOutput(holder: object): number {
    if (this.#outputHolder?.deref() !== holder) {
      this.#outputHolder = new WeakRef(holder);
      this.#numOutputClaims += 1;
    }
    return this.#numOutputClaims;
  }

  /** A block of this rank's arena. */
  allocate(numBytes: number): bigint {
    try {
      const pointer = this.group.callSync((raw) => raw.alloc(this.idx, numBytes));
      this.#blocks.set(pointer, numBytes);
      return pointer;
    } catch (error) {
      if (!(error instanceof EpgenArgumentError)) throw error;
      throw new EpgenArgumentError(error.message, { cause: error, hint: ARENA_HINT });
    }
  }

  free(pointer: bigint): void {
    this.#blocks.delete(pointer);
    // A disposed group has given back its whole arena.
    if (!this.group.isDisposed) this.group.free(this.idx, pointer);
  }

  /** Whether memory lies in the window or in one live block of the arena. */
  owns(pointer: bigint, numBytes: number): boolean {
    const { windowBytes } = this.group.description.sizes;
    if (isWithin(pointer, numBytes, this.windowBase, windowBytes)) return true;
    for (const [start, size] of this.#blocks) {
      if (isWithin(pointer, numBytes, start, size)) return true;
    }
    return false;
  }

  /** Reads after all work enqueued before; also tells of an error that no caller has heard of yet. */
  async read(pointer: bigint, numBytes: number): Promise<ArrayBuffer> {
    const buffer = await this.group.call((raw) => raw.read(this.idx, pointer, numBytes));
    this.#throwKeptError();
    return buffer;
  }

  /** Writes in order with other work; also tells of an error that no caller has heard of yet. */
  async write(pointer: bigint, bytes: Uint8Array): Promise<void> {
    await this.group.call((raw) => raw.write(this.idx, pointer, bytes));
    this.#throwKeptError();
  }

  /** As {@link RankState.write}, for callers that do not wait: the next one who does hears of an earlier call's error. */
  writeLater(pointer: bigint, bytes: Uint8Array): LaterWrite {
    const write = { isLost: false };
    this.group
      .call((raw) => raw.write(this.idx, pointer, bytes))
      .catch((error: unknown) => {
        // An index that the device found wrong is another call's; anything else kept the bytes from being written.
        if (error instanceof EpgenArgumentError) this.#keptError ??= error;
        else write.isLost = true;
      });
    return write;
  }

  #throwKeptError(): void {
    this.#startOver();
    const error = this.#keptError;
    this.#keptError = undefined;
    if (error !== undefined) throw error;
  }

  #startOver(): void {
    // Buffers rotate with these counts, so that all ranks must start over from the same ones.
    if (this.#recovery === this.group.numRecoveries) return;
    this.#recovery = this.group.numRecoveries;
    this.#numDispatches = 0;
    this.#numCombines = 0;
    this.#keptError = undefined;
  }
}

function isWithin(pointer: bigint, numBytes: number, start: bigint, size: number): boolean {
  return pointer >= start && pointer + BigInt(numBytes) <= start + BigInt(size);
}
