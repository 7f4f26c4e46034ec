import { describe } from './dtype.js';
import { EpgenArgumentError, EpgenStaleError } from './errors.js';
import type { RankState } from './rank-state.js';
import type { RecordedEvent } from './stream-order.js';

/** What an event stands for once it is known to be usable by `rank`. */
export let usableEvent: (event: unknown, rank: RankState, name: string) => RecordedEvent;
export let createEvent: (rank: RankState, recorded: RecordedEvent) => Event;

/** All that one stream of a rank had when the event was recorded: other streams of the rank may come after it. */
export class Event {
  /** The rank that it belongs to. */
  readonly rank: number;
  readonly #rank: RankState;
  readonly #recorded: RecordedEvent;
  readonly #numRecoveries: number;

  static {
    createEvent = (rank, recorded) => new Event(rank, recorded);
    usableEvent = (event, rank, name) => {
      if (!(event instanceof Event)) {
        throw new EpgenArgumentError(
          `Expected ${name} to be an event of rank ${rank.idx} but received ${describe(event)}`,
        );
      }
      return event.#usableBy(rank, name);
    };
  }

  private constructor(rank: RankState, recorded: RecordedEvent) {
    this.rank = rank.idx;
    this.#rank = rank;
    this.#recorded = recorded;
    this.#numRecoveries = rank.group.numRecoveries;
  }

  #usableBy(rank: RankState, name: string): RecordedEvent {
    if (this.#rank !== rank) {
      const where = this.#rank.group === rank.group ? '' : ' of another group';
      throw new EpgenArgumentError(
        `Expected ${name} to be an event of rank ${rank.idx} but received one of rank ${this.rank}${where}`,
      );
    }
    if (rank.group.numRecoveries !== this.#numRecoveries) {
      throw new EpgenStaleError(
        `Expected ${name} to be live, but the group was recovered since it was recorded`,
      );
    }
    return this.#recorded;
  }
}
