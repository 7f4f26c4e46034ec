import { expect, test } from 'vitest';
import { at } from '../../native/reference/at.js';
import {
  castFromFp8,
  castToFp8,
  floatFromFp8,
  fp8FromFloat,
  packUe8m0,
  scaleColumns,
  unpackUe8m0,
} from '../../native/reference/index.js';
import { randomFrom } from '../support/random.js';

const floatsOf = (words: Uint32Array): number[] => [...new Float32Array(words.buffer)];
const valuesOf = (bits: Uint8Array): number[] => Array.from(bits, floatFromFp8);

const f32Block = { hidden: 4, scaleBlock: 4, scaleDtype: 'f32' } as const;
const zeroScale = Math.fround(Math.fround(1e-4) / 448);

test.each([
  ['amax 448 has the scale 1', [448, -1, 0, 2], 1, [448, -1, 0, 2]],
  ['amax decides, whatever its sign', [-896, 2, 0, 4], 2, [-448, 1, 0, 2]],
  ['zeros have the scale of 1e-4', [0, -0, 0, 0], zeroScale, [0, -0, 0, 0]],
  ['so have tiny blocks', [1e-30, 0, -1e-30, 0], zeroScale, [0, 0, -0, 0]],
  ['NaNs do not count', [Number.NaN, 448, -448, 1], 1, [Number.NaN, 448, -448, 1]],
  ['only NaNs', Array(4).fill(Number.NaN), zeroScale, Array(4).fill(Number.NaN)],
  ['an infinity', [Infinity, 1, -1, 0], Infinity, [Number.NaN, 0, -0, 0]],
])('f32 scales: %s', (_, values, scale, want) => {
  const { x, xScales } = castToFp8(Float32Array.from(values), f32Block);
  expect(floatsOf(xScales)).toEqual([scale]);
  expect(valuesOf(x)).toEqual(want);
});

test('f32 scales: every row has ⌈hidden / block⌉, the last for what is left', () => {
  const blocks = { hidden: 5, scaleBlock: 2, scaleDtype: 'f32' } as const;
  const { x, xScales } = castToFp8(
    Float32Array.of(448, 0, 0, 896, 1344, 224, 0, 0, 112, 56),
    blocks,
  );
  expect(floatsOf(xScales)).toEqual([1, 2, 3, 0.5, 0.25, 0.125]);
  expect(valuesOf(x)).toEqual([448, 0, 0, 448, 448, 448, 0, 0, 448, 448]);
});

// One row of four blocks: the scales are rounded up to powers of two, and quantising takes the rounded ones.
test('UE8M0 scales are rounded up before elements are divided by them', () => {
  const blocks = { hidden: 8, scaleBlock: 2, scaleDtype: 'ue8m0' } as const;
  const values = Float32Array.of(448, 1, 449, 2, 448 * 2 ** -20, 0, 0, 0);
  const { x, xScales } = castToFp8(values, blocks);
  expect([...unpackUe8m0(xScales)]).toEqual([127, 128, 107, 105]);
  expect(valuesOf(x)).toEqual([448, 1, 224, 1, 448, 0, 0, 0]);
});

test('UE8M0: every power of two from the smallest block to the largest', () => {
  for (let exponent = -22; exponent <= 119; exponent++) {
    for (const [amax, code] of [
      [448 * 2 ** exponent, exponent + 127],
      [nextUp(448 * 2 ** exponent), exponent + 128],
    ] as const) {
      const row = Float32Array.of(amax, 0, 0, 0);
      const { xScales } = castToFp8(row, { hidden: 4, scaleBlock: 1, scaleDtype: 'ue8m0' });
      expect(at(unpackUe8m0(xScales), 0), `${amax}`).toBe(Math.max(code, 105));
    }
  }
});

test('UE8M0: an infinity has the code 255', () => {
  const row = Float32Array.of(-Infinity, 1, 0, 0);
  const { x, xScales } = castToFp8(row, { hidden: 4, scaleBlock: 1, scaleDtype: 'ue8m0' });
  expect(at(unpackUe8m0(xScales), 0)).toBe(255);
  expect(x[0]).toBe(0x7f);
});

test.each(['f32', 'ue8m0'] as const)(
  '%s: what comes back is within one part in 16',
  (scaleDtype) => {
    const blocks = { hidden: 1024, scaleBlock: 128, scaleDtype };
    const random = randomFrom(8, 0);
    const values = Float32Array.from(
      { length: 4 * blocks.hidden },
      () => (random(2 ** 24) / 2 ** 23 - 1) * 2 ** (random(12) - 6),
    );
    const rows = castToFp8(values, blocks);
    const back = castFromFp8(rows, blocks);
    values.forEach((value, i) => {
      const first = i - (i % blocks.scaleBlock);
      const amax = Math.max(...values.subarray(first, first + blocks.scaleBlock).map(Math.abs));
      // Half a unit in the last place, of a normal or of a subnormal; UE8M0 scales are up to twice as large.
      const bound = Math.max(Math.abs(value) / 16, (amax / 448) * 2 ** -9) * 1.000001;
      expect(Math.abs(at(back, i) - value), `${value} of ${amax}`).toBeLessThanOrEqual(bound);
    });
  },
);

test('UE8M0 scales are packed four to a word, the first in the lowest byte', () => {
  expect(packUe8m0(Uint8Array.of(0x11, 0x22, 0x33, 0x84, 1, 2, 3, 4))).toEqual(
    Uint32Array.of(0x84332211, 0x04030201),
  );
  const codes = Uint8Array.from({ length: 256 }, (_, code) => code);
  expect(unpackUe8m0(packUe8m0(codes))).toEqual(codes);
});

test('columns are rows transposed', () => {
  expect(scaleColumns(Uint32Array.of(1, 2, 3, 4, 5, 6), 2)).toEqual(
    Uint32Array.of(1, 3, 5, 2, 4, 6),
  );
  expect(scaleColumns(new Uint32Array(0), 2)).toEqual(new Uint32Array(0));
});

test('fp8 survives a cast with the scale 1', () => {
  const values = Float32Array.from({ length: 0x7f }, (_, bits) => floatFromFp8(bits));
  const { x } = castToFp8(values, { hidden: 0x7f, scaleBlock: 128, scaleDtype: 'f32' });
  expect(x).toEqual(Uint8Array.from(values, fp8FromFloat));
});

function nextUp(value: number): number {
  const floats = Float32Array.of(value);
  new Uint32Array(floats.buffer)[0]! += 1;
  return at(floats, 0);
}
