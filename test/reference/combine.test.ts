import { describe, expect, test } from 'vitest';
import { at } from '../../native/reference/at.js';
import {
  bf16FromFloat,
  combineReference,
  combineWeightsReference,
  f16FromFloat,
} from '../../native/reference/index.js';

const row = (...values: number[]): Uint16Array => Uint16Array.from(values, bf16FromFloat);

/** One token of rank 0, held by every rank, one row each. */
function combineRows(...rows: Uint16Array[]): Uint16Array {
  const slot = new Int32Array(rows.length);
  const outputs = combineReference({
    ranks: rows.length,
    hidden: at(rows, 0).length,
    perRank: rows.map((x, rank) => ({ x, slot: rank === 0 ? slot : new Int32Array(0) })),
  });
  return at(outputs, 0);
}

test.each([
  ['a plain sum', [1, 2, 3], 6],
  ['one rounding, at the end', [256, 1, 1], 258],
  ['f32 additions in ascending order', [2 ** 30, 1, -(2 ** 30)], 0],
  ['another order, another sum', [2 ** 30, -(2 ** 30), 1], 1],
  ['overflow', [3e38, 3e38, -3e38], Infinity],
])('%s', (_, values, sum) => {
  expect(combineRows(...values.map((value) => row(value)))).toEqual(row(sum));
});

test('NaN is canonical, and a lone −0 becomes +0 because sums start at +0', () => {
  expect(
    combineRows(Uint16Array.of(0xffc1, 0x7f80, 0x8000), Uint16Array.of(0x3f80, 0xff80, 0x8000)),
  ).toEqual(Uint16Array.of(0x7fff, 0x7fff, 0x0000));
});

test('rows are found by slot; a token sent nowhere gives zeros', () => {
  const out = combineReference({
    ranks: 2,
    hidden: 2,
    perRank: [
      { x: row(1, 2, 3, 4), slot: Int32Array.of(1, 0, -1, -1, -1, 1) },
      { x: row(10, 20, 30, 40), slot: Int32Array.of(0, -1) },
    ],
  });
  expect(out).toEqual([row(13, 24, 0, 0, 30, 40), row(1, 2)]);
});

const word = (value: number): number => at(new Uint32Array(Float32Array.of(value).buffer), 0);
const types = {
  bf16: { bits: bf16FromFloat, array: Uint16Array, nan: 0x7fff },
  f16: { bits: f16FromFloat, array: Uint16Array, nan: 0x7fff },
  f32: { bits: word, array: Uint32Array, nan: 0x7fffffff },
} as const;

describe.each(['bf16', 'f16', 'f32'] as const)('%s', (dtype) => {
  const { bits, array, nan } = types[dtype];
  const row = (...values: number[]) => new array(values.map(bits));

  /** One token of rank 0 with one element, held by every rank; the other ranks sent nothing. */
  function combine(values: readonly number[], ...biases: readonly number[]) {
    const [out] = combineReference({
      ranks: values.length,
      hidden: 1,
      dtype,
      perRank: values.map((value, rank) => ({
        x: row(value),
        slot: new Int32Array(rank === 0 ? values.length : 0),
        biases: rank === 0 ? biases.map((bias) => row(bias)) : [],
      })),
    });
    return out;
  }

  test('biases come first, then ranks in ascending order, all in f32', () => {
    const big = dtype === 'f16' ? 2 ** 15 : 2 ** 30;
    const small = big * 2 ** -25;
    expect(combine([small, -big], big)).toEqual(row(0));
    expect(combine([small, 0], big, -big)).toEqual(row(small));
    expect(combine([-big, 0], big, small)).toEqual(row(0));
  });

  test('sums are rounded once', () => {
    const ulp = { bf16: 2 ** -7, f16: 2 ** -10, f32: 2 ** -23 }[dtype];
    const half = dtype === 'f32' ? 0 : ulp / 2;
    expect(combine([half, half], 1)).toEqual(row(1 + 2 * half));
    expect(combine([ulp, 0], 1)).toEqual(row(1 + ulp));
  });

  test('a NaN is canonical; −0 alone becomes +0', () => {
    expect(combine([Infinity, -Infinity])).toEqual(array.of(nan));
    expect(combine([-0, -0], -0, -0)).toEqual(array.of(0));
  });

  test('a token sent nowhere gives its biases', () => {
    const [out] = combineReference({
      ...{ ranks: 1, hidden: 2, dtype },
      perRank: [{ x: row(), slot: Int32Array.of(-1), biases: [row(1, 2), row(3, -2)] }],
    });
    expect(out).toEqual(row(4, 0));
  });
});

test('f16 overflows where f32 does not', () => {
  const [out] = combineReference({
    ...{ ranks: 2, hidden: 2, dtype: 'f16' },
    perRank: [
      { x: Uint16Array.of(0x7bff, 0x7bff), slot: Int32Array.of(0, 0) },
      { x: Uint16Array.of(0x7bff, 0xfbff), slot: new Int32Array(0) },
    ],
  });
  expect(out).toEqual(Uint16Array.of(0x7c00, 0));
});

test('f32 subnormals are kept', () => {
  const [out] = combineReference({
    ...{ ranks: 1, hidden: 1, dtype: 'f32' },
    perRank: [{ x: Uint32Array.of(3), slot: Int32Array.of(0), biases: [Uint32Array.of(4)] }],
  });
  expect(out).toEqual(Uint32Array.of(7));
});

test('top-k weights: each k by itself, over the ranks that hold the token', () => {
  const weights = (...values: number[]) => Uint32Array.from(values, word);
  const outputs = combineWeightsReference({
    ranks: 2,
    topk: 2,
    perRank: [
      { topkWeights: weights(1, 0, 0, 2), slot: Int32Array.of(0, 0, -1, -1, 1, -1) },
      { topkWeights: weights(0, 4), slot: Int32Array.of() },
    ],
  });
  expect(outputs).toEqual([weights(1, 4, 0, 0, 0, 2), weights()]);
});
