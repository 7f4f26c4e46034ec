import type { Event } from './event.js';
import type { Handle } from './handle.js';
import type { If, IsSlotted, Payload } from './payload-types.js';
import type { ReadyCounters } from './ready-counters.js';
import type { HtOf, Spec } from './spec-types.js';
import type { Stream } from './stream.js';
import type { Tensor } from './tensor.js';

/** How a collective call is ordered among its rank's streams. */
export interface OrderOptions {
  /**
   * Runs the call on the stream of its window, after what the rank's own stream has so far; the rank's own stream goes on,
   * and the result carries an event. What epgen itself does with the result waits for it. Default: false.
   */
  readonly asyncFinish?: boolean | undefined;
  /** An event of the rank that the call comes after; with `asyncFinish` in the place of what the rank's own stream has. */
  readonly previousEvent?: Event | null | undefined;
  /**
   * A stream of the rank, or a `cudaStream_t` of its device: the call comes after what it has so far and, without
   * `asyncFinish`, what it gets later comes after the call.
   */
  readonly stream?: Stream | bigint | null | undefined;
}

/** How a collective call runs. */
export interface ChannelOptions extends OrderOptions {
  /**
   * How many of the spec's channels run at once, 1 to all of them: on cuda as many SMs. The result does not depend on it.
   * Default: all on cuda, at most 2 on cpu.
   */
  readonly numChannels?: number | undefined;
}

/** How a dispatch runs. */
export interface DispatchOptions extends ChannelOptions {
  /** Which of the group's windows the tokens travel through; combines follow their handle. Default: 0. */
  readonly window?: number | undefined;
  /** `numTokensPerExpert` is rounded up to a multiple of it, 1 to 65536; rows are not padded. Default: 1. */
  readonly expertAlignment?: number | undefined;
  /** Copies what arrives out of the window, into tensors that live until they are disposed. Default: false. */
  readonly copy?: boolean | undefined;
}

interface WorstTokens {
  /**
   * 1 to `maxRecvTokens`: waits for no counts. The result has exactly so many rows: `topkIdx` is -1 in those behind the rows
   * that came, all else in them undefined, and its `numTokensPerExpert` is empty. If more rows come, the rank's next combine,
   * read or `copyFrom` that is awaited rejects with `EpgenArgumentError`. Default: 0, as many rows as come.
   */
  readonly numWorstTokens?: number | undefined;
}

/** How a dispatch runs that counts. */
export type CountingOptions<S extends Spec> = DispatchOptions &
  If<HtOf<S>['worstTokens'], WorstTokens>;

interface TopkRouting<S extends Spec> {
  /** [tokens, topk]: experts, or -1 for none. A token travels once to each rank that owns one of them. */
  readonly topkIdx: Tensor<S['topkIdx'], readonly [number, S['topk']]>;
  /** f32 [tokens, topk]; travels bit for bit. */
  readonly topkWeights: Tensor<'f32', readonly [number, S['topk']]>;
}

/** What `dispatch` takes on one rank: 0 to `maxTokensPerRank` tokens; all tensors are this rank's. */
export type DispatchCall<S extends Spec> = Payload<S> & TopkRouting<S> & CountingOptions<S>;

/** What a layout says about where tokens go. */
export interface LayoutRouting {
  /** What `getDispatchLayout` gave this rank; top-k choices do not travel. */
  readonly layout: Pick<DispatchLayout, 'isTokenInRank' | 'numTokensPerExpert'>;
}

/** What `dispatch` takes on one rank where a layout stands for top-k choices, on all ranks (`ht.withoutTopk`). */
export type LayoutDispatchCall<S extends Spec> = Payload<S> & LayoutRouting & CountingOptions<S>;

/** What makes a dispatch follow an earlier one. */
export interface CachedRouting<S extends Spec> {
  /** What an earlier dispatch gave this rank: its tokens go to the same rows again, on all ranks. */
  readonly handle: Handle<S>;
}

/** What `dispatch` takes on one rank where a handle says where tokens go (`ht.cached`); the window is the handle's. */
export type CachedDispatchCall<S extends Spec> = Payload<S> &
  CachedRouting<S> &
  ChannelOptions &
  Pick<DispatchOptions, 'copy'>;

