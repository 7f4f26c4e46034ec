import { expect, test } from 'vitest';
import { bf16FromFloat, floatFromBf16 } from '../../native/reference/index.js';

test.each([
  ['one', 1, 0x3f80],
  ['minus zero', -0, 0x8000],
  ['tie to the even neighbour below', 1 + 2 ** -8, 0x3f80],
  ['tie to the even neighbour above', 1 + 3 * 2 ** -8, 0x3f82],
  ['just above a tie', 1 + 2 ** -8 + 2 ** -23, 0x3f81],
  ['carry into the exponent', 2 - 2 ** -9, 0x4000],
  ['largest finite f32 overflows', 3.4028234663852886e38, 0x7f80],
  ['largest finite bf16', 3.3895313892515355e38, 0x7f7f],
  ['minus infinity', -Infinity, 0xff80],
  ['subnormal', 2 ** -133, 0x0001],
  ['half a subnormal ties to zero', 2 ** -134, 0x0000],
  ['NaN', Number.NaN, 0x7fff],
])('bf16FromFloat: %s', (_, value, bits) => {
  expect(bf16FromFloat(value)).toBe(bits);
});

test('every bf16 survives the round trip; every NaN becomes 0x7FFF', () => {
  for (let bits = 0; bits < 0x10000; bits++) {
    const isNan = (bits & 0x7fff) > 0x7f80;
    if (bf16FromFloat(floatFromBf16(bits)) !== (isNan ? 0x7fff : bits))
      expect.fail(`0x${bits.toString(16)}`);
  }
});
