import { magnitudeValue, type NarrowFormat, narrowMagnitude } from './narrow.js';

const E4M3: NarrowFormat = { mantissaBits: 3, exponentBias: 7 };
const LARGEST = 0x7e;
const NAN = 0x7f;

/**
 * Bits of the fp8 e4m3 nearest to each f32, ties to even; beyond ±448 stays ±448, every NaN becomes 0x7f, as
 * `cvt.rn.satfinite.e4m3x2.f32` has it.
 */
export function fp8FromFloat32(values: Float32Array): Uint8Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const bits = new Uint8Array(values.length);
  for (let i = 0; i < bits.length; i += 1) {
    const word = words[i] as number;
    const magnitude = word & 0x7fff_ffff;
    const becomesNan = magnitude > 0x7f80_0000;
    const sign = (word >>> 24) & 0x80;
    bits[i] = becomesNan ? NAN : sign | Math.min(narrowMagnitude(magnitude, E4M3), LARGEST);
  }
  return bits;
}

/** The f32 that each fp8 e4m3 stands for. */
export function float32FromFp8(bits: Uint8Array): Float32Array {
  return Float32Array.from(bits, (one) => {
    const magnitude = one & 0x7f;
    if (magnitude === NAN) return Number.NaN;
    return (one & 0x80 ? -1 : 1) * magnitudeValue(magnitude, E4M3);
  });
}