/** What `getDispatchLayout` takes. */
export interface DispatchLayoutCall<S extends Spec> {
  /** [tokens, topk]: experts, or -1 for none. */
  readonly topkIdx: Tensor<S['topkIdx'], readonly [number, S['topk']]>;
}

interface ReceivedTopk<S extends Spec> {
  /** [rows, topk]: local experts, 0 to experts / ranks - 1, or -1 where the expert lives elsewhere. */
  readonly topkIdx: Tensor<S['topkIdx'], readonly [number, S['topk']]>;
  /** f32 [rows, topk]: 0 where the expert lives elsewhere. */
  readonly topkWeights: Tensor<'f32', readonly [number, S['topk']]>;
}

interface NoTopk {
  /** Null: the dispatch was routed by a layout. */
  readonly topkIdx: null;
  /** Null: the dispatch was routed by a layout. */
  readonly topkWeights: null;
}

interface Ready {
  /**
   * For a kernel of one's own that starts on the first rows, on another stream than the dispatch: see `ready.cuh` in the
   * generated folder. Null in a capture.
   */
  readonly ready: ReadyCounters | null;
}

type ReadyIn<S extends Spec> = If<HtOf<S>['readyCounters'], Ready>;

interface Origin<S extends Spec> {
  /** i32 [rows]: the token's index on its source rank. */
  readonly srcIdx: Tensor<'i32', readonly [number]>;
  readonly handle: Handle<S>;
  /** Of `asyncFinish`: when the rows are there. Null without it. */
  readonly event: Event | null;
}

interface Counts {
  /** [experts / ranks]: how many selections of each local expert arrived. */
  readonly numTokensPerExpert: Int32Array;
}

interface SourceCounts {
  /**
   * [ranks]: how many rows of each source rank arrived. Those of source s begin at row `s * maxTokensPerRank`; the others of
   * the `maxRecvTokens` rows are undefined.
   */
  readonly numTokensPerRank: Int32Array;
}

interface EnqueuedSourceCounts {
  /** i32 [ranks]: how many rows of each source rank arrived. Lives as long as the handle. */
  readonly numTokensPerRank: Tensor<'i32', readonly [number]>;
}

interface EnqueuedCounts {
  /** i32 [1]: how many rows arrived. Lives as long as the handle. */
  readonly numRecvTokens: Tensor<'i32', readonly [1]>;
  /** i32 [experts / ranks]: how many selections of each local expert arrived. Lives as long as the handle. */
  readonly numTokensPerExpert: Tensor<'i32', readonly [number]>;
}

/** The rows that arrived, in ascending order of source rank and source token. */
export type ReceivedRows<S extends Spec> = Payload<S> & ReceivedTopk<S> & Origin<S>;

/**
 * What one rank received. The tensors are views of the window: they live until `ht.liveResults` further dispatches were
 * enqueued on the rank, and throw `EpgenStaleError` from then on; with `copy: true` they live until they are disposed.
 */
export type Received<S extends Spec> = ReceivedRows<S> & AllCounts<S>;

type AllCounts<S extends Spec> = Counts & If<IsSlotted<S>, SourceCounts> & ReadyIn<S>;

type AllEnqueuedCounts<S extends Spec> = EnqueuedCounts &
  If<IsSlotted<S>, EnqueuedSourceCounts> &
  ReadyIn<S>;

/** As {@link Received}, of a dispatch that was routed by a layout. */
export type ReceivedWithoutTopk<S extends Spec> = Payload<S> & NoTopk & Origin<S> & AllCounts<S>;

/** What any dispatch that counts gives one rank. */
export type AnyReceived<S extends Spec> = Received<S> | ReceivedWithoutTopk<S>;

/** As {@link Received}, before counts are known: `maxRecvTokens` rows, of which only the first `numRecvTokens` are defined. */
export type EnqueuedReceived<S extends Spec> = ReceivedRows<S> & AllEnqueuedCounts<S>;

/** As {@link EnqueuedReceived}, of a dispatch that was routed by a layout. */
export type EnqueuedWithoutTopk<S extends Spec> = Payload<S> &
  NoTopk &
  Origin<S> &
  AllEnqueuedCounts<S>;

/** What a dispatch along the routing of a handle gives: as many rows as the handle's first dispatch gave. */
export type CachedReceived<S extends Spec> = Payload<S> & Omit<Origin<S>, 'srcIdx'> & ReadyIn<S>;

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
