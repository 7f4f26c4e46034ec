// Types of what travels beside a token's routing; what a spec lacks is absent from them.
import type { Spec } from './spec-types.js';
import type { Tensor } from './tensor.js';

/** `T` where a spec has it, nothing where not, and either where the spec is not known. */
export type If<Has extends boolean, T> = [Has] extends [true]
  ? T
  : [Has] extends [false]
    ? unknown
    : Partial<T>;

type IsScaled<D> = D extends 'fp8_e4m3' ? true : false;

export type IsSlotted<S extends Spec> = IsSlottedPlacement<S['channels']['memory']['placement']>;

type IsSlottedPlacement<P> = P extends 'slotted' ? true : false;

export type HasScales<S extends Spec> = IsScaled<S['dtype']>;

export type HasExtras<S extends Spec> = number extends S['extraBytes']
  ? boolean
  : S['extraBytes'] extends 0
    ? false
    : true;

type ScaleDTypeOf<D> = D extends 'f32' ? 'f32' : 'i32';

/** dtype of the words that scales travel in: f32, or i32 for four ue8m0. */
export type ScaleDType<S extends Spec> = ScaleDTypeOf<S['scaleDtype']>;

interface Rows<S extends Spec> {
  /** [rows, hidden], of the spec's `dtype`. */
  readonly x: Tensor<S['dtype'], readonly [number, S['hidden']]>;
}

interface Scales<S extends Spec> {
  /**
   * f32 [rows, blocks], one for each block of `scaleBlock` elements; for ue8m0 i32 [rows, blocks / 4] with four in each, the
   * first in the lowest byte. With `scaleLayout: 'column'` the transpose, where received columns lie `maxRecvTokens` apart,
   * rounded up to a multiple of 4.
   */
  readonly xScales: Tensor<ScaleDType<S>, readonly [number, number]>;
}

interface Extras<S extends Spec> {
  /** u8 [rows, extraBytes]: bytes of the caller's. */
  readonly extras: Tensor<'u8', readonly [number, S['extraBytes']]>;
}

/** Rows, and what lies beside each of them. */
export type Payload<S extends Spec> = Rows<S> &
  If<HasScales<S>, Scales<S>> &
  If<HasExtras<S>, Extras<S>>;
