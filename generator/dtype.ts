/** Everything known about each type that a token's elements may have. */
export const DTYPES = {
  bf16: { bytes: 2, shortName: 'bf16', title: 'bfloat16' },
  f16: { bytes: 2, shortName: 'f16', title: 'IEEE half' },
  fp8_e4m3: { bytes: 1, shortName: 'fp8', title: 'fp8 e4m3 with one scale per block' },
  u8: { bytes: 1, shortName: 'u8', title: 'opaque bytes' },
  f32: { bytes: 4, shortName: 'f32', title: 'IEEE single' },
} as const;

export type Dtype = keyof typeof DTYPES;

/** Types of the indices of chosen experts. */
export const INDEX_TYPES = {
  i64: { bytes: 8, cppType: 'int64_t' },
  i32: { bytes: 4, cppType: 'int32_t' },
} as const;

export type IndexType = keyof typeof INDEX_TYPES;

/** Scales of type ue8m0 in a 4-byte word. */
export const SCALES_PER_PACKED_WORD = 4;

/** Smallest number of bytes that the copy engine moves, and what addresses and sizes are multiples of. */
export const VECTOR_BYTES = 16;
