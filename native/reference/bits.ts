/** Elements as bit patterns: of 1, 2 or 4 bytes. */
export type Bits = Uint8Array | Uint16Array | Uint32Array;

/** Indices of chosen experts. */
export type Indices = BigInt64Array | Int32Array;

/** Zeros of the same kind as `array`. */
export function zerosLike<A extends Bits | Indices>(array: A, length: number): A {
  return new (array.constructor as new (length: number) => A)(length);
}
