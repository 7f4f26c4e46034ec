import { describe } from './dtype.js';
import { EpgenArgumentError } from './errors.js';
import { createEvent, type Event, usableEvent } from './event.js';
import { Keepers, type Kept } from './keepers.js';
import type { PendingReceive } from './pending-receive.js';
import type { RankState } from './rank-state.js';

/** What a stream of the caller's stands for. */
export interface UsableStream {
  readonly number: number;
  /** Keeps the number; undefined for a `cudaStream_t`, whose number never comes again. */
  readonly life: Kept | undefined;
}

/** A stream once it is known to be usable by `rank`. */
export let usableStream: (stream: unknown, rank: RankState, name: string) => UsableStream;
export let createStream: (rank: RankState) => Stream;

/** A stream of one rank, for work beside the rank's own: what is put on it runs in order, after the events that it waits for. */
export class Stream {
  /** The rank that it belongs to. */
  readonly rank: number;
  readonly #rank: RankState;
  readonly #open: OpenStream;
  #isDisposed = false;

  static {
    createStream = (rank) => new Stream(rank);
    usableStream = (stream, rank, name) => {
      if (typeof stream === 'bigint') {
        const number = rank.group.callSync((raw) => raw.importStream(rank.idx, stream));
        return { number, life: undefined };
      }
      if (!(stream instanceof Stream)) {
        throw new EpgenArgumentError(
          `Expected ${name} to be a stream of rank ${rank.idx} or a cudaStream_t as a bigint but received ${describe(stream)}`,
        );
      }
      const open = stream.#usableBy(rank, name);
      return { number: open.number, life: open };
    };
  }

  private constructor(rank: RankState) {
    this.rank = rank.idx;
    this.#rank = rank;
    this.#open = new OpenStream(rank);
  }

  /** Its `cudaStream_t`; throws as `rank.stream`. */
  get pointer(): bigint {
    const { number } = this.#usable();
    return this.#rank.group.callSync((raw) => raw.stream(this.rank, number));
  }

  /** What the stream has so far. */
  record(): Event {
    return createEvent(this.#rank, this.#rank.order.record(this.#usable().number));
  }

  /** What is put on the stream from now on comes after the event. */
  wait(event: Event): void {
    const { number } = this.#usable();
    this.#rank.order.wait(number, usableEvent(event, this.#rank, 'event'));
  }

  /** What was put on the stream still runs. Safe to repeat. */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#open.close();
  }

  #usable(): OpenStream {
    return this.#usableBy(this.#rank, 'the stream');
  }

  #usableBy(rank: RankState, name: string): OpenStream {
    if (this.#rank !== rank) {
      const where = this.#rank.group === rank.group ? '' : ' of another group';
      throw new EpgenArgumentError(
        `Expected ${name} to be a stream of rank ${rank.idx} but received one of rank ${this.rank}${where}`,
      );
    }
    rank.group.assertOpen();
    if (!this.#isDisposed) return this.#open;
    throw new EpgenArgumentError(
      `Expected ${name} to be a live stream but received one that was disposed`,
    );
  }
}

/** A stream of the addon's, until it is closed and no hook has to come after it any more. */
class OpenStream implements Kept {
  readonly number: number;
  readonly #rank: RankState;
  readonly #keepers = new Keepers();
  #isClosed = false;
  #isGivenBack = false;

  constructor(rank: RankState) {
    this.#rank = rank;
    this.number = rank.group.callSync((raw) => raw.openStream(rank.idx));
  }

  close(): void {
    this.#isClosed = true;
    this.#giveBack();
  }

  keepFor(receive: PendingReceive): void {
    this.#keepers.add(receive);
  }

  letGo(): void {
    if (this.#isClosed) this.#giveBack();
  }

  #giveBack(): void {
    if (this.#isGivenBack || this.#keepers.due !== undefined) return;
    this.#isGivenBack = true;
    const { group, idx } = this.#rank;
    if (!group.isDisposed) group.closeStream(idx, this.number);
  }
}
