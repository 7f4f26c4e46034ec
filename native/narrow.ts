/** A float format narrower than f32, with IEEE subnormals. Its exponent bias is at most 126. */
export interface NarrowFormat {
  readonly mantissaBits: number;
  readonly exponentBias: number;
}

const F32 = { mantissaBits: 23, exponentBias: 127 } as const;
const HIDDEN_BIT = 2 ** F32.mantissaBits;

/**
 * The magnitude bits nearest to an f32's, ties to even. The range has no upper end here: what lies above the format's
 * largest number comes out as larger bits, infinities and NaNs included.
 */
export function narrowMagnitude(f32Magnitude: number, format: NarrowFormat): number {
  const dropped = F32.mantissaBits - format.mantissaBits;
  const rebias = (F32.exponentBias - format.exponentBias) * HIDDEN_BIT;
  const exponent = f32Magnitude >>> F32.mantissaBits;
  const smallestNormal = F32.exponentBias - format.exponentBias + 1;
  if (exponent >= smallestNormal) return shiftToEven(f32Magnitude - rebias, dropped);
  // Subnormal: the hidden bit becomes a bit like the others. From 25 places on, less than half of the last one is left.
  const shift = dropped + smallestNormal - exponent;
  return shift > 24 ? 0 : shiftToEven((f32Magnitude % HIDDEN_BIT) + HIDDEN_BIT, shift);
}

/** The number that finite magnitude bits stand for. */
export function magnitudeValue(magnitude: number, format: NarrowFormat): number {
  const hiddenBit = 2 ** format.mantissaBits;
  const exponent = Math.floor(magnitude / hiddenBit);
  const ulp = 2 ** (Math.max(exponent, 1) - format.exponentBias - format.mantissaBits);
  return ((magnitude % hiddenBit) + (exponent > 0 ? hiddenBit : 0)) * ulp;
}

function shiftToEven(value: number, places: number): number {
  const isOdd = (value >>> places) & 1;
  return (value + 2 ** (places - 1) - 1 + isOdd) >>> places;
}
