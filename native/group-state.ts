import type { RawGroup } from './addon-types.js';
import { CallLog } from './call-log.js';
import type { Capture } from './capture.js';
import { type Dimensions, dimensionsOf } from './dimensions.js';
import { EpgenError } from './errors.js';
import type { Place } from './graph-place.js';
import type { PendingReceive } from './pending-receive.js';
import { errorFromRaw } from './raw-errors.js';
import type { ModuleDescription } from './spec-types.js';

/** What a group's ranks, tensors and handles share. */
export class GroupState {
  readonly description: ModuleDescription;
  readonly dims: Dimensions;
  readonly backend: 'cpu' | 'cuda';
  readonly numWindows: number;
  readonly #raw: RawGroup;
  #log: CallLog;
  #phase: 'open' | 'recovering' | 'disposed' = 'open';
  #numRecoveries = 0;
  #numFailures = 0;
  #recovery: Promise<void> | undefined;
  #capture: Capture | undefined;
  /** Of calls that were sent, and whose hooks were not called. */
  readonly #receives = new Set<PendingReceive>();

  constructor(
    description: ModuleDescription,
    raw: RawGroup,
    { backend, numWindows }: { backend: 'cpu' | 'cuda'; numWindows: number },
  ) {
    this.description = description;
    this.numWindows = numWindows;
    this.dims = dimensionsOf(description);
    this.backend = backend;
    this.#raw = raw;
    this.#log = new CallLog(this.dims.numRanks);
  }

  get log(): CallLog {
    return this.#capture?.log ?? this.#log;
  }

  /** Where calls go while group.capture runs its function; undefined else. */
  get capture(): Capture | undefined {
    return this.#capture;
  }

  setCapture(capture: Capture | undefined): void {
    this.#capture = capture;
  }

  /** Throws inside of group.capture's function; `what` was called there, and `hint` is what to do instead. */
  refuseInCapture(what: string, hint?: string): void {
    this.#capture?.refuse(what, hint);
  }

  /** How many buffers there are of what rotates with the numbers of a place. */
  get rotation(): Place {
    const { recvX, output, llRecvX, llOutput } = this.description.sizes.regions;
    const ofWindow = [recvX, output, llRecvX, llOutput].map((region) => region?.numBuffers ?? 1);
    return Array.from({ length: this.numWindows }, () => ofWindow).flat();
  }

  /** How often the group has started over; views and handles from before a recovery are stale. */
  get numRecoveries(): number {
    return this.#numRecoveries;
  }

  /** How many of the recoveries followed a failure. */
  get numFailures(): number {
    return this.#numFailures;
  }

  get isDisposed(): boolean {
    return this.#phase === 'disposed';
  }

  /** The addon's group, while it may be used. */
  get raw(): RawGroup {
    this.assertOpen();
    return this.#raw;
  }

  /** Throws where the group takes no calls; `name` is what of the group is used, which need not be the group's own call. */
  assertOpen(name?: string): void {
    if (this.#phase === 'disposed') {
      const message =
        name === undefined
          ? 'The group was disposed: open another one.'
          : `Expected ${name} to be live, but its group was disposed`;
      throw new EpgenError('EPGEN_DISPOSED', message);
    }
    if (this.#phase === 'recovering') {
      throw new EpgenError(
        'EPGEN_ABORTED',
        'The group is recovering: await group.recover() first.',
      );
    }
  }

  /**
   * Throws where the group takes no calls, because it gave up above all: asked before all that a call is checked for, since
   * what else is wrong with it then may well follow from that.
   */
  assertUsable(): void {
    this.callSync((raw) => raw.assertUsable());
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

  /** Also while the group recovers, never after it was disposed. */
  closeStream(rank: number, stream: number): void {
    this.#raw.closeStream(rank, stream);
  }

  /** Ends a graph of the addon; nothing to do once the group was disposed. */
  freeGraph(graph: number): void {
    if (!this.isDisposed) this.#raw.freeGraph(graph);
  }

  /** A recovery makes it let go of its memory. */
  addReceive(receive: PendingReceive): void {
    this.#receives.add(receive);
  }

  removeReceive(receive: PendingReceive): void {
    this.#receives.delete(receive);
  }

  /** Starts over; one who comes while that is under way waits for the same. */
  recover(): Promise<void> {
    this.refuseInCapture('group.recover');
    this.#recovery ??= this.#startOver().finally(() => {
      this.#recovery = undefined;
    });
    return this.#recovery;
  }

  async #startOver(): Promise<void> {
    await this.call(async (raw) => {
      this.#phase = 'recovering';
      const hasFailed = hasGivenUp(raw);
      try {
        await raw.reset(0);
        this.#numRecoveries += 1;
        if (hasFailed) this.#numFailures += 1;
        this.#log = new CallLog(this.dims.numRanks);
        for (const receive of this.#receives) receive.giveUp();
        this.#receives.clear();
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

function hasGivenUp(raw: RawGroup): boolean {
  try {
    raw.assertUsable();
    return false;
  } catch {
    return true;
  }
}
