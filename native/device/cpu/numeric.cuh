// CPU body of numeric.cuh. Compile with -ffp-contract=off.
#pragma once

#include <bit>

namespace epgen {

namespace cpu {

inline uint32_t f32_to_bf16_rn(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

inline uint32_t f32_to_f16_rn(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    const uint32_t sign = bits >> 16 & 0x8000;
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return 0x7fff;
    if (magnitude >= 0x477ff000u) return sign | 0x7c00;  // 65520 and up: nearer to 65536 than to 65504
    if (magnitude < 0x38800000u) {
        // Below 2^-14 f16 counts in units of 2^-24, and so does f32 between 0.5 and 1.
        const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
        return sign | (std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(0.5f));
    }
    const uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
    return sign | (rounded - 0x38000000u) >> 13;
}

inline float f16_to_f32(uint32_t bits) {
    const uint32_t sign = (bits & 0x8000) << 16;
    const uint32_t magnitude = bits & 0x7fff;
    if (magnitude > 0x7c00) return std::bit_cast<float>(0x7fffffffu);
    if (magnitude == 0x7c00) return std::bit_cast<float>(sign | 0x7f800000u);
    if (magnitude < 0x0400) {
        return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(static_cast<float>(magnitude) * 0x1p-24f));
    }
    return std::bit_cast<float>(sign | ((magnitude << 13) + 0x38000000u));
}

inline float canonical(float value) { return value != value ? std::bit_cast<float>(0x7fffffffu) : value; }

inline uint32_t f32_to_e4m3_rn(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    const uint32_t sign = bits >> 24 & 0x80;
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return 0x7f;
    if (magnitude >= 0x43e00000u) return sign | 0x7e;  // 448 and up
    if (magnitude < 0x3c800000u) {
        // Below 2^-6 e4m3 counts in units of 2^-9, and so does f32 between 2^14 and 2^15.
        const float shifted = std::bit_cast<float>(magnitude) + 0x1p14f;
        return sign | (std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(0x1p14f));
    }
    const uint32_t rounded = magnitude + 0x7ffff + (magnitude >> 20 & 1);
    return sign | (rounded - 0x3c000000u) >> 20;
}

inline float e4m3_to_f32(uint32_t bits) {
    const uint32_t sign = (bits & 0x80) << 24;
    const uint32_t magnitude = bits & 0x7f;
    if (magnitude == 0x7f) return std::bit_cast<float>(0x7fffffffu);
    // With the exponent of f32 it is 2^120 times too small.
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude << 20) * 0x1p120f));
}

}  // namespace cpu

inline float add_rn(float a, float b) { return cpu::canonical(a + b); }
inline float mul_rn(float a, float b) { return cpu::canonical(a * b); }
inline float fma_rn(float a, float b, float c) { return cpu::canonical(__builtin_fmaf(a, b, c)); }
inline float div_rn(float a, float b) { return cpu::canonical(a / b); }

inline float bf16_lo_to_f32(uint32_t pair) { return std::bit_cast<float>(pair << 16); }
inline float bf16_hi_to_f32(uint32_t pair) { return std::bit_cast<float>(pair & 0xffff0000u); }

inline uint32_t f32_to_bf16x2_rn(float lo, float hi) { return cpu::f32_to_bf16_rn(hi) << 16 | cpu::f32_to_bf16_rn(lo); }

inline float f16_lo_to_f32(uint32_t pair) { return cpu::f16_to_f32(pair & 0xffff); }
inline float f16_hi_to_f32(uint32_t pair) { return cpu::f16_to_f32(pair >> 16); }

inline uint32_t f32_to_f16x2_rn(float lo, float hi) { return cpu::f32_to_f16_rn(hi) << 16 | cpu::f32_to_f16_rn(lo); }

inline float e4m3_lo_to_f32(uint32_t pair) { return cpu::e4m3_to_f32(pair & 0xff); }
inline float e4m3_hi_to_f32(uint32_t pair) { return cpu::e4m3_to_f32(pair >> 8 & 0xff); }

inline uint32_t f32_to_e4m3x2_rn(float lo, float hi) { return cpu::f32_to_e4m3_rn(hi) << 8 | cpu::f32_to_e4m3_rn(lo); }

inline float f32_from_bits(uint32_t bits) { return std::bit_cast<float>(bits); }
inline uint32_t f32_to_bits(float value) { return std::bit_cast<uint32_t>(value); }

}  // namespace epgen
