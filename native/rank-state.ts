import type { Allocation } from './allocation.js';
import { Arrival } from './arrival.js';
import { EpgenArgumentError } from './errors.js';
import type { GroupState } from './group-state.js';
import { isExpertIndexError } from './raw-errors.js';

const ARENA_HINT =
  'dispose() tensors and handles that are not needed any more, or raise arenaBytes in the spec.';

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
  /** Each with what it goes back with; weak, so that it does go. */
  readonly #allocations = new Map<Allocation, WeakRef<object>>();

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

  /** A range of this rank's arena, for `holder`. */
  allocate(numBytes: number, holder: object): Allocation {
    const pointer = this.#tryToAllocate(numBytes) ?? this.#allocateAfterCollection(numBytes);
    const allocation = { pointer, numBytes, isFreed: false };
    this.#allocations.set(allocation, new WeakRef(holder));
    return allocation;
  }

  free(allocation: Allocation): void {
    if (!this.#allocations.delete(allocation)) return;
    allocation.isFreed = true;
    // A disposed group has given back its whole arena.
    if (!this.group.isDisposed) this.group.free(this.idx, allocation.pointer);
  }

  /** Whether memory lies in this rank's window. */
  isInWindow(pointer: bigint, numBytes: number): boolean {
    const { windowBytes } = this.group.description.sizes;
    return isWithin(pointer, numBytes, { pointer: this.windowBase, numBytes: windowBytes });
  }

  /** What memory of the arena lies in, as a whole. */
  allocationAt(pointer: bigint, numBytes: number): Allocation | undefined {
    for (const allocation of this.#allocations.keys()) {
      if (isWithin(pointer, numBytes, allocation)) return allocation;
    }
    return undefined;
  }

  /** Why the rank's calls can't use memory; undefined where they can. */
  refusal(pointer: bigint, numBytes: number): string | undefined {
    if (this.isInWindow(pointer, numBytes)) return undefined;
    if (this.allocationAt(pointer, numBytes)) return undefined;
    return this.group.callSync((raw) => raw.refusal(this.idx, pointer, numBytes)) ?? undefined;
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

  /** As {@link RankState.write}, for callers that do not wait. */
  writeLater(pointer: bigint, bytes: Uint8Array): Arrival {
    return this.follow(this.group.callSync((raw) => raw.write(this.idx, pointer, bytes)));
  }

  /** What was enqueued so far, copies above all, for callers that do not wait. */
  enqueuedSoFar(): Arrival {
    return this.follow(this.group.callSync((raw) => raw.synchronize(this.idx)));
  }

  /** Watches what the addon promised about values; the next caller who waits hears of an earlier call's error. */
  follow(pending: Promise<unknown>): Arrival {
    const arrival = new Arrival(this.group);
    // On the addon's own promise: what was lost is known before the recovery that follows has ended.
    pending.catch((error: unknown) => {
      const reported = this.group.errorFrom(error);
      // An index that the device found wrong is another call's; anything else kept the values from arriving.
      if (isExpertIndexError(error)) this.#keptError ??= reported;
      else arrival.lose(reported);
    });
    return arrival;
  }

  /** Undefined where the arena is full. */
  #tryToAllocate(numBytes: number): bigint | undefined {
    try {
      return this.#alloc(numBytes);
    } catch (error) {
      if (error instanceof EpgenArgumentError) return undefined;
      throw error;
    }
  }

  /** A small arena may be full of what nothing refers to, before the collector sees a reason to look. */
  #allocateAfterCollection(numBytes: number): bigint {
    this.group.callSync((raw) => raw.collectGarbage());
    for (const [allocation, holder] of this.#allocations) {
      if (holder.deref() === undefined) this.free(allocation);
    }
    try {
      return this.#alloc(numBytes);
    } catch (error) {
      if (!(error instanceof EpgenArgumentError)) throw error;
      throw new EpgenArgumentError(error.message, { cause: error, hint: ARENA_HINT });
    }
  }

  #alloc(numBytes: number): bigint {
    return this.group.callSync((raw) => raw.alloc(this.idx, numBytes));
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

function isWithin(
  pointer: bigint,
  numBytes: number,
  range: Pick<Allocation, 'pointer' | 'numBytes'>,
): boolean {
  const offset = pointer - range.pointer;
  return offset >= 0n && offset + BigInt(numBytes) <= BigInt(range.numBytes);
}
