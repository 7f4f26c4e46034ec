import './async-dispose.js';
import type { Capture } from './capture.js';
import { settleAll } from './collective.js';
import { EpgenArgumentError, EpgenStaleError } from './errors.js';
import type { GraphMemory } from './graph-memory.js';
import { commonPlace, type Place } from './graph-place.js';
import type { GroupState } from './group-state.js';
import type { RankState } from './rank-state.js';

/** The captured calls as they are from one place in the ranks' sequences: which buffers they use depends on it. */
export interface Variant<T> {
  /** The addon's number of it. */
  readonly graph: number;
  readonly capture: Capture;
  /** What the captured function returned. */
  readonly result: T;
}

/** What a graph is made of. */
export interface GraphParts<T> {
  readonly group: GroupState;
  readonly ranks: readonly RankState[];
  readonly memory: GraphMemory;
  /** The one to replay from a place. */
  variantAt(place: Place): Variant<T>;
}

export let createGraph: <T>(parts: GraphParts<T>) => Graph<T>;

/**
 * Calls that were captured once and are enqueued again, all of them at the cost of one launch per rank.
 * `group.capture` makes it.
 */
export class Graph<T = unknown> {
  readonly #parts: GraphParts<T>;
  readonly #numRecoveries: number;

  static {
    createGraph = (parts) => new Graph(parts);
  }

  private constructor(parts: GraphParts<T>) {
    this.#parts = parts;
    this.#numRecoveries = parts.group.numRecoveries;
  }

  /**
   * Enqueues the captured calls on all ranks and returns at once, with what the captured function returned. Views of
   * received rows in it live as after `group.enqueueDispatch`. Handles, counts, and sums but those with an `out`
   * of the caller's, belong to the graph: each replay overwrites them, and their `dispose()` does nothing. Calls that are made one by one may come between replays. Throws
   * `EpgenStaleError` after `group.recover()`, or where a tensor that the calls use is not live any more.
   */
  replay(): T {
    const { group, ranks } = this.#parts;
    group.assertOpen();
    group.refuseInCapture('graph.replay');
    this.#assertUsable();
    group.assertUsable();
    const { graph, capture, result } = this.#parts.variantAt(commonPlace(ranks, 'graph.replay'));
    capture.assertUsable();
    capture.perform(() => group.callSync((raw) => raw.replay(graph)));
    capture.replayed();
    return result;
  }

  /** Resolves when all replays so far have ended; rejects with what went wrong, an expert index out of range included. */
  async ended(): Promise<void> {
    this.#parts.group.refuseInCapture('graph.ended');
    this.#assertUsable();
    await settleAll(this.#parts.ranks.map((rank) => rank.ended()));
  }

  /** Gives the graph's memory back at once; replays that were enqueued before go on. Safe to repeat. */
  dispose(): void {
    this.#parts.memory.free();
  }

  /** `await using graph = await group.capture(...)` disposes it at the end of the scope. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }

  #assertUsable(): void {
    const { group, memory } = this.#parts;
    if (memory.isFreed) {
      throw new EpgenArgumentError('Expected a live graph but received one that was disposed');
    }
    if (group.numRecoveries !== this.#numRecoveries) {
      throw new EpgenStaleError(
        'Expected the graph to be live, but the group was recovered since: capture it again',
      );
    }
  }
}
