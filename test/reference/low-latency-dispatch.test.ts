import { describe, expect, test } from 'vitest';
import { at } from '../../native/reference/at.js';
import {
  bf16FromFloat,
  castToFp8,
  floatFromBf16,
  type Indices,
  type LowLatencyCast,
  lowLatencyDispatchReference,
  unpackUe8m0,
} from '../../native/reference/index.js';
import { randomFrom } from '../support/random.js';
import { dispatchInputs, routingPatterns } from '../support/routing.js';

const idx = (...values: number[]): BigInt64Array => BigInt64Array.from(values, BigInt);
const row = (...values: number[]): Uint16Array => Uint16Array.from(values, bf16FromFloat);
const range = (begin: number, count: number): bigint => (BigInt(begin) << 32n) | BigInt(count);

// Two ranks with two experts each, three rows for each source.
const shape = { ...{ ranks: 2, experts: 4, topk: 3, hidden: 1, maxTokensPerRank: 3 } };

test('rows of an expert come by source, then by token; ranges and slots say where', () => {
  const [first, second] = lowLatencyDispatchReference({
    ...shape,
    perRank: [
      { numTokens: 3, x: row(1, 2, 3), topkIdx: idx(2, 0, -1, 2, 1, 3, -1, 2, 0) },
      { numTokens: 2, x: row(4, 5), topkIdx: idx(0, 2, 1, -1, -1, 2) },
    ],
  });
  expect(first).toEqual({
    x: row(1, 3, 4, 0, 0, 0, 2, 4, 0, 0, 0, 0),
    numTokensPerExpert: Int32Array.of(3, 2),
    layoutRange: BigInt64Array.of(range(0, 2), range(2, 1), range(0, 1), range(1, 1)),
    srcIdx: Int32Array.of(0, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0),
    slot: Int32Array.of(12, 0, -1, 13, 6, 18, -1, 14, 1),
  });
  expect(second).toEqual({
    x: row(1, 2, 3, 4, 5, 0, 2, 0, 0, 0, 0, 0),
    numTokensPerExpert: Int32Array.of(5, 1),
    layoutRange: BigInt64Array.of(range(0, 3), range(3, 2), range(0, 1), range(1, 0)),
    srcIdx: Int32Array.of(0, 1, 2, 0, 1, 0, 1, 0, 0, 0, 0, 0),
    slot: Int32Array.of(2, 15, 7, -1, -1, 16),
  });
});

test('a choice that a token repeats travels once; all its slots are the same', () => {
  const [first] = lowLatencyDispatchReference({
    ...shape,
    ranks: 1,
    perRank: [{ numTokens: 2, x: row(7, 8), topkIdx: idx(3, 3, 3, 3, 1, 3) }],
  });
  expect(first?.numTokensPerExpert).toEqual(Int32Array.of(0, 1, 0, 2));
  expect(first?.slot).toEqual(Int32Array.of(9, 9, 9, 10, 3, 10));
  expect(first?.x.subarray(9, 12)).toEqual(row(7, 8, 0));
});

test.each([
  ['i64', (values: number[]): Indices => idx(...values)],
  ['i32', (values: number[]): Indices => Int32Array.from(values)],
] as const)('indices out of range select nothing: %s', (_, indices) => {
  const [first] = lowLatencyDispatchReference({
    ...shape,
    ranks: 1,
    perRank: [{ numTokens: 1, x: row(1), topkIdx: indices([4, -2, 2 ** 31 - 1]) }],
  });
  expect(first?.numTokensPerExpert).toEqual(new Int32Array(4));
  expect(first?.slot).toEqual(Int32Array.of(-1, -1, -1));
});

test('as many tokens as fit, all for one expert of the last rank, fill it', () => {
  const perRank = [0, 10].map((base) => ({
    ...{ numTokens: 3, x: row(base, base + 1, base + 2) },
    topkIdx: idx(3, -1, 3, -1, 3, 3, 3, 3, 3),
  }));
  const [first, second] = lowLatencyDispatchReference({ ...shape, perRank });
  expect(first?.numTokensPerExpert).toEqual(Int32Array.of(0, 0));
  expect(second?.numTokensPerExpert).toEqual(Int32Array.of(0, 6));
  expect(second?.x.subarray(6)).toEqual(row(0, 1, 2, 10, 11, 12));
});

test('no tokens on any rank', () => {
  const perRank = [0, 1].map(() => ({ numTokens: 0, x: row(), topkIdx: idx() }));
  for (const output of lowLatencyDispatchReference({ ...shape, perRank })) {
    expect(output.numTokensPerExpert).toEqual(new Int32Array(2));
    expect(output.layoutRange).toEqual(new BigInt64Array(4));
    expect(output.slot).toHaveLength(0);
  }
});

