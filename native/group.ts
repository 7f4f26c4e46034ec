import './async-dispose.js';
import type {
  CheckedDispatchCalls,
  EnqueuedFrom,
  ReceivedFrom,
  WithHighThroughput,
} from './call-checks.js';
import type { DispatchLayout, DispatchLayoutCall } from './call-types.js';
import { captureGraph } from './capture-graph.js';
import { checkPerRank, launchAll, type Part, settleAll } from './collective.js';
import { combinedWhenDone, combinePart } from './combine.js';
import type { CheckedCombineCalls, Combined } from './combine-types.js';
import { dispatchPart, enqueuedDispatchPart } from './dispatch.js';
import { dispatchLayout } from './dispatch-layout.js';
import type { Graph } from './graph.js';
import type { GroupState } from './group-state.js';
import { lowLatencyOf } from './low-latency-arguments.js';
import type {
  CheckedLowLatencyCombineCalls,
  CheckedLowLatencyDispatchCalls,
  LowLatencyCombinedFrom,
  LowLatencyReceivedFrom,
} from './low-latency-checks.js';
import { lowLatencyCombinePart } from './low-latency-combine.js';
import { lowLatencyDispatchPart } from './low-latency-dispatch.js';
import { createRank, type Rank } from './rank.js';
import { RankState } from './rank-state.js';
import type { Spec } from './spec-types.js';

/** What a group is made of. */
export interface GroupParts {
  readonly state: GroupState;
  readonly devices: readonly number[];
  readonly backendReason: string;
}

export let createGroup: <S extends Spec>(parts: GroupParts) => Group<S>;
/** The addon's side of a group, for tests that poison memory or count launches; not part of the package's interface. */
export let stateOf: <S extends Spec>(group: Group<S>) => GroupState;

/**
 * All ranks of this host, driven by this process. Calls take one element per rank and check all of them before anything
 * is launched. After `dispose()` everything throws `EPGEN_DISPOSED`.
 */
export class Group<S extends Spec = Spec> {
  /** The ranks, in order. */
  readonly ranks: readonly Rank<S>[];
  readonly numRanks: number;
  /** Where kernels run. */
  readonly backend: 'cpu' | 'cuda';
  /** Why they run there. */
  readonly backendReason: string;
  readonly #state: GroupState;
  readonly #ranks: readonly RankState[];
  #disposal: Promise<void> | undefined;

  static {
    createGroup = (parts) => new Group(parts);
    stateOf = (group) => group.#state;
  }

  private constructor({ state, devices, backendReason }: GroupParts) {
    this.#state = state;
    this.#ranks = devices.map((_, i) => new RankState(state, i));
    this.ranks = this.#ranks.map((rank, i) => createRank<S>(rank, devices[i] ?? i));
    this.numRanks = devices.length;
    this.backend = state.backend;
    this.backendReason = backendReason;
  }

  /** `rank.dispatch` on every rank; resolves when all counts are known, rejects with the first cause when all have ended. */
  async dispatch<const P extends readonly unknown[]>(
    perRank: P & CheckedDispatchCalls<S, P>,
  ): Promise<ReceivedFrom<S, P[number]>[]> {
    this.#state.refuseInCapture(
      'group.dispatch',
      'Use group.enqueueDispatch, which returns at once.',
    );
    const pending = launchAll(this.#parts(perRank, dispatchPart));
    return (await settleAll(pending)) as ReceivedFrom<S, P[number]>[];
  }

  /** `rank.combine` on every rank; resolves when all sums are there, rejects with the first cause when all have ended. */
  async combine<const P extends readonly unknown[]>(
    perRank: P & CheckedCombineCalls<S, P>,
  ): Promise<Combined<S>[]> {
    this.#state.refuseInCapture(
      'group.combine',
      'Use group.enqueueCombine, which returns at once.',
    );
    const launched = launchAll(this.#parts(perRank, combinePart));
    return (await settleAll(launched.map(combinedWhenDone))) as Combined<S>[];
  }

