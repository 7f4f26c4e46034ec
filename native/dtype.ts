import { bf16FromFloat32, float32FromBf16 } from './bf16.js';
import { EpgenArgumentError } from './errors.js';
import { f16FromFloat32, float32FromF16 } from './f16.js';
import { float32FromFp8, fp8FromFloat32 } from './fp8.js';

/** Element types of tensors. */
export type DType = 'bf16' | 'f16' | 'fp8_e4m3' | 'f32' | 'i32' | 'i64' | 'u8';

/** The array that holds a dtype's bits in JavaScript. */
export interface BitsOf {
  bf16: Uint16Array;
  f16: Uint16Array;
  fp8_e4m3: Uint8Array;
  f32: Float32Array;
  i32: Int32Array;
  i64: BigInt64Array;
  u8: Uint8Array;
}

/**
 * What a tensor of a dtype can be filled from. bf16, f16 and fp8_e4m3 take values, rounded to nearest even, or bits:
 * `Uint16Array`, and `Uint8Array` for fp8. Values beyond ±448 become ±448 in fp8.
 */
export interface ValuesOf {
  bf16: Float32Array | Uint16Array | readonly number[];
  f16: Float32Array | Uint16Array | readonly number[];
  fp8_e4m3: Float32Array | Uint8Array | readonly number[];
  f32: Float32Array | readonly number[];
  i32: Int32Array | readonly number[];
  i64: BigInt64Array | Int32Array | readonly number[];
  u8: Uint8Array | readonly number[];
}

type Values = ValuesOf[DType];

interface DTypeFacts<D extends DType> {
  readonly bytes: number;
  readonly accepts: string;
  /** The bits of `values`, or undefined where their type does not fit. Typed arrays of the same bits are not copied. */
  readonly bitsFrom: (values: Values) => BitsOf[D] | undefined;
  readonly bitsIn: (buffer: ArrayBuffer) => BitsOf[D];
  readonly toFloat32: (bits: BitsOf[D]) => Float32Array;
}

/** Every dtype and what there is to know about it. */
export const DTYPES: { readonly [D in DType]: DTypeFacts<D> } = {
  bf16: {
    bytes: 2,
    accepts: 'a Float32Array or number[] of values, or a Uint16Array of bits',
    bitsFrom: (values) =>
      values instanceof Uint16Array ? values : rounded(values, bf16FromFloat32),
    bitsIn: (buffer) => new Uint16Array(buffer),
    toFloat32: float32FromBf16,
  },
  f16: {
    bytes: 2,
    accepts: 'a Float32Array or number[] of values, or a Uint16Array of bits',
    bitsFrom: (values) =>
      values instanceof Uint16Array ? values : rounded(values, f16FromFloat32),
    bitsIn: (buffer) => new Uint16Array(buffer),
    toFloat32: float32FromF16,
  },
  fp8_e4m3: {
    bytes: 1,
    accepts: 'a Float32Array or number[] of values, or a Uint8Array of bits',
    bitsFrom: (values) => (values instanceof Uint8Array ? values : rounded(values, fp8FromFloat32)),
    bitsIn: (buffer) => new Uint8Array(buffer),
    toFloat32: float32FromFp8,
  },
  f32: {
    bytes: 4,
    accepts: 'a Float32Array or number[]',
    bitsFrom: (values) => rounded(values, (floats) => floats),
    bitsIn: (buffer) => new Float32Array(buffer),
    toFloat32: (bits) => bits,
  },
  i32: {
    bytes: 4,
    accepts: 'an Int32Array or number[]',
    bitsFrom: (values) => {
      if (values instanceof Int32Array) return values;
      if (!isNumbers(values)) return undefined;
      return Int32Array.from(integers(values, -(2 ** 31), 2 ** 31 - 1));
    },
    bitsIn: (buffer) => new Int32Array(buffer),
    toFloat32: (bits) => Float32Array.from(bits),
  },
  i64: {
    bytes: 8,
    accepts: 'a BigInt64Array, Int32Array or number[]',
    bitsFrom: (values) => {
      if (values instanceof BigInt64Array) return values;
      if (values instanceof Int32Array) return bigIntsFrom(values);
      if (!isNumbers(values)) return undefined;
      return bigIntsFrom(integers(values, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER));
    },
    bitsIn: (buffer) => new BigInt64Array(buffer),
    toFloat32: (bits) => Float32Array.from(bits, Number),
  },
  u8: {
    bytes: 1,
    accepts: 'a Uint8Array or number[]',
    bitsFrom: (values) => {
      if (values instanceof Uint8Array) return values;
      return isNumbers(values) ? Uint8Array.from(integers(values, 0, 255)) : undefined;
    },
    bitsIn: (buffer) => new Uint8Array(buffer),
    toFloat32: (bits) => Float32Array.from(bits),
  },
};

/** The bytes that fill a tensor; they may share memory with `values`. Throws {@link EpgenArgumentError}. */
export function bytesFrom(dtype: DType, shape: readonly number[], values: Values): Uint8Array {
  const { accepts, bitsFrom } = DTYPES[dtype];
  const bits = bitsFrom(values);
  if (bits === undefined) {
    throw new EpgenArgumentError(
      `Expected values of the ${dtype} tensor to be ${accepts} but received ${describe(values)}`,
    );
  }
  const numElements = countElements(shape);
  if (bits.length !== numElements) {
    throw new EpgenArgumentError(
      `Expected values to have ${numElements} elements for the shape [${shape.join(', ')}] but received ${bits.length}`,
    );
  }
  return new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength);
}

/** Number of elements of a shape. */
export function countElements(shape: readonly number[]): number {
  // Sizes beside a 0 may be so large that their product is no number.
  return shape.includes(0) ? 0 : shape.reduce((product, size) => product * size, 1);
}

/** Names a value in an error message. */
export function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object') {
    const { name } = value.constructor ?? Object;
    return `${/^[AEIO]/.test(name) ? 'an' : 'a'} ${name}`;
  }
  if (typeof value === 'string') return `'${value}'`;
  if (typeof value === 'bigint') return `${value}n`;
  return String(value);
}

function isNumbers(values: Values): values is readonly number[] {
  return Array.isArray(values) && values.every((value) => typeof value === 'number');
}

/** Bits of values, by way of f32; undefined for what holds no values. */
function rounded<Bits>(
  values: Values,
  bitsFromFloat32: (floats: Float32Array) => Bits,
): Bits | undefined {
  if (values instanceof Float32Array) return bitsFromFloat32(values);
  return isNumbers(values) ? bitsFromFloat32(Float32Array.from(values)) : undefined;
}

function bigIntsFrom(values: Int32Array | readonly number[]): BigInt64Array {
  const bits = new BigInt64Array(values.length);
  for (let i = 0; i < bits.length; i += 1) bits[i] = BigInt(values[i] as number);
  return bits;
}

function integers(values: readonly number[], min: number, max: number): readonly number[] {
  const index = values.findIndex((value) => !Number.isInteger(value) || value < min || value > max);
  if (index >= 0) {
    throw new EpgenArgumentError(
      `Expected values[${index}] to be an integer in ${min}..${max} but received ${values[index]}`,
    );
  }
  return values;
}
