import { describe, expect, it } from 'vitest';
import { f16FromFloat32, float32FromF16 } from '../../native/f16.js';
import { float32FromFp8, fp8FromFloat32 } from '../../native/fp8.js';
import { f16FromFloat, fp8FromFloat } from '../../native/reference/index.js';
import { magnitudeOf, narrowFloats, roundingCases } from '../support/narrow-floats.js';
import { randomFrom } from '../support/random.js';

const conversions = {
  f16: { fromFloat32: f16FromFloat32, model: f16FromFloat },
  fp8_e4m3: { fromFloat32: fp8FromFloat32, model: fp8FromFloat },
} as const;

describe.each(['f16', 'fp8_e4m3'] as const)('%s', (dtype) => {
  const format = narrowFloats[dtype];
  const { fromFloat32, model } = conversions[dtype];

  it('rounds every number, every tie and what lies beside it', () => {
    const cases = roundingCases(format);
    const got = fromFloat32(Float32Array.from(cases, ([value]) => value));
    expect(cases.filter(([, bits], i) => got[i] !== bits)).toEqual([]);
  });

  it('agrees with the reference model on 200 000 random f32s, NaNs among them', () => {
    const random = randomFrom(16, format.signBit);
    const words = Uint32Array.from({ length: 200_000 }, (_, i) => {
      const word = random(2 ** 32);
      // One half has exponents that the format has, too.
      return i % 2 === 0 ? word : (word & 0x807f_ffff) | ((100 + random(50)) << 23);
    });
    const values = new Float32Array(words.buffer);
    const got = fromFloat32(values);
    expect(words.filter((_, i) => got[i] !== model(values[i]!))).toEqual(new Uint32Array(0));
  });

  it('makes one NaN of all NaNs', () => {
    const words = Uint32Array.of(0x7f800001, 0x7fc00000, 0xff800001, 0xffffffff);
    expect([...fromFloat32(new Float32Array(words.buffer))]).toEqual(Array(4).fill(format.nan));
  });

  it('takes part of a larger buffer', () => {
    const part = Float32Array.of(9, 1, -2, 9).subarray(1, 3);
    expect([...fromFloat32(part)]).toEqual([...fromFloat32(Float32Array.of(1, -2))]);
  });
});

it('f16: every bit pattern has its value', () => {
  const all = Uint16Array.from({ length: 0x10000 }, (_, bits) => bits);
  const want = Float32Array.from(all, (bits) => {
    const magnitude = bits & 0x7fff;
    if (magnitude > 0x7c00) return Number.NaN;
    const value = magnitude === 0x7c00 ? Infinity : magnitudeOf(narrowFloats.f16, magnitude);
    return bits >= 0x8000 ? -value : value;
  });
  const got = float32FromF16(all);
  expect(all.filter((_, i) => !Object.is(got[i], want[i]))).toEqual(new Uint16Array(0));
  const isNan = (bits: number) => (bits & 0x7fff) > 0x7c00;
  const back = f16FromFloat32(got);
  expect(all.filter((bits, i) => back[i] !== (isNan(bits) ? 0x7fff : bits))).toHaveLength(0);
});

it('f16: NaNs keep their sign and payload in f32', () => {
  const words = new Uint32Array(float32FromF16(Uint16Array.of(0x7c01, 0xfe02)).buffer);
  expect(words).toEqual(Uint32Array.of(0x7f802000, 0xffc04000));
});

it('fp8_e4m3: every bit pattern has its value', () => {
  const all = Uint8Array.from({ length: 0x100 }, (_, bits) => bits);
  const want = Float32Array.from(all, (bits) => {
    const magnitude = bits & 0x7f;
    const value = magnitude === 0x7f ? Number.NaN : magnitudeOf(narrowFloats.fp8_e4m3, magnitude);
    return bits >= 0x80 ? -value : value;
  });
  const got = float32FromFp8(all);
  expect([...got]).toEqual([...want]);
  expect([...fp8FromFloat32(got)]).toEqual([...all].map((bits) => (bits === 0xff ? 0x7f : bits)));
  expect([got[0x00], got[0x01], got[0x38], got[0x7e], got[0xfe]]).toEqual([
    0,
    2 ** -9,
    1,
    448,
    -448,
  ]);
});
