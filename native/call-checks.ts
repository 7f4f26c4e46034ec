// Types that a wrong tensor turns into a sentence, so that the compiler says what to build instead.
import type {
  CachedReceived,
  CachedRouting,
  ChannelOptions,
  CountingOptions,
  DispatchOptions,
  EnqueuedReceived,
  EnqueuedWithoutTopk,
  LayoutRouting,
  Received,
  ReceivedWithoutTopk,
} from './call-types.js';
import type { DType } from './dtype.js';
import type { HasExtras, HasScales, If, ScaleDType } from './payload-types.js';
import type { HtOf, Spec } from './spec-types.js';
import type { Tensor } from './tensor.js';

type Rows<D extends DType, N extends number> = Tensor<D, readonly [number, N]>;

/** `T` itself where it has the dtype and row size; otherwise what is wrong with it. `Build` is what gets another size. */
export type Checked<
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
        : [Received & D] extends [never]
          ? WrongDType<Name, Received, D, `tokens, ${N}`>
          : T // of a spec that the compiler does not know
      : Rows<D, N>;

export type WrongDType<
  Name extends string,
  Received extends DType,
  D extends DType,
  Shape extends string,
> = `Expected ${Name} to have the dtype ${D} but received ${Received}: make it with rank.tensor('${D}', [${Shape}])`;

type CheckedRows<S extends Spec, T, D extends DType> = Checked<
  T,
  'x',
  D,
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

export type CheckedTopkIdx<S extends Spec, T> = CheckedTopk<S, T, 'topkIdx', S['topkIdx']>;

export type CheckedTopkWeights<S extends Spec, T> = CheckedTopk<S, T, 'topkWeights', 'f32'>;

type ScaleShape<S extends Spec> = S['scaleLayout'] extends 'row'
  ? 'tokens, scales'
  : 'scales, tokens';

type CheckedScales<S extends Spec, T> =
  T extends Rows<ScaleDType<S>, number>
    ? T
    : T extends Tensor<infer Received, readonly number[]>
      ? [Received] extends [ScaleDType<S>]
        ? `Expected xScales to have the shape [${ScaleShape<S>}]`
        : WrongDType<'xScales', Received, ScaleDType<S>, ScaleShape<S>>
      : Rows<ScaleDType<S>, number>;

/** What a call has under a key; unknown where it lacks it. */
export type At<C, K extends string> = K extends keyof C ? C[K] : unknown;

/** `Payload` for the tensors of C. */
type CheckedPayload<S extends Spec, C> = {
  /** [tokens, hidden], with 0 to `maxTokensPerRank` tokens. */
  readonly x: CheckedRows<S, At<C, 'x'>, S['dtype']>;
} & If<HasScales<S>, { readonly xScales: CheckedScales<S, At<C, 'xScales'>> }> &
  If<
    HasExtras<S>,
    {
      readonly extras: Checked<
        At<C, 'extras'>,
        'extras',
        'u8',
        S['extraBytes'],
        'extraBytes',
        `epgen build --ranks ${S['ranks']} --hidden ${S['hidden']} --extra-bytes`
      >;
    }
  >;

interface CheckedTopkRouting<S extends Spec, C> {
  /** [tokens, topk]: experts, or -1 for none. */
  readonly topkIdx: CheckedTopkIdx<S, At<C, 'topkIdx'>>;
  /** f32 [tokens, topk]; travels bit for bit. */
  readonly topkWeights: CheckedTopkWeights<S, At<C, 'topkWeights'>>;
}

/** What only some specs have, and the field that asks for it. */
interface Needs {
  readonly xScales: "dtype 'fp8_e4m3'";
  readonly extras: 'extraBytes';
  readonly layout: 'ht.withoutTopk';
  readonly handle: 'ht.cached';
  readonly numWorstTokens: 'ht.worstTokens';
}

interface Has<S extends Spec> {
  readonly xScales: HasScales<S>;
  readonly extras: HasExtras<S>;
  readonly layout: HtOf<S>['withoutTopk'];
  readonly handle: HtOf<S>['cached'];
  readonly numWorstTokens: HtOf<S>['worstTokens'];
}