// By another way: each row says where it came from, and each slot leads back to its token.
test.each(Object.keys(routingPatterns) as (keyof typeof routingPatterns)[])(
  '%s: slots lead to rows, and rows to the tokens that chose their expert',
  (pattern) => {
    const call = { ...{ ranks: 3, experts: 12, topk: 4, hidden: 4, maxTokensPerRank: 9 } };
    const inputs = dispatchInputs({ ...call, seed: 5, numTokens: [9, 0, 6], pattern });
    const outputs = lowLatencyDispatchReference({ ...call, perRank: inputs });
    const numRows = call.ranks * call.maxTokensPerRank;
    const seen = new Set<number>();
    inputs.forEach(({ topkIdx, x }, src) => {
      topkIdx.forEach((expert, i) => {
        const slot = at(at(outputs, src).slot, i);
        if (expert < 0) {
          expect(slot).toBe(-1);
          return;
        }
        expect(Math.floor(slot / numRows)).toBe(Number(expert));
        const owner = at(outputs, Math.floor(Number(expert) / 4));
        const rowOfOwner = slot % (4 * numRows);
        const token = Math.floor(i / call.topk);
        expect(owner.srcIdx[rowOfOwner]).toBe(token);
        expect(owner.x.slice(rowOfOwner * 4, rowOfOwner * 4 + 4)).toEqual(
          x.slice(token * 4, token * 4 + 4),
        );
        const packed = at(owner.layoutRange, (Number(expert) % 4) * call.ranks + src);
        const row = slot % numRows;
        expect(row).toBeGreaterThanOrEqual(Number(packed >> 32n));
        expect(row).toBeLessThan(Number(packed >> 32n) + Number(packed & 0xffffffffn));
        seen.add(slot);
      });
    });
    const numArrived = outputs.flatMap(({ numTokensPerExpert }) => [...numTokensPerExpert]);
    expect(seen.size).toBe(numArrived.reduce((sum, count) => sum + count, 0));
  },
);

describe('fp8', () => {
  const hidden = 1024;
  const random = randomFrom(3, 0);
  const x = Uint16Array.from({ length: 2 * hidden }, () => random(0x10000));
  const call = { ...shape, ranks: 1, topk: 1, hidden, maxTokensPerRank: 2 };
  const dispatch = (cast: LowLatencyCast) =>
    at(
      lowLatencyDispatchReference({
        ...{ ...call, cast },
        perRank: [{ numTokens: 2, x, topkIdx: idx(1, 1) }],
      }),
      0,
    );
  const want = (rounding: Pick<LowLatencyCast, 'scaleDtype' | 'roundScales'>) =>
    castToFp8(Float32Array.from(x, floatFromBf16), { hidden, scaleBlock: 128, ...rounding });

  test('rows are cast as a whole call is, scales beside them', () => {
    const scaleDtype = 'f32';
    const { x: bits, xScales } = dispatch({ scaleDtype, scales: { words: 8 } });
    expect(bits.subarray(2 * hidden, 4 * hidden)).toEqual(want({ scaleDtype }).x);
    expect(xScales).toHaveLength(4 * 2 * 8);
    expect(xScales?.subarray(16, 32)).toEqual(want({ scaleDtype }).xScales);
  });

  test('columns: word by word, each as long as the rows need', () => {
    const cast = { scaleDtype: 'f32', scales: { words: 8, columnWords: 4 } } as const;
    const { xScales } = dispatch(cast);
    const scales = want(cast).xScales;
    expect(xScales).toHaveLength(4 * 8 * 4);
    for (let word = 0; word < 8; word++) {
      expect(xScales?.subarray(32 + word * 4, 32 + word * 4 + 4)).toEqual(
        Uint32Array.of(at(scales, word), at(scales, 8 + word), 0, 0),
      );
    }
  });

  test('UE8M0: four scales to a word', () => {
    const { x: bits, xScales } = dispatch({ scaleDtype: 'ue8m0', scales: { words: 2 } });
    const cast = want({ scaleDtype: 'ue8m0' });
    expect(bits.subarray(2 * hidden, 4 * hidden)).toEqual(cast.x);
    expect(xScales?.subarray(4, 8)).toEqual(cast.xScales);
  });

  test('rounded f32 scales are the powers of two that UE8M0 codes name, elements the same', () => {
    const rounded = dispatch({ scaleDtype: 'f32', roundScales: true, scales: { words: 8 } });
    const { x: bits, xScales } = want({ scaleDtype: 'ue8m0' });
    const powers = Float32Array.from(unpackUe8m0(xScales), (code) =>
      code === 255 ? Infinity : 2 ** (code - 127),
    );
    expect(rounded.x.subarray(2 * hidden, 4 * hidden)).toEqual(bits);
    expect(rounded.xScales?.subarray(16, 32)).toEqual(new Uint32Array(powers.buffer));
  });
});
