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

}  // namespace cpu

inline float add_rn(float a, float b) {
    const float sum = a + b;
    return sum != sum ? std::bit_cast<float>(0x7fffffffu) : sum;
}

inline float bf16_lo_to_f32(uint32_t pair) { return std::bit_cast<float>(pair << 16); }
inline float bf16_hi_to_f32(uint32_t pair) { return std::bit_cast<float>(pair & 0xffff0000u); }

inline uint32_t f32_to_bf16x2_rn(float lo, float hi) { return cpu::f32_to_bf16_rn(hi) << 16 | cpu::f32_to_bf16_rn(lo); }

}  // namespace epgen