type Lacking<S extends Spec> = {
  [K in keyof Needs]: Has<S>[K] extends false ? K : never;
}[keyof Needs];

type Key = 'x' | 'topkIdx' | 'topkWeights' | keyof Needs | keyof DispatchOptions;

/** What a handle or a layout says in the place of other arguments. */
type Settled<S extends Spec, C> = C extends { readonly handle: object }
  ? SettledBy<S, 'handle', 'topkIdx' | 'topkWeights' | 'layout' | keyof WithoutHandle>
  : C extends { readonly layout: object }
    ? SettledBy<S, 'layout', 'topkIdx' | 'topkWeights'>
    : unknown;

type WithoutHandle = Omit<CountingOptions<Spec>, keyof ChannelOptions | 'copy'>;

type SettledBy<S extends Spec, Name extends string, K extends string> =
  Name extends Lacking<S> ? unknown : { readonly [_ in K]: Name };

/** A sentence for each key that a call may not have. */
type WithoutOthers<S extends Spec, C> = {
  readonly [K in keyof C as C[K] extends null | undefined
    ? never
    : K extends Exclude<Key, Lacking<S> | keyof Settled<S, C>>
      ? never
      : K]: K extends Lacking<S>
    ? Refusal<
        C[K],
        `Expected the call to be without ${K}, which this module was built without: set ${Needs[K]} in the spec and build again`
      >
    : K extends keyof Settled<S, C>
      ? Refusal<
          C[K],
          `Expected the call to be without ${K & string}, which its ${Settled<S, C>[K] & string} says`
        >
      : Refusal<
          C[K],
          `Expected the call to be without ${K & string}, which dispatch does not know`
        >;
};

/** A sentence that no value of the type T fits; a primitive and a sentence of its own would leave `never`, which says nothing. */
export type Refusal<T, Sentence extends string> = T extends object
  ? Sentence
  : { readonly is: Sentence };

/** `T` for a spec with high-throughput calls; otherwise what to do for it. */
export type WithHighThroughput<S extends Spec, Method extends string, T> = [S['ht']] extends [false]
  ? `Expected a module with ${Method}, which this one was built without: set ht in the spec and build again`
  : T;

/** A dispatch call for the tensors of C. */
export type CheckedDispatchCall<S extends Spec, C> = WithHighThroughput<
  S,
  'dispatch',
  CheckedPayload<S, C> & CheckedRouting<S, C> & CountingOptions<S> & WithoutOthers<S, C>
>;

/** What `getDispatchLayout` takes, for a tensor of the type I. */
export type CheckedDispatchLayoutCall<S extends Spec, I> = WithHighThroughput<
  S,
  'getDispatchLayout',
  {
    /** [tokens, topk]: experts, or -1 for none. */
    readonly topkIdx: CheckedTopkIdx<S, I>;
  }
>;

type CheckedRouting<S extends Spec, C> = C extends { readonly handle: object }
  ? CachedRouting<S>
  : C extends { readonly layout: object }
    ? LayoutRouting
    : CheckedTopkRouting<S, C>;

/** What a dispatch call of the type C gives. */
export type ReceivedFrom<S extends Spec, C> = [C] extends [never]
  ? Received<S>
  : C extends { readonly handle: object }
    ? CachedReceived<S>
    : C extends { readonly layout: object }
      ? ReceivedWithoutTopk<S>
      : Received<S>;

/** What an enqueued dispatch call of the type C gives. */
export type EnqueuedFrom<S extends Spec, C> = [C] extends [never]
  ? EnqueuedReceived<S>
  : C extends { readonly handle: object }
    ? CachedReceived<S>
    : C extends { readonly layout: object }
      ? EnqueuedWithoutTopk<S>
      : EnqueuedReceived<S>;

/** One dispatch call per rank, each checked by itself. */
export type CheckedDispatchCalls<S extends Spec, P extends readonly unknown[]> = {
  readonly [I in keyof P]: CheckedDispatchCall<S, P[I]>;
};
