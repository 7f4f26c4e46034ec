import { ArenaBlock } from './arena-block.js';
import { checkDType, checkShape } from './arguments.js';
import type {
  CheckedDispatchCall,
  CheckedDispatchLayoutCall,
  ReceivedFrom,
  WithHighThroughput,
} from './call-checks.js';
import type { DispatchLayout } from './call-types.js';
import { launchOne } from './collective.js';
import { combinedWhenDone, combinePart } from './combine.js';
import type { CheckedCombineCall, Combined, CombineRows, CombineWeights } from './combine-types.js';
import { dispatchPart } from './dispatch.js';
import { dispatchLayout } from './dispatch-layout.js';
import { bytesFrom, type DType, describe, type ValuesOf } from './dtype.js';
import { EpgenArgumentError } from './errors.js';
import { createEvent, type Event, usableEvent } from './event.js';
import { expertMajor } from './expert-major.js';
import type { ExpertMajor, ExpertMajorInput, ExpertMajorOptions } from './expert-major-types.js';
import { checkHandle, type Handle } from './handle.js';
import { highThroughputOf } from './high-throughput.js';
import { lowLatencyOf } from './low-latency-arguments.js';
import type {
  CheckedLowLatencyCombineCall,
  CheckedLowLatencyDispatchCall,
  LowLatencyCombinedFrom,
  LowLatencyReceivedFrom,
} from './low-latency-checks.js';
import { lowLatencyCombinePart } from './low-latency-combine.js';
import { lowLatencyDispatchPart } from './low-latency-dispatch.js';
import { checkLowLatencyHandle, type LowLatencyHandle } from './low-latency-handle.js';
import { claimLowLatencyOutput } from './low-latency-output-window.js';
import type { LowLatencyOutputs } from './low-latency-types.js';
import { claimOutput } from './output-window.js';
import type { RankState } from './rank-state.js';
import type { Spec } from './spec-types.js';
import { blockStorage, borrowedStorage } from './storage.js';
import { createStream, type Stream } from './stream.js';
import { MAIN_STREAM } from './stream-order.js';
import { type AnyTensor, createTensor, type Tensor } from './tensor.js';

/** What bulk copies need of an address. */
const POINTER_ALIGNMENT = 16n;

export let createRank: <S extends Spec>(state: RankState, device: number) => Rank<S>;

/**
 * One rank of a group. Its work runs in the order in which it was called. `dispatch` and `combine` are collective: every
 * rank makes the same sequence of them, and all ranks must call before any of them is awaited, as in
 * `Promise.all(group.ranks.map((rank) => rank.dispatch(...)))`; `group.dispatch([...])` does that.
 */
export class Rank<S extends Spec = Spec> {
  /** This rank's number, 0 to ranks - 1. */
  readonly index: number;
  /** Ordinal of its device. */
  readonly device: number;
  readonly #state: RankState;

  static {
    createRank = (state, device) => new Rank(state, device);
  }

  private constructor(state: RankState, device: number) {
    this.index = state.idx;
    this.device = device;
    this.#state = state;
  }

  /**
   * Makes a tensor in the rank's arena, filled with `values` in row-major order; without them its elements are undefined.
   * bf16, f16 and fp8_e4m3 take values (rounded to nearest even) or bits (`Uint16Array`, for fp8_e4m3 `Uint8Array`); i64 also
   * takes `Int32Array` and `number[]`. It lives until `dispose()`, or until nothing refers to it. Throws `EpgenArgumentError` when
   * the arena is full.
   */
  tensor<D extends DType, const Shape extends readonly number[]>(
    dtype: D,
    shape: Shape,
    values?: ValuesOf[D],
  ): Tensor<D, Shape> {
    const state = this.#state;
    state.group.assertOpen();
    state.group.refuseInCapture('rank.tensor');
    const checked = checkShape(state, checkDType(dtype), shape);
    const bytes = values === undefined ? undefined : bytesFrom(dtype, checked.shape, values);
    const block = new ArenaBlock(state, checked.numBytes);
    if (bytes === undefined || checked.numBytes === 0) {
      return createTensor(dtype, checked.shape, blockStorage(block));
    }
    const arrival = state.writeLater(block.pointer, bytes);
    return createTensor(dtype, checked.shape, blockStorage(block, arrival));
  }

