// Types that a wrong tensor turns into a sentence, so that the compiler says what to build instead.
import type { ChannelOptions, DispatchCall } from './call-types.js';
import type { DType } from './dtype.js';
import type { Handle } from './handle.js';
import type { Spec } from './spec-types.js';
import type { AnyTensor, Tensor } from './tensor.js';

type Rows<D extends DType, N extends number> = Tensor<D, readonly [number, N]>;

/** `T` itself where it has the dtype and row size; otherwise what is wrong with it. */
type Checked<
  T,
  Name extends string,
  D extends DType,
  N extends number,
  Size extends string,
  Build extends string,
> =
  T extends Rows<D, N>
    ? T
    : T extends Tensor<infer Received, readonly number[]>
      ? [Received] extends [D]
        ? T extends Tensor<D, readonly [number, infer M extends number]>
          ? number extends M
            ? `Expected ${Name} to have the shape [tokens, ${N}] but received a ${Size} that the compiler does not know: write spec.${Size} in the shape`
            : `Expected ${Name} to have ${Size} ${N}, which this module was built for, but received ${M}: run ${Build} ${M}`
          : `Expected ${Name} to have the shape [tokens, ${N}]`
        : `Expected ${Name} to have the dtype ${D} but received ${Received}: make it with rank.tensor('${D}', [tokens, ${N}])`
      : Rows<D, N>;

export type CheckedX<S extends Spec, T> = Checked<
  T,
  'x',
  'bf16',
  S['hidden'],
  'hidden',
  `epgen build --ranks ${S['ranks']} --hidden`
>;

type CheckedTopk<S extends Spec, T, Name extends string, D extends DType> = Checked<
  T,
  Name,
  D,
  S['topk'],
  'topk',
  `epgen build --ranks ${S['ranks']} --hidden ${S['hidden']} --topk`
>;

export type CheckedTopkIdx<S extends Spec, T> = CheckedTopk<S, T, 'topkIdx', 'i64'>;

type CheckedTopkWeights<S extends Spec, T> = CheckedTopk<S, T, 'topkWeights', 'f32'>;

/** {@link DispatchCall} for tensors of the types X, I and W. */
export interface CheckedDispatchCall<
  S extends Spec,
  X extends AnyTensor,
  I extends AnyTensor,
  W extends AnyTensor,
> extends ChannelOptions {
  /** bf16 [tokens, hidden], with 0 to `maxTokensPerRank` tokens. */
  readonly x: CheckedX<S, X>;
  /** i64 [tokens, topk]: experts, or -1 for none. */
  readonly topkIdx: CheckedTopkIdx<S, I>;
  /** f32 [tokens, topk]; travels bit for bit. */
  readonly topkWeights: CheckedTopkWeights<S, W>;
  /** Copies what arrives out of the window, into tensors that live until they are disposed. Default: false. */
  readonly copy?: boolean | undefined;
}

/** `CombineCall` for a tensor of the type X. */
export interface CheckedCombineCall<S extends Spec, X extends AnyTensor> extends ChannelOptions {
  /** bf16 [rows, hidden]: one row per received row. */
  readonly x: CheckedX<S, X>;
  /** What this rank's dispatch gave. */
  readonly handle: Handle<S>;
  /** Not in this version; named so that a whole `Received` is not taken for a call. */
  readonly topkWeights?: undefined;
}

/** One dispatch call per rank, each checked by itself. */
export type CheckedDispatchCalls<S extends Spec, P extends readonly unknown[]> = {
  readonly [I in keyof P]: P[I] extends {
    readonly x: infer X extends AnyTensor;
    readonly topkIdx: infer T extends AnyTensor;
    readonly topkWeights: infer W extends AnyTensor;
  }
    ? CheckedDispatchCall<S, X, T, W>
    : DispatchCall<S>;
};

/** One combine call per rank, each checked by itself. */
export type CheckedCombineCalls<S extends Spec, P extends readonly unknown[]> = {
  readonly [I in keyof P]: P[I] extends { readonly x: infer X extends AnyTensor }
    ? CheckedCombineCall<S, X>
    : CheckedCombineCall<S, Rows<'bf16', S['hidden']>>;
};
