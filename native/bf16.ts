const CANONICAL_NAN = 0x7fff;

/** Bits of the bf16 nearest to each f32, ties to even; every NaN becomes 0x7fff, as on the device. */
export function bf16FromFloat32(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i += 1) {
    const word = words[i] as number;
    const becomesNan = (word & 0x7fff_ffff) > 0x7f80_0000;
    bits[i] = becomesNan ? CANONICAL_NAN : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return bits;
}

/** The f32 that each bf16 stands for. */
export function float32FromBf16(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i += 1) words[i] = (bits[i] as number) << 16;
  return new Float32Array(words.buffer);
}
