import { describe, expect, test } from 'vitest';
import {
  f16FromFloat,
  floatFromF16,
  floatFromFp8,
  fp8FromFloat,
} from '../../native/reference/index.js';
import { magnitudeOf, narrowFloats, roundingCases } from '../support/narrow-floats.js';

describe.each([
  ['f16', f16FromFloat, floatFromF16],
  ['fp8_e4m3', fp8FromFloat, floatFromFp8],
] as const)('%s', (dtype, bitsFrom, floatFrom) => {
  const format = narrowFloats[dtype];

  test('every number, every tie and what lies beside it rounds to nearest even', () => {
    const wrong = roundingCases(format).filter(([value, bits]) => bitsFrom(value) !== bits);
    expect(wrong).toEqual([]);
  });

  test('every number has its value, with either sign', () => {
    for (let bits = 0; bits <= format.largest; bits++) {
      const value = magnitudeOf(format, bits);
      if (!Object.is(floatFrom(bits), value)) expect.fail(`0x${bits.toString(16)}`);
      if (!Object.is(floatFrom(bits | format.signBit), -value))
        expect.fail(`-0x${bits.toString(16)}`);
    }
  });
});

test.each([
  ['f16 one', floatFromF16(0x3c00), 1],
  ['f16 largest', floatFromF16(0x7bff), 65504],
  ['f16 smallest', floatFromF16(0x0001), 2 ** -24],
  ['f16 infinity', floatFromF16(0x7c00), Infinity],
  ['f16 minus infinity', floatFromF16(0xfc00), -Infinity],
  ['f16 NaN', floatFromF16(0x7c01), Number.NaN],
  ['f16 negative NaN', floatFromF16(0xffff), Number.NaN],
  ['fp8 one', floatFromFp8(0x38), 1],
  ['fp8 largest', floatFromFp8(0x7e), 448],
  ['fp8 smallest', floatFromFp8(0x01), 2 ** -9],
  ['fp8 NaN', floatFromFp8(0x7f), Number.NaN],
  ['fp8 negative NaN', floatFromFp8(0xff), Number.NaN],
])('%s', (_, got, want) => {
  expect(got).toBe(want);
});

test.each([
  ['f16 tie above the largest overflows', f16FromFloat(65520), 0x7c00],
  ['f16 below that tie does not', f16FromFloat(65519.99609375), 0x7bff],
  ['fp8 saturates above the tie to NaN', fp8FromFloat(464.5), 0x7e],
  ['fp8 minus infinity saturates', fp8FromFloat(-Infinity), 0xfe],
  ['fp8 half the smallest ties to minus zero', fp8FromFloat(-(2 ** -10)), 0x80],
])('%s', (_, got, want) => {
  expect(got).toBe(want);
});
