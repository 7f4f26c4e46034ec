import type { Handle } from './handle.js';
import type { Spec } from './spec-types.js';
import type { Tensor } from './tensor.js';

/** How a collective call runs. */
export interface ChannelOptions {
  /**
   * How many of the spec's channels run at once, 1 to all of them: on cuda as many SMs. The result does not depend on it.
   * Default: all on cuda, at most 2 on cpu.
   */
  readonly numChannels?: number | undefined;
}

/** What `dispatch` takes on one rank; all tensors are this rank's. */
export interface DispatchCall<S extends Spec> extends ChannelOptions {
  /** bf16 [tokens, hidden], with 0 to `maxTokensPerRank` tokens. */
  readonly x: Tensor<'bf16', readonly [number, S['hidden']]>;
  /** i64 [tokens, topk]: experts, or -1 for none. A token travels once to each rank that owns one of them. */
  readonly topkIdx: Tensor<'i64', readonly [number, S['topk']]>;
  /** f32 [tokens, topk]; travels bit for bit. */
  readonly topkWeights: Tensor<'f32', readonly [number, S['topk']]>;
  /** Copies what arrives out of the window, into tensors that live until they are disposed. Default: false. */
  readonly copy?: boolean | undefined;
}

/** What `combine` takes on one rank. */
export interface CombineCall<S extends Spec> extends ChannelOptions {
  /**
   * bf16 [rows, hidden]: one row per received row. Read in place if it is a live `received.x` of this rank or the tensor
   * of `combineInput`; any other tensor is copied first. A view that was handed to combine may not be written again.
   */
  readonly x: Tensor<'bf16', readonly [number, S['hidden']]>;
  /** What this rank's dispatch gave. */
  readonly handle: Handle<S>;
  /** Not in this version; named so that a whole `Received` is not taken for a call. */
  readonly topkWeights?: undefined;
}

/** What `getDispatchLayout` takes. */
export interface DispatchLayoutCall<S extends Spec> {
  /** i64 [tokens, topk]: experts, or -1 for none. */
  readonly topkIdx: Tensor<'i64', readonly [number, S['topk']]>;
}

/** The rows that arrived, in ascending order of source rank and source token. */
export interface ReceivedRows<S extends Spec> {
  /** bf16 [rows, hidden]. */
  readonly x: Tensor<'bf16', readonly [number, S['hidden']]>;
  /** i64 [rows, topk]: local experts, 0 to experts / ranks - 1, or -1 where the expert lives elsewhere. */
  readonly topkIdx: Tensor<'i64', readonly [number, S['topk']]>;
  /** f32 [rows, topk]: 0 where the expert lives elsewhere. */
  readonly topkWeights: Tensor<'f32', readonly [number, S['topk']]>;
  /** i32 [rows]: the token's index on its source rank. */
  readonly srcIdx: Tensor<'i32', readonly [number]>;
  readonly handle: Handle<S>;
}

/**
 * What one rank received. The tensors are views of the window: they live until `ht.liveResults` further dispatches were
 * enqueued on the rank, and throw `EpgenStaleError` from then on; with `copy: true` they live until they are disposed.
 */
export interface Received<S extends Spec> extends ReceivedRows<S> {
  /** [experts / ranks]: how many selections of each local expert arrived. */
  readonly numTokensPerExpert: Int32Array;
}

/** As {@link Received}, before counts are known: `maxRecvTokens` rows, of which only the first `numRecvTokens` are defined. */
export interface EnqueuedReceived<S extends Spec> extends ReceivedRows<S> {
  /** i32 [1]: how many rows arrived. Lives as long as the handle. */
  readonly numRecvTokens: Tensor<'i32', readonly [1]>;
  /** i32 [experts / ranks]: how many selections of each local expert arrived. Lives as long as the handle. */
  readonly numTokensPerExpert: Tensor<'i32', readonly [number]>;
}

/** What one rank's combine gives. */
export interface Combined<S extends Spec> {
  /** bf16 [tokens, hidden]: each token's rows summed in ascending rank order, in f32; 0 where it went nowhere. */
  readonly x: Tensor<'bf16', readonly [number, S['hidden']]>;
}

/** Where one rank's tokens would go. The tensors live until they are disposed. */
export interface DispatchLayout {
  /** i32 [ranks]: tokens, not selections, that go to each rank. */
  readonly numTokensPerRank: Tensor<'i32', readonly [number]>;
  /** Null: all ranks are on one node. */
  readonly numTokensPerRdmaRank: null;
  /** i32 [experts]: selections of each expert. */
  readonly numTokensPerExpert: Tensor<'i32', readonly [number]>;
  /** u8 [tokens, ranks]: 1 where the token goes to the rank, else 0. */
  readonly isTokenInRank: Tensor<'u8', readonly [number, number]>;
}
