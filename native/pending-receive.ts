import type { ArenaBlock } from './arena-block.js';
import type { Capture } from './capture.js';
import { EpgenArgumentError, EpgenStaleError } from './errors.js';
import type { RankState } from './rank-state.js';

/** Of which call a receive is. */
interface Send {
  /** As `lowLatencyDispatch`. */
  readonly op: string;
  /** The window's calls of its kind before it. */
  readonly sequence: number;
  /** The memory of its handle. */
  readonly handle: ArenaBlock;
  /** Other memory of the arena that it reads and writes: kept until then, also where its tensor is disposed. */
  readonly others?: readonly (ArenaBlock | undefined)[];
}

/** The receive of a call that was only sent: its hook enqueues it. */
export class PendingReceive {
  readonly sequence: number;
  readonly #rank: RankState;
  readonly #op: string;
  readonly #handle: ArenaBlock;
  readonly #blocks: readonly ArenaBlock[];
  readonly #capture: Capture | undefined;
  readonly #numRecoveries: number;
  #isEnqueued = false;

  constructor(rank: RankState, { op, sequence, handle, others = [] }: Send) {
    this.sequence = sequence;
    this.#rank = rank;
    this.#op = op;
    this.#handle = handle;
    this.#blocks = [handle, ...others.filter((block) => block !== undefined)];
    this.#capture = rank.group.capture;
    this.#numRecoveries = rank.group.numRecoveries;
    for (const block of this.#blocks) block.keepFor(this);
    this.#capture?.awaitHook(this);
    if (this.#capture === undefined) rank.group.addReceive(this);
  }

  /** Whether it is still to come. */
  get isDue(): boolean {
    return !this.#isEnqueued && this.#rank.group.numRecoveries === this.#numRecoveries;
  }

  /** Whether its handle lies in that memory. */
  isOf(handle: ArenaBlock): boolean {
    return this.#handle.pointer === handle.pointer;
  }

  /** Its call, in words. */
  get call(): string {
    return `${this.#op} on rank ${this.#rank.idx}`;
  }

  /** Throws as long as it was not enqueued; `name` is what it brings. */
  assertEnqueued(name: string): void {
    if (this.#isEnqueued) return;
    throw new EpgenArgumentError(
      `Expected ${name} to have been received, but the hook of its ${this.#op} was not called: call its hook first`,
    );
  }

  /** What runs `enqueue`, once. */
  hook(enqueue: () => void): () => void {
    return () => {
      if (this.#isEnqueued) return;
      this.#assertUsable();
      enqueue();
      this.#isEnqueued = true;
      this.#rank.group.removeReceive(this);
      this.letGo();
    };
  }

  /** It needs its memory no more: it was enqueued, or the group started over without it. */
  letGo(): void {
    for (const block of this.#blocks) block.letGo();
  }

  #assertUsable(): void {
    const { group } = this.#rank;
    group.assertOpen('the hook');
    if (group.numRecoveries !== this.#numRecoveries) {
      throw new EpgenStaleError(
        `Expected the hook to be live, but the group was recovered since its ${this.#op}`,
      );
    }
    if (group.capture === this.#capture) return;
    group.refuseInCapture('the hook of a call that was made elsewhere');
    throw new EpgenArgumentError(
      `Expected the hook of a captured ${this.#op} to be called in the function of group.capture`,
    );
  }
}
