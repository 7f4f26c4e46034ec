import { at } from './at.js';
import { bf16FromFloat, floatFromBf16 } from './bf16.js';
import { f16FromFloat, floatFromF16 } from './f16.js';

/** The array that holds the bits of each type that combine sums. */
export interface SummedBits {
  bf16: Uint16Array;
  f16: Uint16Array;
  f32: Uint32Array;
}

export type SummedDtype = keyof SummedBits;

interface Summed<Array> {
  readonly zeros: (length: number) => Array;
  readonly floatFrom: (bits: number) => number;
  readonly bitsFrom: (value: number) => number;
}

const floatView = new Float32Array(1);
const bitsView = new Uint32Array(floatView.buffer);

/** What a sum on the device returns for every NaN. */
const canonicalNan = 0x7fffffff;

const types: { readonly [D in SummedDtype]: Summed<SummedBits[D]> } = {
  bf16: {
    zeros: (length) => new Uint16Array(length),
    floatFrom: floatFromBf16,
    bitsFrom: bf16FromFloat,
  },
  f16: {
    zeros: (length) => new Uint16Array(length),
    floatFrom: floatFromF16,
    bitsFrom: f16FromFloat,
  },
  f32: {
    zeros: (length) => new Uint32Array(length),
    floatFrom: (bits) => {
      bitsView[0] = bits;
      return at(floatView, 0);
    },
    bitsFrom: (value) => {
      if (Number.isNaN(value)) return canonicalNan;
      floatView[0] = value;
      return at(bitsView, 0);
    },
  },
};

export function zerosOf<D extends SummedDtype>(dtype: D, length: number): SummedBits[D] {
  return types[dtype].zeros(length);
}

/** A row among the rows of an array. */
export interface SummedRow<D extends SummedDtype> {
  readonly x: SummedBits[D];
  readonly row: number;
}

/**
 * The sum of rows, element by element: f32 additions in the order of `rows`, from +0 on, rounded once at the end; a NaN
 * becomes 0x7FFF, in f32 0x7FFFFFFF.
 */
export function sumRows<D extends SummedDtype>(
  dtype: D,
  hidden: number,
  rows: readonly SummedRow<D>[],
): SummedBits[D] {
  const { floatFrom, bitsFrom } = types[dtype];
  const sum = new Float32Array(hidden);
  for (const { x, row } of rows) {
    for (let i = 0; i < hidden; i++) {
      sum[i] = at(sum, i) + floatFrom(at(x, row * hidden + i));
    }
  }
  const bits = zerosOf(dtype, hidden);
  sum.forEach((value, i) => {
    bits[i] = bitsFrom(value);
  });
  return bits;
}
