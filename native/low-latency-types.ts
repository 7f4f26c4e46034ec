// What low-latency calls take and give; what a spec lacks is absent from them.
import type { OrderOptions } from './call-types.js';
import type { Event } from './event.js';
import type { LowLatencyHandle } from './low-latency-handle.js';
import type { If } from './payload-types.js';
import type { Spec } from './spec-types.js';
import type { Tensor } from './tensor.js';

/** The section `ll` of a spec that has one. */
type Section<S extends Spec> = Exclude<S['ll'], false>;

type IsCast<D> = D extends 'fp8_e4m3' ? true : false;
type ScaleDTypeOf<D> = D extends 'f32' ? 'f32' : 'i32';

export type HasLowLatencyStats<S extends Spec> = Section<S>['stats'];

/** Enqueues the receive of a call that was only sent; again does nothing. */
export type RecvHook = () => void;

/** How a low-latency call runs. */
export interface LowLatencyOptions extends OrderOptions {
  /**
   * How many of the spec's low-latency channels run at once, 1 to all of them: on cuda as many SMs. The result does not
   * depend on it. Default on cuda: one for each token, no fewer than ranks; at most 2 on cpu.
   */
  readonly numChannels?: number | undefined;
  /**
   * Only sends, and gives a hook that enqueues the receive: no SM is held between. Before its hook was called, the tensors of
   * the result are refused, and so is the call of its kind `ll.inFlight` later; a combine's `out` itself is not guarded. Not
   * with `asyncFinish`. Default: false.
   */
  readonly returnRecvHook?: boolean | undefined;
}

/** How a low-latency dispatch runs. */
export interface LowLatencyDispatchOptions extends LowLatencyOptions {
  /** Which of the group's windows the tokens travel through; combines follow their handle. Default: 0. */
  readonly window?: number | undefined;
}

/** How long a call waited. */
export interface WaitStats {
  /** i64 [ranks], to which the receive adds the nanoseconds that it waited for each rank. */
  readonly waitStats?: Tensor<'i64', readonly [number]> | null | undefined;
}

/** What a dispatch counts. */
export interface DispatchStats extends WaitStats {
  /** i32 [experts / ranks], to which the receive adds how many rows of each local expert arrived. */
  readonly cumulativeStats?: Tensor<'i32', readonly [number]> | null | undefined;
}

/** What `lowLatencyDispatch` takes on one rank: 0 to `ll.maxTokensPerRank` tokens; all tensors are this rank's. */
export type LowLatencyDispatchCall<S extends Spec> = {
  /** bf16 [tokens, hidden]; cast on its way where `ll.dtype` is fp8. */
  readonly x: Tensor<'bf16', readonly [number, S['hidden']]>;
  /** [tokens, topk]: experts, or -1 for none. A token travels once to each of them. */
  readonly topkIdx: Tensor<S['topkIdx'], readonly [number, S['topk']]>;
} & LowLatencyDispatchOptions &
  If<HasLowLatencyStats<S>, DispatchStats>;

interface LowLatencyRows<S extends Spec> {
  /**
   * [experts / ranks, ranks * maxTokensPerRank, hidden], of `ll.dtype`: the rows of each local expert, in ascending order of
   * source rank and source token; undefined behind the first `numTokensPerExpert`.
   */
  readonly x: Tensor<Section<S>['dtype'], readonly [number, number, S['hidden']]>;
  /** i32 [experts / ranks]: how many rows of each local expert arrived. Lives as long as the handle. */
  readonly numTokensPerExpert: Tensor<'i32', readonly [number]>;
  readonly handle: LowLatencyHandle<S>;
  /** Of `asyncFinish`: when the rows are there. Null without it. */
  readonly event: Event | null;
}

interface LowLatencyScales<S extends Spec> {
  /**
   * f32 [experts / ranks, ranks * maxTokensPerRank, hidden / 128], one scale for each block of 128 elements; for ue8m0 i32
   * [..., hidden / 512] with four in each, the first in the lowest byte. With `scaleLayout: 'column'` the last two sizes
   * change places, and columns lie apart by the number of rows rounded up to a multiple of 4.
   */
  readonly xScales: Tensor<
    ScaleDTypeOf<Section<S>['scaleDtype']>,
    readonly [number, number, number]
  >;
}

interface Hooked<Hook> {
  /** Of `returnRecvHook`: call it where the rows are needed, once. Null without it. */
  readonly hook: Hook;
}

/**
 * What one rank's low-latency dispatch gives, at once. Rows are views of the window: they live until `ll.inFlight` further
 * low-latency dispatches were enqueued on the rank, and throw `EpgenStaleError` from then on.
 */
export type LowLatencyReceived<
  S extends Spec,
  Hook extends RecvHook | null = RecvHook | null,
> = LowLatencyRows<S> & If<IsCast<Section<S>['dtype']>, LowLatencyScales<S>> & Hooked<Hook>;

/** bf16 [experts / ranks, ranks * maxTokensPerRank, hidden]: what a rank's experts gave for the rows that they got. */
export type LowLatencyOutputs<S extends Spec> = Tensor<
  'bf16',
  readonly [number, number, S['hidden']]
>;

/** bf16 [tokens, hidden]. */
export type LowLatencySums<S extends Spec> = Tensor<'bf16', readonly [number, S['hidden']]>;

/** What `lowLatencyCombine` takes on one rank. */
export type LowLatencyCombineCall<S extends Spec> = {
  /**
   * bf16 [experts / ranks, ranks * maxTokensPerRank, hidden]: one row per received row. Read in place if it is the tensor of
   * `getNextLowLatencyCombineBuffer`; of any other tensor the rows that arrived are copied first, cast where
   * `ll.combineDtype` is fp8.
   */
  readonly x: LowLatencyOutputs<S>;
  /** f32 [tokens, topk]: what each selection's row is multiplied by. */
  readonly topkWeights: Tensor<'f32', readonly [number, S['topk']]>;
  /** What this rank's dispatch gave. */
  readonly handle: LowLatencyHandle<S>;
  /** bf16 [tokens, hidden] for the sums, apart from what the call reads. Default: memory of their own. */
  readonly out?: LowLatencySums<S> | null | undefined;
} & LowLatencyOptions &
  If<HasLowLatencyStats<S>, WaitStats>;

/** What one rank's low-latency combine gives, at once: reading the sums waits for them. */
export interface LowLatencyCombined<
  S extends Spec,
  Hook extends RecvHook | null = RecvHook | null,
> {
  /**
   * bf16 [tokens, hidden]: each token's rows times their weights, added in the order of k, in f32, rounded once; 0 where it
   * went nowhere. Lies in `out`, where the call gave one, and lives as long: `out` itself tells nobody whether they came.
   */
  readonly x: LowLatencySums<S>;
  /** Of `asyncFinish`: when the sums are there. Null without it. */
  readonly event: Event | null;
  /** Of `returnRecvHook`: call it where the sums are needed, once. Null without it. */
  readonly hook: Hook;
}
