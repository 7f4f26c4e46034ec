import type { Allocation } from './allocation.js';
import { Arrival } from './arrival.js';
import { EpgenArgumentError } from './errors.js';
import { NUMBERS_PER_WINDOW, type Place } from './graph-place.js';
import type { GroupState } from './group-state.js';
import type { Kept } from './keepers.js';
import { isEarlierCallError } from './raw-errors.js';
import { MAIN_STREAM, type Resource, StreamOrder } from './stream-order.js';
import { windowResource } from './window-resources.js';
import { WindowState } from './window-state.js';

const ARENA_HINT =
  'dispose() tensors and handles that are not needed any more, or raise arenaBytes in the spec.';

const OTHER_MEMORY: Resource = 'memory of others';

/** One rank: its memory, its streams, and what its calls have left to be told. */
export class RankState {
  readonly group: GroupState;
  readonly idx: number;
  readonly windows: readonly WindowState[];
  readonly order: StreamOrder;
  #failure = 0;
  #keptError: unknown;
  /** Each with what it goes back with; weak, so that it does go. */
  readonly #allocations = new Map<Allocation, WeakRef<Kept>>();

  constructor(group: GroupState, idx: number) {
    this.group = group;
    this.idx = idx;
    this.windows = Array.from({ length: group.numWindows }, (_, w) => new WindowState(this, w));
    this.order = new StreamOrder(group, idx);
  }

  /** How far the rank's sequence of calls has come. */
  get place(): Place {
    return this.windows.flatMap(({ place }) => place);
  }

  /** For a capture: as if more calls had been made, until what this gives is called. */
  goAhead(ahead: Place): () => void {
    const goBack = this.windows.map((window, w) =>
      window.goAheadBy(ahead.slice(w * NUMBERS_PER_WINDOW, (w + 1) * NUMBERS_PER_WINDOW)),
    );
    return () => {
      for (const back of goBack) back();
    };
  }

  /** A range of this rank's arena, for `holder`. */
  allocate(numBytes: number, holder: Kept): Allocation {
    const pointer = this.#tryToAllocate(numBytes) ?? this.#allocateAfterCollection(numBytes);
    const allocation = { pointer, numBytes, isFreed: false };
    this.#allocations.set(allocation, new WeakRef(holder));
    this.order.allocate(allocation);
    return allocation;
  }

  free(allocation: Allocation): void {
    if (!this.#allocations.delete(allocation)) return;
    allocation.isFreed = true;
    this.order.free(allocation);
    // A disposed group has given back its whole arena.
    if (!this.group.isDisposed) this.group.free(this.idx, allocation.pointer);
  }

  /** The rank's window that memory lies in. */
  windowAt(pointer: bigint, numBytes: number): WindowState | undefined {
    const { windowBytes } = this.group.description.sizes;
    return this.windows.find(({ base }) =>
      isWithin(pointer, numBytes, { pointer: base, numBytes: windowBytes }),
    );
  }

  /** What memory of the arena lies in, as a whole. */
  allocationAt(pointer: bigint, numBytes: number): Allocation | undefined {
    for (const allocation of this.#allocations.keys()) {
      if (isWithin(pointer, numBytes, allocation)) return allocation;
    }
    return undefined;
  }

  /** What gives memory of the arena back, with all that it lies in. */
  holderAt(pointer: bigint): Kept | undefined {
    const allocation = this.allocationAt(pointer, 1);
    return allocation && this.#allocations.get(allocation)?.deref();
  }

  /** Why the rank's calls can't use memory; undefined where they can. */
  refusal(pointer: bigint, numBytes: number): string | undefined {
    if (this.windowAt(pointer, numBytes)) return undefined;
    if (this.allocationAt(pointer, numBytes)) return undefined;
    return this.group.callSync((raw) => raw.refusal(this.idx, pointer, numBytes)) ?? undefined;
  }

  /** Reads after all work enqueued before; also tells of an error that no caller has heard of yet. */
  async read(pointer: bigint, numBytes: number): Promise<ArrayBuffer> {
    this.group.refuseInCapture('what reads memory');
    const pending = this.order.perform(
      MAIN_STREAM,
      () => ({ reads: this.resourcesAt(pointer), writes: [] }),
      () => this.group.call((raw) => raw.read(this.idx, pointer, numBytes)),
    );
    const buffer = await pending;
    this.throwKeptError();
    return buffer;
  }

  /** Writes in order with other work; also tells of an error that no caller has heard of yet. */
  async write(pointer: bigint, bytes: Uint8Array): Promise<void> {
    this.group.refuseInCapture('what writes memory');
    await this.group.settle(this.#write(pointer, bytes));
    this.throwKeptError();
  }

  /** As {@link RankState.write}, for callers that do not wait. */
  writeLater(pointer: bigint, bytes: Uint8Array): Arrival {
    return this.follow(this.#write(pointer, bytes));
  }

  /** Copies memory in the order of a stream. */
  copy(to: bigint, from: bigint, numBytes: number, stream: number = MAIN_STREAM): void {
    this.order.perform(
      stream,
      () => ({ reads: this.resourcesAt(from), writes: this.resourcesAt(to) }),
      () => this.group.callSync((raw) => raw.copy(this.idx, to, from, numBytes, stream)),
    );
  }

  /** What lies at an address, as streams tell it apart: memory that is not the rank's own is all one. */
  resourcesAt(pointer: bigint | undefined): Resource[] {
    if (pointer === undefined || pointer === 0n) return [];
    const window = this.windowAt(pointer, 1);
    if (window !== undefined) return [windowResource(window, Number(pointer - window.base))];
    const allocation = this.allocationAt(pointer, 1);
    return [allocation ?? OTHER_MEMORY];
  }

  /** Resolves when everything enqueued so far has ended; also tells of an error that no caller has heard of yet. */
  async ended(): Promise<void> {
    await this.group.call((raw) => raw.synchronize(this.idx));
    this.throwKeptError();
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
      if (isEarlierCallError(error)) this.#keptError ??= reported;
      else arrival.lose(reported);
    });
    return arrival;
  }

  #write(pointer: bigint, bytes: Uint8Array): Promise<void> {
    return this.order.perform(
      MAIN_STREAM,
      () => ({ reads: [], writes: this.resourcesAt(pointer) }),
      () => this.group.callSync((raw) => raw.write(this.idx, pointer, bytes)),
    );
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

  /** Tells of what a call found wrong that nobody waited for. */
  throwKeptError(): void {
    this.#forgetAfterFailure();
    const error = this.#keptError;
    this.#keptError = undefined;
    if (error !== undefined) throw error;
  }

  /** Where a group goes on as before, somebody has yet to hear of it. */
  #forgetAfterFailure(): void {
    if (this.#failure === this.group.numFailures) return;
    this.#failure = this.group.numFailures;
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