  /**
   * A tensor over memory of this rank that something else owns: inside one of its tensors, its window or, on cuda, any
   * allocation of its device, at a multiple of 16. Nothing tells it when a view of the window goes to a later call.
   */
  tensorFromPointer<D extends DType, const Shape extends readonly number[]>(
    dtype: D,
    shape: Shape,
    pointer: bigint,
  ): Tensor<D, Shape> {
    this.#state.group.assertOpen();
    const checked = checkShape(this.#state, checkDType(dtype), shape);
    const { numBytes } = checked;
    if (typeof pointer !== 'bigint' || pointer <= 0n || pointer % POINTER_ALIGNMENT !== 0n) {
      throw new EpgenArgumentError(
        `Expected pointer to be a bigint above 0 and a multiple of ${POINTER_ALIGNMENT} but received ${describe(pointer)}`,
      );
    }
    const owner = this.#state.allocationAt(pointer, numBytes);
    const found = this.#state.refusal(pointer, numBytes);
    if (found !== undefined) {
      throw new EpgenArgumentError(
        `Expected pointer to have ${numBytes} bytes in one tensor or in the window of rank ${this.index} but received ${describe(pointer)}: ${found}`,
      );
    }
    return createTensor(
      dtype,
      checked.shape,
      borrowedStorage(this.#state, { pointer, numBytes }, owner),
    );
  }

  /** A stream for work beside the rank's own. */
  createStream(): Stream {
    return createStream(this.#state);
  }

  /** What the rank's own stream has so far. */
  record(): Event {
    return createEvent(this.#state, this.#state.order.record(MAIN_STREAM));
  }

  /** What the rank's own stream does from now on comes after the event. */
  wait(event: Event): void {
    this.#state.order.wait(MAIN_STREAM, usableEvent(event, this.#state, 'event'));
  }

  /**
   * The rank's `cudaStream_t`, for work of one's own on its memory, which comes after the calls that were made before this
   * was read: read it again after later ones. Throws `EpgenUnsupportedError` on cpu, and `EpgenArgumentError` while one of
   * these calls has to wait, behind 16 dispatches that are awaited and have not counted: await one first.
   */
  get stream(): bigint {
    return this.#state.group.callSync((raw) => raw.stream(this.index));
  }

  /**
   * Sends each token to every rank that owns one of its experts. Resolves when counts are known: rows may still be
   * travelling, but whatever is enqueued later on this rank sees them. Rejects with `EpgenArgumentError` (also for an
   * expert index out of range, which the device finds), `EpgenTimeoutError`, or `EPGEN_ABORTED` after an earlier failure.
   */
  async dispatch<const C>(call: C & CheckedDispatchCall<S, C>): Promise<ReceivedFrom<S, C>> {
    this.#begin('dispatch', 'enqueueDispatch');
    return (await launchOne(dispatchPart(this.#state, call))) as ReceivedFrom<S, C>;
  }

  /**
   * Brings the experts' outputs back and sums them per token in ascending rank order, in f32, rounded once. Resolves when
   * the sums are there. Rejects as `dispatch`, and with what an earlier call of the rank that nobody waited for found wrong.
   */
  async combine<
    X extends AnyTensor,
    W extends AnyTensor = CombineWeights<S>,
    B extends AnyTensor = CombineRows<S>,
  >(call: CheckedCombineCall<S, X, W, B>): Promise<Combined<S>> {
    this.#begin('combine', 'enqueueCombine');
    const launched = launchOne(combinePart(this.#state, call));
    return (await combinedWhenDone(launched)) as Combined<S>;
  }

  /**
   * [rows, hidden] of `combineDtype`: memory for the experts' outputs of `handle` that this rank's next combine reads in
   * place. Stale once that combine is enqueued, or `combineInput` is called for another handle: both share one buffer.
   */
  combineInput(handle: WithHighThroughput<S, 'combineInput', Handle<S>>): CombineRows<S> {
    this.#state.group.assertOpen();
    highThroughputOf(this.#state.group, 'combineInput');
    const parts = checkHandle(this.#state, handle, 'handle');
    return claimOutput(parts, parts.numRows);
  }

  /**
   * Received rows once for each of their selections, grouped by local expert: what a grouped GEMM takes. Returns at once;
   * no other rank takes part. Needs counts: refused for results of `enqueueDispatch`.
   */
  expertMajor(received: ExpertMajorInput<S>, options: ExpertMajorOptions = {}): ExpertMajor<S> {
    return expertMajor(this.#state, received, options) as ExpertMajor<S>;
  }

  /**
   * Sends each token once to each expert that it chose: few tokens, with no host in the loop. Returns at once. All ranks must
   * call before what it gives is read. An expert index out of range is reported by the next combine, read or `copyFrom` that
   * is awaited on the rank. Throws `EpgenArgumentError`, and `EPGEN_ABORTED` after an earlier failure.
   */
  lowLatencyDispatch<const C>(
    call: C & CheckedLowLatencyDispatchCall<S, C>,
  ): LowLatencyReceivedFrom<S, C> {
    this.#begin('lowLatencyDispatch', 'lowLatencyDispatch');
    const received: unknown = launchOne(lowLatencyDispatchPart(this.#state, call));
    return received as LowLatencyReceivedFrom<S, C>;
  }

  /**
   * Brings the experts' outputs back and sums them per token, each times its weight, in the order of k, in f32, rounded once.
   * Returns at once: reading the sums waits for them, and reports what went wrong. Throws as `lowLatencyDispatch`.
   */
  lowLatencyCombine<const C>(
    call: C & CheckedLowLatencyCombineCall<S, C>,
  ): LowLatencyCombinedFrom<S, C> {
    this.#begin('lowLatencyCombine', 'lowLatencyCombine');
    const combined: unknown = launchOne(lowLatencyCombinePart(this.#state, call));
    return combined as LowLatencyCombinedFrom<S, C>;
  }

  /**
   * bf16 [experts / ranks, ranks * maxTokensPerRank, hidden]: memory for the experts' outputs of `handle` that this rank's
   * next low-latency combine reads in place. Stale once that combine is enqueued, or this is called for another handle: both
   * share one buffer. Refused where combines cast their rows to fp8.
   */
  getNextLowLatencyCombineBuffer(handle: LowLatencyHandle<S>): LowLatencyOutputs<S> {
    this.#state.group.assertOpen();
    const lowLatency = lowLatencyOf(this.#state, 'getNextLowLatencyCombineBuffer');
    const parts = checkLowLatencyHandle(this.#state, handle, 'handle');
    return claimLowLatencyOutput(parts, lowLatency);
  }

  /** Tells where tokens would go, without sending them; no other rank takes part. Rejects as `dispatch`. */
  getDispatchLayout<I extends AnyTensor>(
    call: CheckedDispatchLayoutCall<S, I>,
  ): Promise<DispatchLayout> {
    return dispatchLayout(this.#state, call);
  }

  /** A collective call of this rank alone begins; a graph takes the method of the group. */
  #begin(method: string, ofGroup: string): void {
    const { group } = this.#state;
    group.assertUsable();
    group.refuseInCapture(
      `rank.${method}`,
      `Use group.${ofGroup}: a graph holds the calls of all ranks, and they return at once.`,
    );
  }
}
