// Types of low-latency calls, which a wrong tensor turns into a sentence.
import type {
  At,
  Checked,
  CheckedTopkIdx,
  CheckedTopkWeights,
  Refusal,
  WrongDType,
} from './call-checks.js';
import type { DType } from './dtype.js';
import type { LowLatencyHandle } from './low-latency-handle.js';
import type {
  DispatchStats,
  HasLowLatencyStats,
  LowLatencyCombined,
  LowLatencyDispatchOptions,
  LowLatencyOptions,
  LowLatencyOutputs,
  LowLatencyReceived,
  RecvHook,
  WaitStats,
} from './low-latency-types.js';
import type { If } from './payload-types.js';
import type { Spec } from './spec-types.js';
import type { Tensor } from './tensor.js';

/** `T` for a spec with low-latency calls; otherwise what to do for it. */
export type WithLowLatency<S extends Spec, Method extends string, T> = [S['ll']] extends [false]
  ? `Expected a module with ${Method}, which this one was built without: set ll in the spec and build again`
  : T;

type CheckedTokens<S extends Spec, T, Name extends string> = Checked<
  T,
  Name,
  'bf16',
  S['hidden'],
  'hidden',
  `epgen build --ranks ${S['ranks']} --hidden`
>;

/** `T` itself where it is a tensor of expert outputs; otherwise what is wrong with it. */
type CheckedOutputs<S extends Spec, T> =
  T extends LowLatencyOutputs<S>
    ? T
    : T extends Tensor<infer Received, readonly number[]>
      ? [Received & 'bf16'] extends [never]
        ? WrongOutputs<Received>
        : `Expected x to have the shape [experts / ranks, ranks * maxTokensPerRank, ${S['hidden']}]`
      : LowLatencyOutputs<S>;

type WrongOutputs<Received extends DType> = WrongDType<
  'x',
  Received,
  'bf16',
  'experts / ranks, ranks * maxTokensPerRank, hidden'
>;

type StatsKey = keyof DispatchStats;

/** A sentence for each key that a call may not have. */
type WithoutOthers<S extends Spec, C, Op extends string, Known> = {
  readonly [K in keyof C as C[K] extends null | undefined
    ? never
    : K extends Exclude<Known, HasLowLatencyStats<S> extends false ? StatsKey : never>
      ? never
      : K]: K extends StatsKey & Known
    ? Refusal<
        C[K],
        `Expected the call to be without ${K}, which this module was built without: set ll.stats in the spec and build again`
      >
    : Refusal<C[K], `Expected the call to be without ${K & string}, which ${Op} does not know`>;
};

/** A low-latency dispatch call for the tensors of C. */
export type CheckedLowLatencyDispatchCall<S extends Spec, C> = WithLowLatency<
  S,
  'lowLatencyDispatch',
  {
    /** bf16 [tokens, hidden], with 0 to `ll.maxTokensPerRank` tokens. */
    readonly x: CheckedTokens<S, At<C, 'x'>, 'x'>;
    /** [tokens, topk]: experts, or -1 for none. */
    readonly topkIdx: CheckedTopkIdx<S, At<C, 'topkIdx'>>;
  } & LowLatencyDispatchOptions &
    If<HasLowLatencyStats<S>, DispatchStats> &
    WithoutOthers<
      S,
      C,
      'lowLatencyDispatch',
      'x' | 'topkIdx' | keyof LowLatencyDispatchOptions | StatsKey
    >
>;

/** A low-latency combine call for the tensors of C. */
export type CheckedLowLatencyCombineCall<S extends Spec, C> = WithLowLatency<
  S,
  'lowLatencyCombine',
  {
    /** bf16 [experts / ranks, ranks * maxTokensPerRank, hidden]: one row per received row. */
    readonly x: CheckedOutputs<S, At<C, 'x'>>;
    /** f32 [tokens, topk]: what each selection's row is multiplied by. */
    readonly topkWeights: CheckedTopkWeights<S, At<C, 'topkWeights'>>;
    /** What this rank's dispatch gave. */
    readonly handle: LowLatencyHandle<S>;
    /** bf16 [tokens, hidden] for the sums, apart from what the call reads. */
    readonly out?: CheckedOut<S, At<C, 'out'>>;
  } & LowLatencyOptions &
    If<HasLowLatencyStats<S>, WaitStats> &
    WithoutOthers<
      S,
      C,
      'lowLatencyCombine',
      'x' | 'topkWeights' | 'handle' | 'out' | keyof LowLatencyOptions | keyof WaitStats
    >
>;

type CheckedOut<S extends Spec, T> = T extends Tensor
  ? CheckedTokens<S, T, 'out'>
  : Tensor<'bf16', readonly [number, S['hidden']]> | null | undefined;

/** The hook that a call of the type C asks for. */
type HookOf<C> = [C] extends [never]
  ? RecvHook | null
  : C extends unknown
    ? 'returnRecvHook' extends keyof C
      ? HookWhere<C['returnRecvHook']>
      : null
    : never;

type HookWhere<Asked> = [Asked] extends [true]
  ? RecvHook
  : [Asked] extends [false | undefined]
    ? null
    : RecvHook | null;

/** What a low-latency dispatch call of the type C gives. */
export type LowLatencyReceivedFrom<S extends Spec, C> = LowLatencyReceived<S, HookOf<C>>;

/** What a low-latency combine call of the type C gives. */
export type LowLatencyCombinedFrom<S extends Spec, C> = LowLatencyCombined<S, HookOf<C>>;

/** One low-latency dispatch call per rank, each checked by itself. */
export type CheckedLowLatencyDispatchCalls<S extends Spec, P extends readonly unknown[]> = {
  readonly [I in keyof P]: CheckedLowLatencyDispatchCall<S, P[I]>;
};

/** One low-latency combine call per rank, each checked by itself. */
export type CheckedLowLatencyCombineCalls<S extends Spec, P extends readonly unknown[]> = {
  readonly [I in keyof P]: CheckedLowLatencyCombineCall<S, P[I]>;
};
