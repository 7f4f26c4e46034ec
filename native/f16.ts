import { magnitudeValue, type NarrowFormat, narrowMagnitude } from './narrow.js';

const F16: NarrowFormat = { mantissaBits: 10, exponentBias: 15 };
const INFINITY = 0x7c00;
const CANONICAL_NAN = 0x7fff;

/** Bits of the f16 nearest to each f32, ties to even; every NaN becomes 0x7fff, as on the device. */
export function f16FromFloat32(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i += 1) {
    const word = words[i] as number;
    const magnitude = word & 0x7fff_ffff;
    const becomesNan = magnitude > 0x7f80_0000;
    const sign = (word >>> 16) & 0x8000;
    bits[i] = becomesNan
      ? CANONICAL_NAN
      : sign | Math.min(narrowMagnitude(magnitude, F16), INFINITY);
  }
  return bits;
}

/** The f32 that each f16 stands for; NaNs keep their sign and payload. */
export function float32FromF16(bits: Uint16Array): Float32Array {
  const values = new Float32Array(bits.length);
  const words = new Uint32Array(values.buffer);
  for (let i = 0; i < bits.length; i += 1) {
    const one = bits[i] as number;
    const magnitude = one & 0x7fff;
    if (magnitude >= INFINITY)
      words[i] = ((one & 0x8000) << 16) | 0x7f80_0000 | ((one & 0x3ff) << 13);
    else values[i] = (one & 0x8000 ? -1 : 1) * magnitudeValue(magnitude, F16);
  }
  return values;
}
