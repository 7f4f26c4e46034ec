/** A float format of fewer bits than f32, by its definition. */
export interface NarrowFloat {
  readonly signBit: number;
  readonly mantissaBits: number;
  readonly exponentBias: number;
  readonly nan: number;
  /** Bits of what values beyond the largest number become: infinity, or the largest number itself. */
  readonly overflow: number;
  /** The largest number. */
  readonly largest: number;
}

export const narrowFloats = {
  f16: {
    ...{ signBit: 0x8000, mantissaBits: 10, exponentBias: 15 },
    ...{ nan: 0x7fff, overflow: 0x7c00, largest: 0x7bff },
  },
  fp8_e4m3: {
    ...{ signBit: 0x80, mantissaBits: 3, exponentBias: 7 },
    ...{ nan: 0x7f, overflow: 0x7e, largest: 0x7e },
  },
} as const satisfies Record<string, NarrowFloat>;

/** What magnitude bits are worth; for f16's infinity the number that would follow the largest one. */
export function magnitudeOf(format: NarrowFloat, bits: number): number {
  const { mantissaBits, exponentBias } = format;
  const exponent = bits >> mantissaBits;
  const fraction = (bits % 2 ** mantissaBits) / 2 ** mantissaBits;
  if (exponent === 0) return fraction * 2 ** (1 - exponentBias);
  return (1 + fraction) * 2 ** (exponent - exponentBias);
}

/** A value and the bits that it rounds to. */
export type RoundingCase = readonly [value: number, bits: number];

/**
 * Every number of the format, every tie between two neighbours (one more above the largest), the f32s next to each tie,
 * and the special values. Rounding is right everywhere if it is right here and grows with the value.
 */
export function roundingCases(format: NarrowFloat): RoundingCase[] {
  const { largest, overflow, nan, signBit } = format;
  const magnitudes: RoundingCase[] = [];
  for (let bits = 0; bits <= largest; bits++) {
    const above = bits === largest ? overflow : bits + 1;
    const value = magnitudeOf(format, bits);
    const tie = (value + magnitudeOf(format, bits + 1)) / 2;
    const even = bits % 2 === 0 ? bits : above;
    magnitudes.push(
      [value, bits],
      [nextFloat(tie, -1), bits],
      [tie, even],
      [nextFloat(tie, 1), above],
    );
  }
  for (const value of [2 ** 127, Infinity]) magnitudes.push([value, overflow]);
  for (const value of [2 ** -149, 2 ** -126]) magnitudes.push([value, 0]);
  return [
    ...magnitudes,
    ...magnitudes.map(([value, bits]) => [-value, signBit | bits] as const),
    [Number.NaN, nan],
  ];
}

/** The f32 so many places after a positive one. */
function nextFloat(value: number, places: number): number {
  const floats = Float32Array.of(value);
  new Uint32Array(floats.buffer)[0]! += places;
  return floats[0]!;
}
