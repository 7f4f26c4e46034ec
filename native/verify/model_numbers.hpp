// The numbers that kernels round to, on the host: written from their definition.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace model {

template <class To, class From>
To bits_of(From value) {
    static_assert(sizeof(To) == sizeof(From));
    To bits;
    std::memcpy(&bits, &value, sizeof(bits));
    return bits;
}

inline float float_of_bf16(uint16_t bits) { return bits_of<float>(uint32_t{bits} << 16); }

inline uint16_t bf16_of_float(float value) {
    if (std::isnan(value)) return 0x7fff;
    const auto bits = bits_of<uint32_t>(value);
    return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline float float_of_f16(uint16_t bits) {
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    float value = exponent == 0 ? std::ldexp(float(fraction), -24) : std::ldexp(float(1024 + fraction), exponent - 25);
    if (exponent == 31) value = fraction == 0 ? INFINITY : NAN;
    return bits >> 15 ? -value : value;
}

inline uint16_t f16_of_float(float value) {
    if (std::isnan(value)) return 0x7fff;
    const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    const float magnitude = std::fabs(value);
    if (magnitude >= 65520) return sign | 0x7c00;  // nearer to 65536 than to 65504
    const int exponent = magnitude == 0 ? -14 : std::max(std::ilogb(magnitude), -14);
    // In units of the last place, ties to even; what rounds up to 2048 carries into the exponent.
    const auto units = static_cast<uint32_t>(std::nearbyint(std::ldexp(double{magnitude}, 10 - exponent)));
    return static_cast<uint16_t>(sign | (((exponent + 14) << 10) + units));
}

inline uint32_t f32_bits(float value) { return std::isnan(value) ? 0x7fffffff : bits_of<uint32_t>(value); }

}  // namespace model