  /**
   * As `dispatch`, but returns at once: tensors have `maxRecvTokens` rows, and counts stay on the device. `copy` is
   * refused. An expert index out of range, or more rows than `numWorstTokens`, are reported by the next combine, read or
   * `copyFrom` that is awaited on the rank.
   */
  enqueueDispatch<const P extends readonly unknown[]>(
    perRank: P & CheckedDispatchCalls<S, P>,
  ): EnqueuedFrom<S, P[number]>[] {
    const launched = launchAll(this.#parts(perRank, enqueuedDispatchPart));
    return launched as EnqueuedFrom<S, P[number]>[];
  }

  /** As `combine`, but returns at once: reading a result waits for it, and reports what went wrong. */
  enqueueCombine<const P extends readonly unknown[]>(
    perRank: P & CheckedCombineCalls<S, P>,
  ): Combined<S>[] {
    return launchAll(this.#parts(perRank, combinePart)).map(({ combined, done }) => {
      // A failed combine has aborted the group, which reading the result reports.
      done.catch(() => undefined);
      return combined as Combined<S>;
    });
  }

  /** `rank.lowLatencyDispatch` on every rank. */
  lowLatencyDispatch<const P extends readonly unknown[]>(
    perRank: P & CheckedLowLatencyDispatchCalls<S, P>,
  ): LowLatencyReceivedFrom<S, P[number]>[] {
    const received: unknown = launchAll(this.#parts(perRank, lowLatencyDispatchPart));
    return received as LowLatencyReceivedFrom<S, P[number]>[];
  }

  /** `rank.lowLatencyCombine` on every rank. */
  lowLatencyCombine<const P extends readonly unknown[]>(
    perRank: P & CheckedLowLatencyCombineCalls<S, P>,
  ): LowLatencyCombinedFrom<S, P[number]>[] {
    const combined: unknown = launchAll(this.#parts(perRank, lowLatencyCombinePart));
    return combined as LowLatencyCombinedFrom<S, P[number]>[];
  }

  /** `rank.getDispatchLayout` on every rank. */
  async getDispatchLayout(
    perRank: WithHighThroughput<S, 'getDispatchLayout', readonly DispatchLayoutCall<S>[]>,
  ): Promise<DispatchLayout[]> {
    const calls = checkPerRank(this.#ranks, perRank);
    return settleAll(
      this.#ranks.map((rank, i) => dispatchLayout(rank, calls[i], `perRank[${i}].`)),
    );
  }

  /**
   * Makes a graph of the calls that `run` enqueues with `enqueueDispatch`, `enqueueCombine`, `lowLatencyDispatch` and
   * `lowLatencyCombine`: `graph.replay()` enqueues all of them again at the cost of one launch per rank, on what is then in
   * the tensors that they name, and gives what `run` returned. Buffers of the window rotate, so `run` is called once for each
   * place that they can rotate to, at once; it makes the same calls each time, takes `rank.combineInput` and
   * `rank.getNextLowLatencyCombineBuffer` inside, calls the hooks of all its calls, and neither waits nor makes tensors. Calls
   * have no `asyncFinish`, `previousEvent` and `stream`.
   */
  capture<T>(run: () => T): Promise<Graph<T>> {
    return captureGraph(this.#state, this.#ranks, run);
  }

  /**
   * Makes the group usable after a timeout, deadlock or fault, once everything enqueued has ended. Received views and
   * handles from before are stale, and so are tensors whose values never came; others of the arena keep their contents.
   * Whoever calls while a recovery is under way gets the same promise.
   */
  recover(): Promise<void> {
    return this.#state.recover();
  }

  /**
   * The same under DeepEP's name, for what low-latency calls that came to nothing left. Makes all handles stale, those of
   * `dispatch` too; never needed between high-throughput and low-latency calls, which share no buffer.
   */
  async cleanLowLatencyBuffer(): Promise<void> {
    for (const rank of this.#ranks) lowLatencyOf(rank, 'cleanLowLatencyBuffer');
    await this.recover();
  }

  /** Aborts what still runs and gives back all memory. Safe to repeat. */
  dispose(): Promise<void> {
    this.#disposal ??= this.#state.dispose().catch((error: unknown) => {
      // Another attempt may find what this one lacked.
      this.#disposal = undefined;
      throw error;
    });
    return this.#disposal;
  }

  /** `await using group = await openGroup()` disposes it at the end of the scope. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #parts<T>(
    perRank: unknown,
    partOf: (rank: RankState, call: unknown, path: string) => Part<T>,
  ): Part<T>[] {
    this.#state.assertUsable();
    const calls = checkPerRank(this.#ranks, perRank);
    return this.#ranks.map((rank, i) => partOf(rank, calls[i], `perRank[${i}].`));
  }
}
