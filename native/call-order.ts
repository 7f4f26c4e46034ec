import { checkBoolean } from './arguments.js';
import { describe } from './dtype.js';
import { EpgenArgumentError } from './errors.js';
import { createEvent, type Event, usableEvent } from './event.js';
import type { Kept } from './keepers.js';
import type { RankState } from './rank-state.js';
import { type UsableStream, usableStream } from './stream.js';
import type { RecordedEvent } from './stream-order.js';
import { type Access, MAIN_STREAM } from './stream-order.js';
import type { WindowState } from './window-state.js';

export const ORDER_KEYS = ['asyncFinish', 'previousEvent', 'stream'];

type Call = Readonly<Record<string, unknown>>;

/** How a call is ordered among its rank's streams, as its options say. */
export interface CallOrder {
  /** Where it runs in its window. */
  streamOf(window: WindowState): number;
  /** Throws where a stream or an event is not usable any more. */
  recheck(): void;
  /** What keeps the caller's stream for a receive that is enqueued later, where it named one. */
  readonly callersStream: Kept | undefined;
  /**
   * Runs `work`, which appends to the call's stream, where it belongs; the event is that of `asyncFinish`. Streams and events
   * are those of the last check.
   */
  perform<T>(
    window: WindowState,
    access: () => Access,
    work: () => T,
  ): { readonly result: T; readonly event: Event | null };
}

export function checkOrder(rank: RankState, call: Call, path: string): CallOrder {
  const isAsync = checkBoolean(`${path}asyncFinish`, call.asyncFinish);
  // Once: a getter must not run between the launches of ranks.
  const { previousEvent, stream: given } = call;
  if (rank.group.capture !== undefined) {
    refuseCaptured(rank, path, { asyncFinish: isAsync || undefined, previousEvent, stream: given });
  }
  let previous: RecordedEvent | undefined;
  let callers: UsableStream | undefined;
  const recheck = () => {
    previous = optional(previousEvent, rank, `${path}previousEvent`, usableEvent);
    callers = optional(given, rank, `${path}stream`, usableStream);
  };
  recheck();
  const streamOf = (window: WindowState) => (isAsync ? 1 + window.idx : MAIN_STREAM);
  return {
    streamOf,
    recheck,
    callersStream: callers?.life,
    perform: (window, access, work) => {
      const { order } = rank;
      const stream = streamOf(window);
      if (previous !== undefined) order.wait(stream, previous);
      else if (isAsync) order.wait(stream, order.record(MAIN_STREAM));
      if (callers !== undefined) order.wait(stream, order.record(callers.number));
      const result = order.perform(stream, access, work);
      if (callers !== undefined && !isAsync) {
        order.wait(callers.number, order.record(MAIN_STREAM));
      }
      return { result, event: isAsync ? createEvent(rank, order.newest(stream)) : null };
    },
  };
}

/** Which of the group's windows a call uses. */
export function checkWindow(rank: RankState, name: string, value: unknown): WindowState {
  const idx = value ?? 0;
  const window = typeof idx === 'number' ? rank.windows[idx] : undefined;
  if (window !== undefined) return window;
  throw new EpgenArgumentError(
    `Expected ${name} to be an integer in 0..${rank.windows.length - 1} but received ${describe(value)}`,
    { hint: 'openGroup({ windows }) gives a group more than one.' },
  );
}

/** Refuses by their names the options that a graph can't hold. */
function refuseCaptured({ group }: RankState, path: string, options: Call): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || value === null) continue;
    group.refuseInCapture(
      `one with ${path}${name}`,
      `Leave ${name} out: replays run on the rank's own stream, and rank.wait and rank.record order them among others.`,
    );
  }
}

function optional<T>(
  value: unknown,
  rank: RankState,
  name: string,
  usable: (value: unknown, rank: RankState, name: string) => T,
): T | undefined {
  return value === undefined || value === null ? undefined : usable(value, rank, name);
}
