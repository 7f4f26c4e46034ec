// What combine takes and gives. A wrong tensor turns into a sentence, so that the compiler says what to build instead.
import type { Checked, CheckedTopkWeights, WithHighThroughput } from './call-checks.js';
import type { ChannelOptions } from './call-types.js';
import type { Event } from './event.js';
import type { ExpertMajor } from './expert-major-types.js';
import type { Handle } from './handle.js';
import type { HtOf, Spec } from './spec-types.js';
import type { AnyTensor, Tensor } from './tensor.js';

/** Rows that combine sums, and those that it gives. */
export type CombineRows<S extends Spec> = Tensor<S['combineDtype'], readonly [number, S['hidden']]>;

/** Top-k weights of rows or tokens. */
export type CombineWeights<S extends Spec> = Tensor<'f32', readonly [number, S['topk']]>;

/** `Members` where `Asked` is what the spec says, else `Without`. */
type Where<Said, Asked, Members, Without = unknown> = [Said] extends [Asked] ? Members : Without;

interface CombineBasics<S extends Spec, X> extends ChannelOptions {
  /**
   * [rows, hidden] of `combineDtype`: one row per received row. Read in place if it is a live `received.x` of this rank or
   * the tensor of `combineInput`; any other tensor is copied first. A view that was handed to combine may not be written
   * again. With `expertMajor` one row per row of that, outside of the window.
   */
  readonly x: X;
  /** What this rank's dispatch gave. */
  readonly handle: Handle<S>;
}

interface WithWeights<W> {
  /**
   * f32 [rows, topk]: summed per selection over the ranks that hold the token. Read in place if it is a live
   * `received.topkWeights` of this rank; any other tensor is copied first. All ranks give them, or none does.
   */
  readonly topkWeights?: W | null | undefined;
}

interface WithoutWeights {
  /** Needs `ht.combineWeights` in the spec; named so that a whole `Received` is not taken for a call. */
  readonly topkWeights?: undefined;
}

interface WithBias<B> {
  /** [tokens, hidden] of `combineDtype`: added before all rows, in f32. */
  readonly bias?: B | readonly [B] | null | undefined;
}

interface WithBiases<B> {
  /** One or two [tokens, hidden] of `combineDtype`: added before all rows, in their order, in f32. */
  readonly bias?: B | readonly [B] | readonly [B, B] | null | undefined;
}

interface WithExperts<S extends Spec> {
  /**
   * What `rank.expertMajor` gave for the handle: the rows of x lie as its rows do, and those of each received row are summed
   * first, in the order of k, in f32, rounded once.
   */
  readonly expertMajor?: Pick<ExpertMajor<S>, 'slot'> | null | undefined;
}

type CombineOptions<S extends Spec, W, B> = Where<
  HtOf<S>['combineWeights'],
  true,
  WithWeights<W>,
  WithoutWeights
> &
  Where<HtOf<S>['biases'], 1, WithBias<B>> &
  Where<HtOf<S>['biases'], 2, WithBiases<B>> &
  Where<HtOf<S>['expertMajor'], true, WithExperts<S>>;

/** What `combine` takes on one rank. */
export type CombineCall<S extends Spec> = CombineBasics<S, CombineRows<S>> &
  CombineOptions<S, CombineWeights<S>, CombineRows<S>>;

/** What one rank's combine gives. */
export type Combined<S extends Spec> = {
  /** [tokens, hidden] of `combineDtype`: each token's rows summed in ascending rank order, in f32; 0 where it went nowhere. */
  readonly x: CombineRows<S>;
  /** Of `asyncFinish`: when the sums are there. Null without it. */
  readonly event: Event | null;
} & Where<HtOf<S>['combineWeights'], true, CombinedWeights<S>>;

interface CombinedWeights<S extends Spec> {
  /** f32 [tokens, topk]: sums of the ranks' weights; null where the call gave none. */
  readonly topkWeights: CombineWeights<S> | null;
}

type CheckedRows<S extends Spec, T, Name extends string> = Checked<
  T,
  Name,
  S['combineDtype'],
  S['hidden'],
  'hidden',
  `epgen build --ranks ${S['ranks']} --hidden`
>;

/** {@link CombineCall} for tensors of the types X, W and B. */
export type CheckedCombineCall<
  S extends Spec,
  X extends AnyTensor,
  W extends AnyTensor,
  B extends AnyTensor,
> = WithHighThroughput<
  S,
  'combine',
  CombineBasics<S, CheckedRows<S, X, 'x'>> &
    CombineOptions<S, CheckedTopkWeights<S, W>, CheckedRows<S, B, 'bias'>>
>;

/** One combine call per rank, each checked by itself. */
export type CheckedCombineCalls<S extends Spec, P extends readonly unknown[]> = {
  readonly [I in keyof P]: CheckedCombineCall<
    S,
    TensorOf<P[I], 'x', CombineRows<S>>,
    TensorOf<P[I], 'topkWeights', CombineWeights<S>>,
    TensorOf<P[I], 'bias', CombineRows<S>>
  >;
};

/** The type of a member, where it is a tensor. */
type TensorOf<Call, Name extends string, Otherwise> = Call extends {
  readonly [N in Name]: infer T extends AnyTensor;
}
  ? T
  : Otherwise;
