// Arithmetic that reaches an output: fixed rounding, no contraction, no flush to zero, canonical NaN, so that both
// backends and the reference model give the same bits.
#pragma once

#include "device/place.cuh"

#if defined(EPGEN_CPU)
#include "device/cpu/numeric.cuh"
#else
namespace epgen {

/// Sum, rounded to nearest even.
EPGEN_DEVICE float add_rn(float a, float b) { return __fadd_rn(a, b); }

/// Product, rounded to nearest even.
EPGEN_DEVICE float mul_rn(float a, float b) { return __fmul_rn(a, b); }

/// `a * b + c`, rounded once to nearest even.
EPGEN_DEVICE float fma_rn(float a, float b, float c) { return __fmaf_rn(a, b, c); }

/// Quotient, rounded to nearest even.
EPGEN_DEVICE float div_rn(float a, float b) { return __fdiv_rn(a, b); }

/// The bf16 in the lower and in the upper half of `pair`, exactly.
EPGEN_DEVICE float bf16_lo_to_f32(uint32_t pair) { return __uint_as_float(pair << 16); }
EPGEN_DEVICE float bf16_hi_to_f32(uint32_t pair) { return __uint_as_float(pair & 0xffff0000u); }

/// `cvt.rn.bf16x2.f32`: both values rounded to nearest even and packed; NaN becomes 0x7fff.
EPGEN_DEVICE uint32_t f32_to_bf16x2_rn(float lo, float hi) {
    uint32_t pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(hi), "f"(lo));
    return pair;
}

/// `cvt.f32.f16`: the f16 in the lower and in the upper half of `pair`, exactly; NaN becomes 0x7fffffff.
EPGEN_DEVICE float f16_lo_to_f32(uint32_t pair) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(static_cast<uint16_t>(pair)));
    return value;
}
EPGEN_DEVICE float f16_hi_to_f32(uint32_t pair) { return f16_lo_to_f32(pair >> 16); }

/// `cvt.rn.f16x2.f32`: both values rounded to nearest even and packed; beyond 65504 infinity, NaN becomes 0x7fff.
EPGEN_DEVICE uint32_t f32_to_f16x2_rn(float lo, float hi) {
    uint32_t pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(hi), "f"(lo));
    return pair;
}

/// `cvt.rn.f16x2.e4m3x2`, then `cvt.f32.f16`: the e4m3 in bits 0 to 7 and in bits 8 to 15 of `pair`, exactly; NaN
/// becomes 0x7fffffff.
EPGEN_DEVICE uint32_t e4m3x2_to_f16x2(uint32_t pair) {
    uint32_t wide;
    asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(wide) : "h"(static_cast<uint16_t>(pair)));
    return wide;
}
EPGEN_DEVICE float e4m3_lo_to_f32(uint32_t pair) { return f16_lo_to_f32(e4m3x2_to_f16x2(pair)); }
EPGEN_DEVICE float e4m3_hi_to_f32(uint32_t pair) { return f16_hi_to_f32(e4m3x2_to_f16x2(pair)); }

/// `cvt.rn.satfinite.e4m3x2.f32`: both values rounded to nearest even and packed into the lower half; beyond 448,
/// infinities included, 448, and NaN becomes 0x7f.
EPGEN_DEVICE uint32_t f32_to_e4m3x2_rn(float lo, float hi) {
    uint16_t pair;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(hi), "f"(lo));
    return pair;
}

/// The f32 of these bits, and the bits of an f32.
EPGEN_DEVICE float f32_from_bits(uint32_t bits) { return __uint_as_float(bits); }
EPGEN_DEVICE uint32_t f32_to_bits(float value) { return __float_as_uint(value); }

}  // namespace epgen
#endif
