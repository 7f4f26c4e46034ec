import { describe, expect, test } from 'vitest';
import { at } from '../../native/reference/at.js';
import {
  bf16FromFloat,
  floatFromBf16,
  fma,
  lowLatencyCombineReference,
  lowLatencyDispatchReference,
} from '../../native/reference/index.js';
import { calcDiff, sumsInFp64 } from '../support/low-latency-fp64.js';
import { type Random, randomFrom } from '../support/random.js';
import { dispatchInputs } from '../support/routing.js';

const row = (...values: number[]): Uint16Array => Uint16Array.from(values, bf16FromFloat);
const word = (value: number): number => at(new Uint32Array(Float32Array.of(value).buffer), 0);
const words = (...values: number[]): Uint32Array => Uint32Array.from(values, word);
const float = (bits: number): number => at(new Float32Array(Uint32Array.of(bits).buffer), 0);

/** a·b + c in whole multiples of 2⁻²⁹⁸, of which all products of f32 numbers are multiples. */
function exactSum(a: number, b: number, c: number): bigint {
  // In units of 2⁻¹⁴⁹ an f32 is whole, and no larger than 2²⁷⁷.
  const units = (value: number) => {
    const bits = word(value);
    const exponent = (bits >>> 23) & 0xff;
    const mantissa = BigInt((bits & 0x7fffff) + (exponent > 0 ? 0x800000 : 0));
    const magnitude = mantissa << BigInt(Math.max(exponent - 1, 0));
    return bits >>> 31 ? -magnitude : magnitude;
  };
  return units(a) * units(b) + (units(c) << 149n);
}

/** The f32 nearest to so many 2⁻²⁹⁸, ties to even. Zero has no sign. */
function roundExact(sum: bigint): number {
  const magnitude = sum < 0n ? -sum : sum;
  const numBits = magnitude.toString(2).length;
  const unit = BigInt(Math.max(numBits - 24, 149));
  const half = 1n << (unit - 1n);
  let quotient = magnitude >> unit;
  const rest = magnitude - (quotient << unit);
  if (rest > half || (rest === half && quotient & 1n)) quotient += 1n;
  const value = Number(quotient) * 2 ** (Number(unit) - 298);
  return (sum < 0n ? -1 : 1) * (value >= 2 ** 128 ? Infinity : value);
}

const roundedOnce = (a: number, b: number, c: number) => roundExact(exactSum(a, b, c));

describe('fma', () => {
  const tiny = 2 ** -149;
  const half = 2 ** -24;
  test.each([
    ['a tie to even, down', 1, half, 1, 1],
    ['a tie to even, up', 1, half, 1 + 2 ** -23, 1 + 2 ** -22],
    ['just above a tie', 1 + 2 ** -23, half, 1, 1 + 2 ** -23],
    ['just below a tie', 1 - half, half, 1, 1],
    ['overflow', 3e38, 2, 0, Infinity],
    ['no overflow where only the product does', 3e38, 2, -3e38, Math.fround(3e38)],
    ['half of the smallest number goes to zero', tiny, 0.5, 0, 0],
    ['more than half of it does not', tiny, 0.75, 0, tiny],
    ['subnormals', tiny, 3, tiny * 4, tiny * 7],
    ['infinity less infinity', Infinity, 1, -Infinity, Number.NaN],
    ['zero times infinity', 0, -Infinity, 1, Number.NaN],
    ['NaN', Number.NaN, 1, 1, Number.NaN],
    ['an infinite sum', 1, 1, -Infinity, -Infinity],
    ['-0 + +0', -1, 0, 0, 0],
    ['-0 + -0', -1, 0, -0, -0],
    ['exact cancellation', 3, 5, -15, 0],
    ['a negative sum that underflows', tiny, -0.25, 0, -0],
  ])('%s', (_, a, b, c, want) => {
    expect(fma(Math.fround(a), Math.fround(b), Math.fround(c))).toBe(Math.fround(want));
  });

  // c has 24 bits, a·b is half of its last one and a little more or less, by a part that f64 does not keep beside c.
  test.each([
    ['above', 1 + 2 ** -11, 1 - 2 ** -11 + 2 ** -22],
    ['below', 1 + 2 ** -23, 1 - 2 ** -23],
  ])('just %s a tie, where rounding twice is wrong half of the time', (_, a, b) => {
    let numWrongInF64 = 0;
    for (let i = 0; i < 2000; i++) {
      const random = randomFrom(11, i);
      const unit = 2 ** (random(200) - 100);
      const c = (2 ** 23 + random(2 ** 23)) * unit;
      const half = (b * unit) / 2;
      const want = roundedOnce(a, half, c);
      expect(fma(a, half, c)).toBe(want);
      expect(fma(-a, half, -c)).toBe(-want);
      if (Math.fround(a * half + c) !== want) numWrongInF64 += 1;
    }
    expect(numWrongInF64).toBeGreaterThan(900);
  });

  test('any bits', () => {
    const random = randomFrom(13, 0);
    const any = (): number => {
      const value = float(random(2 ** 32));
      return Number.isFinite(value) ? value : 1;
    };
    for (let i = 0; i < 20_000; i++) {
      const [a, b] = [any(), any()];
      // Half of them of about the size of the product, so that bits cancel and carry.
      const near = Math.fround(-a * b * (1 + (random(9) - 4) * 2 ** -random(30)));
      const c = i % 2 && Number.isFinite(near) ? near : any();
      const want = roundedOnce(a, b, c);
      if (want === 0) expect(fma(a, b, c)).toBeCloseTo(0, 40);
      else expect(fma(a, b, c), `${a} · ${b} + ${c}`).toBe(want);
    }
  });
});

