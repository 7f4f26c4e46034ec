// Types of rows by local expert; what a spec lacks is absent from them.
import type { Received } from './call-types.js';
import type { Payload } from './payload-types.js';
import type { HtOf, Spec } from './spec-types.js';
import type { Tensor } from './tensor.js';

/** What `rank.expertMajor` takes: all that `dispatch` gave this rank, or the rows of another dispatch along its handle. */
export type ExpertMajorInput<S extends Spec> = HtOf<S>['expertMajor'] extends false
  ? 'Expected a module with rank.expertMajor, which this one was built without: set ht.expertMajor in the spec and build again'
  : Omit<Received<S>, 'srcIdx' | 'event'>;

/** How `rank.expertMajor` runs. */
export interface ExpertMajorOptions {
  /** Zeros in the rows that fill up an expert's group, which are undefined otherwise. Default: false. */
  readonly zeroPadding?: boolean | undefined;
}

interface Grouping<S extends Spec> {
  /** f32 [rows]: the weight of each row's selection. */
  readonly topkWeights: Tensor<'f32', readonly [number]>;
  /** i32 [received rows, topk]: the row of each selection, -1 where the expert lives elsewhere. */
  readonly slot: Tensor<'i32', readonly [number, S['topk']]>;
  /** [experts / ranks]: rows of each expert, padding included. */
  readonly numTokensPerExpert: Int32Array;
}

/**
 * Received rows once for each of their selections, grouped by local expert; within a group in the order in which they were
 * received, and of k. Groups begin at multiples of the dispatch's `expertAlignment`. With `scaleLayout: 'column'` xScales is
 * [scales, rows]. The tensors live until they are disposed.
 */
export type ExpertMajor<S extends Spec> = Payload<S> & Grouping<S>;
