// Conversions of device/numeric.cuh against models that share nothing with them; test/gpu/rounding does it for CUDA,
// and for every float.
#include <bit>
#include <cmath>

#include "device/numeric.cuh"
#include "harness.hpp"

namespace epgen::test {

static uint32_t bits_of(float value) { return std::bit_cast<uint32_t>(value); }
static float value_of(uint32_t bits) { return std::bit_cast<float>(bits); }

/// What f16 bits stand for, by their definition; no NaN.
static double f16_value(uint32_t bits) {
    const int exponent = static_cast<int>(bits >> 10 & 31);
    const double fraction = bits & 1023;
    const double magnitude = exponent == 31  ? INFINITY
                             : exponent == 0 ? std::ldexp(fraction, -24)
                                             : std::ldexp(1024 + fraction, exponent - 25);
    return bits & 0x8000 ? -magnitude : magnitude;
}

static bool is_f16_nan(uint32_t bits) { return (bits & 0x7fff) > 0x7c00; }

CASE("every f16 widens exactly, in either half") {
    for (uint32_t bits = 0; bits < 65536; ++bits) {
        const uint32_t wanted = is_f16_nan(bits) ? 0x7fffffffu : bits_of(static_cast<float>(f16_value(bits)));
        const uint32_t other = bits ^ 0xffff;
        const std::string what = "f16 bits " + std::to_string(bits);
        expect(bits_of(f16_lo_to_f32(other << 16 | bits)) == wanted, what);
        expect(bits_of(f16_hi_to_f32(bits << 16 | other)) == wanted, what);
    }
}

CASE("floats beside every f16 and every tie narrow to the nearest, ties to even") {
    for (uint32_t low = 0; low < 0x7c00; ++low) {
        // Infinity is where the next step would be, as far as rounding goes.
        const double here = f16_value(low), next = low == 0x7bff ? 65536 : f16_value(low + 1);
        const auto tie = static_cast<float>((here + next) / 2);
        const uint32_t even = low + (low & 1);
        const auto check = [&](float value, uint32_t wanted) {
            if (f32_to_f16x2_rn(value, -value) == ((wanted | 0x8000) << 16 | wanted)) return;
            expect(false, "f16 of float bits " + std::to_string(bits_of(value)));
        };
        check(static_cast<float>(here), low);
        check(std::nextafter(static_cast<float>(here), INFINITY), low);
        check(std::nextafter(tie, 0.0f), low);
        check(tie, even);
        check(std::nextafter(tie, INFINITY), low + 1);
    }
    expect(f32_to_f16x2_rn(INFINITY, -INFINITY) == 0xfc007c00u, "infinities");
    expect(f32_to_f16x2_rn(0.0f, -0.0f) == 0x80000000u, "zeros");
    expect(f32_to_f16x2_rn(value_of(0xff800001u), value_of(0x7fc00000u)) == 0x7fff7fffu, "NaN is canonical");
    expect(f32_to_f16x2_rn(value_of(1), value_of(0x7f7fffffu)) == 0x7c000000u, "the smallest and the largest");
}

CASE("f32 is its bits") {
    for (const uint32_t bits : {0u, 0x80000000u, 1u, 0x7f800000u, 0x7fc12345u, 0x3f800000u}) {
        expect(f32_to_bits(f32_from_bits(bits)) == bits, "bits " + std::to_string(bits));
    }
}

}  // namespace epgen::test