interface Rows {
  readonly slot: readonly number[];
  readonly weights: readonly number[];
  readonly rows: readonly (readonly number[])[];
}

/** One rank, rows of `rows.length` slots, one element in each. */
function combine(
  { slot, weights, rows }: Rows,
  topk = slot.length,
  transport?: 'bf16' | 'fp8_e4m3',
) {
  const hidden = at(rows, 0).length;
  return at(
    lowLatencyCombineReference({
      ...{ hidden, topk, ...(transport && { transport }) },
      perRank: [
        {
          x: row(...rows.flat()),
          slot: Int32Array.from(slot),
          topkWeights: words(...weights),
        },
      ],
    }),
    0,
  );
}

test.each([
  ['a weighted sum', { slot: [0, 1], weights: [0.5, 2], rows: [[4], [3]] }, 8],
  ['what selects nothing does not count', { slot: [-1, 1], weights: [9, 2], rows: [[4], [3]] }, 6],
  ['a repeated choice counts each time', { slot: [1, 1], weights: [1, 2], rows: [[4], [3]] }, 9],
  ['nothing at all', { slot: [-1, -1], weights: [1, 2], rows: [[4], [3]] }, 0],
  [
    'k order: 2³⁰ + 1 − 2³⁰ in f32',
    { slot: [0, 1, 2], weights: [1, 1, -1], rows: [[2 ** 30], [1], [2 ** 30]] },
    0,
  ],
  [
    'another order of k, another sum',
    { slot: [0, 2, 1], weights: [1, -1, 1], rows: [[2 ** 30], [1], [2 ** 30]] },
    1,
  ],
  ['a weight of zero and an infinity', { slot: [0], weights: [0], rows: [[Infinity]] }, Number.NaN],
] as const)('%s', (_, rows, want) => {
  expect(combine(rows)).toEqual(row(want));
});

test('the product is not rounded before it is added', () => {
  const weight = 1 + 2 ** -23;
  const y = 1 + 2 ** -7;
  const product = Math.fround(weight * y);
  expect(product).not.toBe(weight * y);
  // −product + weight·y in f32 is what rounding the product would have lost.
  const rows = { slot: [0, 1], weights: [-product, weight], rows: [[1], [y]] };
  expect(combine(rows)).toEqual(row(weight * y - product));
});

test('a NaN is canonical; −0 alone becomes +0, a negative sum that underflows −0', () => {
  const out = at(
    lowLatencyCombineReference({
      ...{ hidden: 3, topk: 1 },
      perRank: [
        {
          x: Uint16Array.of(0xffc1, 0x8000, 0x8001),
          slot: Int32Array.of(0),
          topkWeights: words(2 ** -100),
        },
      ],
    }),
    0,
  );
  expect(out).toEqual(Uint16Array.of(0x7fff, 0, 0x8000));
});

