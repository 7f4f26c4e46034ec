import { expect, test } from 'vitest';
import { at } from '../../native/reference/at.js';
import { bf16FromFloat, combineReference } from '../../native/reference/index.js';

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
