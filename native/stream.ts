import { describe } from './dtype.js';
import { EpgenArgumentError } from './errors.js';
import { createEvent, type Event, usableEvent } from './event.js';
import type { RankState } from './rank-state.js';

/** A stream's number once it is known to be usable by `rank`. */
export let usableStream: (stream: unknown, rank: RankState, name: string) => number;
export let createStream: (rank: RankState) => Stream;

/** A stream of one rank, for work beside the rank's own: what is put on it runs in order, after the events that it waits for. */
export class Stream {
  /** The rank that it belongs to. */
  readonly rank: number;
  readonly #rank: RankState;
  readonly #number: number;
  #isDisposed = false;

  static {
    createStream = (rank) => new Stream(rank);
    usableStream = (stream, rank, name) => {
      if (typeof stream === 'bigint') {
        return rank.group.callSync((raw) => raw.importStream(rank.idx, stream));
      }
      if (!(stream instanceof Stream)) {
        throw new EpgenArgumentError(
          `Expected ${name} to be a stream of rank ${rank.idx} or a cudaStream_t as a bigint but received ${describe(stream)}`,
        );
      }
      return stream.#usableBy(rank, name);
    };
  }

  private constructor(rank: RankState) {
    this.rank = rank.idx;
    this.#rank = rank;
    this.#number = rank.group.callSync((raw) => raw.openStream(rank.idx));
  }

  /** Its `cudaStream_t`; throws `EpgenUnsupportedError` on cpu. */
  get pointer(): bigint {
    const number = this.#usable();
    return this.#rank.group.callSync((raw) => raw.stream(this.rank, number));
  }

  /** What the stream has so far. */
  record(): Event {
    return createEvent(this.#rank, this.#rank.order.record(this.#usable()));
  }

  /** What is put on the stream from now on comes after the event. */
  wait(event: Event): void {
    const number = this.#usable();
    this.#rank.order.wait(number, usableEvent(event, this.#rank, 'event'));
  }

  /** What was put on the stream still runs. Safe to repeat. */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    const { group } = this.#rank;
    if (!group.isDisposed) group.closeStream(this.rank, this.#number);
  }

  #usable(): number {
    return this.#usableBy(this.#rank, 'the stream');
  }

  #usableBy(rank: RankState, name: string): number {
    if (this.#rank !== rank) {
      const where = this.#rank.group === rank.group ? '' : ' of another group';
      throw new EpgenArgumentError(
        `Expected ${name} to be a stream of rank ${rank.idx} but received one of rank ${this.rank}${where}`,
      );
    }
    rank.group.assertOpen();
    if (!this.#isDisposed) return this.#number;
    throw new EpgenArgumentError(
      `Expected ${name} to be a live stream but received one that was disposed`,
    );
  }
}
