import type { ArenaBlock } from './arena-block.js';
import type { Capture } from './capture.js';
import { EpgenArgumentError, EpgenStaleError } from './errors.js';
import type { Kept } from './keepers.js';
import type { RankState } from './rank-state.js';
import type { Storage } from './storage.js';

/** What to do where a hook is missed: it may have become impossible, as where memory that it writes to was freed. */
export const HOOK_HINT =
  'Where that hook throws, await group.recover() gives its call up, and all that is under way.';

/** Of which call a receive is. */
interface Send {
  /** As `lowLatencyDispatch`. */
  readonly op: string;
  /** The window's calls of its kind before it. */
  readonly sequence: number;
  /** The memory of its handle. */
  readonly handle: ArenaBlock;
  /** Other memory that it reads and writes. */
  readonly memory: readonly NamedStorage[];
  /** What else has to last until then. */
  readonly others?: readonly (Kept | undefined)[];
}

/** A tensor's memory, and the tensor's name in messages. */
export interface NamedStorage {
  readonly name: string;
  readonly storage: Storage;
}

/** The receive of a call that was only sent: its hook enqueues it. */
export class PendingReceive {
  readonly sequence: number;
  readonly #rank: RankState;
  readonly #op: string;
  readonly #handle: bigint;
  readonly #capture: Capture | undefined;
  readonly #numRecoveries: number;
  #isEnqueued = false;
  #isGivenUp = false;
  // All three only while it is due: views of what it brings refer to it as long as they live.
  #kept: readonly Kept[];
  /** Memory of others, which nothing here can keep. */
  #borrowed: readonly NamedStorage[];
  #enqueue: (() => void) | undefined;

  constructor(rank: RankState, { op, sequence, handle, memory, others = [] }: Send) {
    this.sequence = sequence;
    this.#rank = rank;
    this.#op = op;
    this.#handle = handle.pointer;
    // Not what tensors say: they may be disposed until then.
    const holders = memory.map(({ storage }) => storage.block ?? rank.holderAt(storage.pointer));
    this.#kept = [handle, ...holders, ...others].filter((kept) => kept !== undefined);
    this.#borrowed = memory.filter((_, i) => holders[i] === undefined);
    this.#capture = rank.group.capture;
    this.#numRecoveries = rank.group.numRecoveries;
    for (const kept of this.#kept) kept.keepFor(this);
    this.#capture?.awaitHook(this);
    if (this.#capture === undefined) rank.group.addReceive(this);
  }

  /** Whether it is still to come. */
  get isDue(): boolean {
    return !this.#isEnqueued && !this.#isGivenUp && !this.#isRecovered;
  }

  /** Whether its handle lies in that memory. */
  isOf(handle: ArenaBlock): boolean {
    return this.#handle === handle.pointer;
  }

  /** Its call, in words. */
  get call(): string {
    return `${this.#op} on rank ${this.#rank.idx}`;
  }

  /** Throws as long as it was not enqueued; `name` is what it brings. */
  assertEnqueued(name: string): void {
    if (this.#isEnqueued) return;
    if (this.isDue) {
      throw new EpgenArgumentError(
        `Expected ${name} to have been received, but the hook of its ${this.#op} was not called: call its hook first`,
        { hint: HOOK_HINT },
      );
    }
    const end = this.#isRecovered ? 'the group was recovered' : 'its capture failed';
    throw new EpgenStaleError(
      `Expected ${name} to be live, but ${end} before the hook of its ${this.#op} was called`,
    );
  }

  /** What runs `enqueue`, once. */
  hook(enqueue: () => void): () => void {
    this.#enqueue = enqueue;
    return () => this.#receive();
  }

  /** It will not come: the group starts over without it, or its capture failed. */
  giveUp(): void {
    this.#isGivenUp = true;
    this.#letGo();
  }

  #receive(): void {
    if (this.#isEnqueued) return;
    this.#assertUsable();
    for (const { storage, name } of this.#borrowed) assertThere(storage, name);
    this.#enqueue?.();
    this.#isEnqueued = true;
    this.#rank.group.removeReceive(this);
    this.#letGo();
  }

  #letGo(): void {
    const kept = this.#kept;
    this.#kept = [];
    this.#borrowed = [];
    this.#enqueue = undefined;
    for (const one of kept) one.letGo();
  }

  get #isRecovered(): boolean {
    return this.#rank.group.numRecoveries !== this.#numRecoveries;
  }

  #assertUsable(): void {
    const { group } = this.#rank;
    group.assertOpen('the hook');
    if (this.#isRecovered) {
      throw new EpgenStaleError(
        `Expected the hook to be live, but the group was recovered since its ${this.#op}`,
      );
    }
    if (group.capture === this.#capture) {
      group.assertUsable();
      return;
    }
    group.refuseInCapture('the hook of a call that was made elsewhere');
    throw new EpgenArgumentError(
      `Expected the hook of a captured ${this.#op} to be called in the function of group.capture`,
    );
  }
}

function assertThere(storage: Storage, name: string): void {
  try {
    storage.assertLive(name);
  } catch (error) {
    if (!(error instanceof EpgenStaleError)) throw error;
    const hint = 'The call can not be received any more: await group.recover() gives it up.';
    throw new EpgenStaleError(error.message, { hint, cause: error });
  }
}
