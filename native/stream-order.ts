import type { Allocation } from './allocation.js';
import type { GroupState } from './group-state.js';

/** The stream where everything runs that asks for no other. */
export const MAIN_STREAM = 0;

/** Something that streams read and write: an allocation, or a part of a window by name. */
export type Resource = Allocation | string;

/** What work on a stream reads, and what it writes. */
export interface Access {
  readonly reads: readonly Resource[];
  readonly writes: readonly Resource[];
}

/** A place in the order of a stream, and the event there, if one was recorded. */
interface Mark {
  readonly stream: number;
  readonly number: number;
  readonly event?: RecordedEvent;
}

/** An event of one of the rank's streams, and what was known there. */
export interface RecordedEvent {
  readonly id: number;
  readonly stream: number;
  readonly number: number;
  readonly known: ReadonlyMap<number, number>;
}

interface Uses {
  writers: readonly Mark[];
  readers: readonly Mark[];
}

/**
 * What a rank's streams know of each other. Work on different streams is ordered by events, which this records and waits
 * for where memory asks for it. Until a second stream comes into play there is nothing to do.
 */
export class StreamOrder {
  readonly #group: GroupState;
  readonly #rank: number;
  #recovery = 0;
  #isEngaged = false;
  /** Per stream, how much of each stream comes before what it does next. */
  #known = new Map<number, Map<number, number>>();
  #newest = new Map<number, RecordedEvent>();
  #uses = new Map<Resource, Uses>();
  /** Of memory that was freed: whoever gets it comes after these. */
  #freed: readonly Mark[] = [];

  constructor(group: GroupState, rank: number) {
    this.#group = group;
    this.#rank = rank;
  }

  /** Runs `work`, which appends to `stream`, after all that it depends on. */
  perform<T>(stream: number, access: () => Access, work: () => T): T {
    this.#startOver();
    const { capture } = this.#group;
    if (capture !== undefined) {
      capture.access(this, access());
      return work();
    }
    if (!this.#isEngaged) return work();
    const { reads, writes } = access();
    for (const resource of reads) this.#after(stream, this.#usesOf(resource).writers);
    for (const resource of writes) {
      const { writers, readers } = this.#usesOf(resource);
      this.#after(stream, writers);
      this.#after(stream, readers);
    }
    const result = work();
    // Where an event can't be recorded any more, that is what the caller hears of, and nobody takes the result.
    if (result instanceof Promise) result.catch(() => undefined);
    const number = this.#append(stream);
    const event = stream === MAIN_STREAM ? undefined : this.record(stream);
    const mark = { stream, number, ...(event ? { event } : {}) };
    for (const resource of writes) this.#uses.set(resource, { writers: [mark], readers: [] });
    for (const resource of reads) {
      if (writes.includes(resource)) continue;
      const { writers, readers } = this.#usesOf(resource);
      this.#uses.set(resource, { writers, readers: newestOf([...readers, mark]) });
    }
    return result;
  }

  /** What the stream has so far. */
  record(stream: number): RecordedEvent {
    this.#group.refuseInCapture('what records an event, or orders streams');
    this.engage();
    const id = this.#group.callSync((raw) => raw.recordEvent(this.#rank, stream));
    const event = {
      id,
      stream,
      number: this.#knownBy(stream).get(stream) ?? 0,
      known: new Map(this.#knownBy(stream)),
    };
    this.#newest.set(stream, event);
    return event;
  }

  /** The event that was recorded last on a stream that is not the rank's own. */
  newest(stream: number): RecordedEvent {
    return this.#newest.get(stream) ?? this.record(stream);
  }

  /** What `stream` does next comes after the event. */
  wait(stream: number, event: RecordedEvent): void {
    this.#group.refuseInCapture('what waits for an event, or orders streams');
    this.engage();
    this.#group.callSync((raw) => raw.waitEvent(this.#rank, stream, event.id));
    const known = this.#knownBy(stream);
    for (const [other, number] of event.known) {
      known.set(other, Math.max(known.get(other) ?? 0, number));
    }
  }

  /** From now on streams are told apart; whatever was before is of the rank's own. */
  engage(): void {
    this.#startOver();
    if (this.#isEngaged) return;
    this.#isEngaged = true;
    this.#append(MAIN_STREAM);
  }

  /** Whoever gets the memory comes after all that was done with it. */
  free(allocation: Allocation): void {
    this.#startOver();
    if (!this.#isEngaged) return;
    const { writers, readers } = this.#usesOf(allocation);
    this.#freed = newestOf([...this.#freed, ...writers, ...readers]);
    this.#uses.delete(allocation);
  }

  allocate(allocation: Allocation): void {
    if (this.#isEngaged) this.#uses.set(allocation, { writers: this.#freed, readers: [] });
  }

  #after(stream: number, marks: readonly Mark[]): void {
    for (const mark of marks) {
      if ((this.#knownBy(stream).get(mark.stream) ?? 0) >= mark.number) continue;
      this.wait(stream, mark.event ?? this.#eventAfter(mark));
    }
  }

  #eventAfter({ stream, number }: Mark): RecordedEvent {
    const newest = this.#newest.get(stream);
    return newest !== undefined && newest.number >= number ? newest : this.record(stream);
  }

  #append(stream: number): number {
    const known = this.#knownBy(stream);
    const number = (known.get(stream) ?? 0) + 1;
    known.set(stream, number);
    return number;
  }

  #knownBy(stream: number): Map<number, number> {
    let known = this.#known.get(stream);
    if (known === undefined) {
      known = new Map();
      this.#known.set(stream, known);
    }
    return known;
  }

  #usesOf(resource: Resource): Uses {
    return (
      this.#uses.get(resource) ?? { writers: [{ stream: MAIN_STREAM, number: 1 }], readers: [] }
    );
  }

  #startOver(): void {
    if (this.#recovery === this.#group.numRecoveries) return;
    // All streams were empty.
    this.#recovery = this.#group.numRecoveries;
    this.#isEngaged = false;
    this.#known.clear();
    this.#newest.clear();
    this.#uses.clear();
    this.#freed = [];
  }
}

/** The last mark of each stream: it stands for the others. */
function newestOf(marks: readonly Mark[]): Mark[] {
  const newest = new Map<number, Mark>();
  for (const mark of marks) {
    const other = newest.get(mark.stream);
    if (other === undefined || other.number < mark.number) newest.set(mark.stream, mark);
  }
  return [...newest.values()];
}