test('slots lead to rows of other ranks', () => {
  const outputs = lowLatencyCombineReference({
    ...{ hidden: 1, topk: 2 },
    perRank: [
      { x: row(1, 2, 3), slot: Int32Array.of(4, 2, 5, -1), topkWeights: words(1, 10, 1, 1) },
      { x: row(40, 50, 60), slot: Int32Array.of(0, 3), topkWeights: words(1, 1) },
    ],
  });
  expect(outputs).toEqual([row(80, 60), row(41)]);
});

describe('fp8 transport', () => {
  const hidden = 256;
  /** Numbers of very different size within a block, at either end of the format too. */
  const values = (random: Random): number[] =>
    Array.from({ length: hidden }, () =>
      floatFromBf16(bf16FromFloat((random(2 ** 24) / 2 ** 23 - 1) * 2 ** (random(40) - 30))),
    );

  test('an element is off by no more than half a unit of fp8, before the sum is rounded', () => {
    for (let i = 0; i < 40; i++) {
      const x = values(randomFrom(14, i));
      const out = combine({ slot: [0], weights: [1], rows: [x] }, 1, 'fp8_e4m3');
      for (const [j, value] of x.entries()) {
        const block = x.slice(j - (j % 128), j - (j % 128) + 128);
        const amax = Math.max(1e-4, ...block.map(Math.abs));
        const cast = (1 + 2 ** -20) * Math.max(Math.abs(value) / 16, (amax / 448) * 2 ** -10);
        const bound = cast + 2 ** -8 * (Math.abs(value) + cast);
        const off = Math.abs(floatFromBf16(at(out, j)) - value);
        expect(off, `${value} of ${amax}`).toBeLessThanOrEqual(bound);
      }
    }
  });

  test('scales belong to 128 elements, not to the row', () => {
    const x = Array.from({ length: hidden }, (_, i) => (i < 128 ? 448 : 448 * 2 ** -12));
    expect(combine({ slot: [0], weights: [1], rows: [x] }, 1, 'fp8_e4m3')).toEqual(row(...x));
  });
});

// Random rows and weights against sums in fp64, with what the reference's own tests ask.
describe.each([
  ['bf16', 1e-5],
  ['fp8_e4m3', 9e-4],
] as const)('%s transport', (transport, mostDifference) => {
  test('sums are near those in fp64, all together and each within its bound', () => {
    const shape = { ranks: 3, experts: 6, topk: 4, hidden: 256, maxTokensPerRank: 8 };
    const routed = dispatchInputs({ ...shape, seed: 2, numTokens: [8, 0, 5], pattern: 'someNone' });
    const random = randomFrom(15, 0);
    const inputs = routed.map((input) => ({
      ...input,
      topkWeights: words(...Array.from(input.topkIdx, () => random(2 ** 24) / 2 ** 24)),
    }));
    const outputs = Array.from({ length: 3 }, () =>
      Uint16Array.from({ length: 2 * 24 * 256 }, () => bf16FromFloat(normal(random))),
    );
    const slots = lowLatencyDispatchReference({ ...shape, perRank: inputs });
    const got = lowLatencyCombineReference({
      ...{ ...shape, transport },
      perRank: inputs.map(({ topkWeights }, r) => {
        return { topkWeights, x: at(outputs, r), slot: at(slots, r).slot };
      }),
    });
    const want = sumsInFp64(shape, inputs, outputs, transport);
    const far = got.flatMap((out, r) => {
      const { values, bounds } = at(want, r);
      return Array.from(out, floatFromBf16).filter(
        (value, i) => !(Math.abs(value - at(values, i)) <= at(bounds, i)),
      );
    });
    expect(far).toEqual([]);
    const all = got.flatMap((out) => Array.from(out, floatFromBf16));
    const values = want.flatMap((sums) => [...sums.values]);
    expect(calcDiff(all, values)).toBeLessThan(mostDifference);
  });
});

/** Nearly normal: the sum of twelve uniform numbers. */
function normal(random: Random): number {
  return Array.from({ length: 12 }, () => random(2 ** 20) / 2 ** 20).reduce((a, b) => a + b, -6);
}
