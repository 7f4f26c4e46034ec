// Conversions and arithmetic of device/numeric.cuh against models that share nothing with them; test/gpu/rounding does
// it for CUDA, and for every float.
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

/// What e4m3 bits stand for, by their definition; no NaN.
static double e4m3_value(uint32_t bits) {
    const int exponent = static_cast<int>(bits >> 3 & 15);
    const double fraction = bits & 7;
    const double magnitude = exponent == 0 ? std::ldexp(fraction, -9) : std::ldexp(8 + fraction, exponent - 10);
    return bits & 0x80 ? -magnitude : magnitude;
}

CASE("every e4m3 widens exactly, on either side, whatever lies above the pair") {
    for (uint32_t bits = 0; bits < 256; ++bits) {
        const bool is_nan = (bits & 0x7f) == 0x7f;
        const uint32_t wanted = is_nan ? 0x7fffffffu : bits_of(static_cast<float>(e4m3_value(bits)));
        const uint32_t other = bits ^ 0xff;
        const std::string what = "e4m3 bits " + std::to_string(bits);
        expect(bits_of(e4m3_lo_to_f32(0xa5a50000u | other << 8 | bits)) == wanted, what);
        expect(bits_of(e4m3_hi_to_f32(0xa5a50000u | bits << 8 | other)) == wanted, what);
    }
}

CASE("floats beside every e4m3 and every tie narrow to the nearest, ties to even, beyond 448 to 448") {
    for (uint32_t low = 0; low < 0x7e; ++low) {
        const double here = e4m3_value(low), next = e4m3_value(low + 1);
        const auto tie = static_cast<float>((here + next) / 2);
        const auto check = [&](float value, uint32_t wanted) {
            if (f32_to_e4m3x2_rn(value, -value) == ((wanted | 0x80) << 8 | wanted)) return;
            expect(false, "e4m3 of float bits " + std::to_string(bits_of(value)));
        };
        check(static_cast<float>(here), low);
        check(std::nextafter(static_cast<float>(here), INFINITY), low);
        check(std::nextafter(tie, 0.0f), low);
        check(tie, low + (low & 1));
        check(std::nextafter(tie, INFINITY), low + 1);
        check(std::nextafter(static_cast<float>(next), 0.0f), low + 1);
    }
    expect(f32_to_e4m3x2_rn(448.0f, std::nextafter(448.0f, INFINITY)) == 0x7e7e, "the largest");
    expect(f32_to_e4m3x2_rn(464.0f, -1e30f) == 0xfe7e, "beyond the largest");
    expect(f32_to_e4m3x2_rn(INFINITY, -INFINITY) == 0xfe7e, "infinities");
    expect(f32_to_e4m3x2_rn(0.0f, -0.0f) == 0x8000, "zeros");
    expect(f32_to_e4m3x2_rn(value_of(0xff800001u), value_of(0x7fc00000u)) == 0x7f7f, "NaN is canonical");
    expect(f32_to_e4m3x2_rn(value_of(1), value_of(0x80000001u)) == 0x8000, "the smallest");
}

CASE("sums, products, quotients and fused sums are rounded once, and NaN is canonical") {
    const float next_to_one = std::nextafter(1.0f, 2.0f);
    expect(add_rn(1.0f, 0x1p-24f) == 1.0f && add_rn(next_to_one, 0x1p-24f) == 1.0f + 0x1p-22f, "sums: ties to even");
    // 1 + 2^-22 + 2^-46, of which a product keeps nothing below 2^-23, and a fused sum all.
    expect(mul_rn(next_to_one, next_to_one) == 1.0f + 0x1p-22f, "a product");
    expect(fma_rn(next_to_one, next_to_one, -1.0f - 0x1p-22f) == 0x1p-46f, "a fused sum");
    expect(fma_rn(-0.0f, 1.0f, 0.0f) == 0.0f && !std::signbit(fma_rn(-0.0f, 1.0f, 0.0f)), "a fused sum of zeros");
    expect(bits_of(div_rn(1.0f, 3.0f)) == 0x3eaaaaabu && bits_of(div_rn(448.0f, 1e-4f)) == 0x4a88b800u, "quotients");
    expect(bits_of(mul_rn(0x1p-100f, 0x1p-49f)) == 1 && bits_of(div_rn(0x1p-100f, 0x1p49f)) == 1, "denormal results");
    expect(mul_rn(value_of(3), 0.5f) == value_of(2) && div_rn(value_of(1), 2.0f) == 0.0f, "denormal ties to even");
    expect(mul_rn(0x1p100f, 0x1p100f) == INFINITY && div_rn(-1.0f, 0.0f) == -INFINITY, "infinities");
    for (const float nan : {add_rn(INFINITY, -INFINITY), mul_rn(INFINITY, -0.0f), div_rn(0.0f, -0.0f),
                            fma_rn(INFINITY, 1.0f, -INFINITY), add_rn(value_of(0xff812345u), 1.0f),
                            mul_rn(value_of(0xff812345u), 1.0f), div_rn(1.0f, value_of(0xff812345u)),
                            fma_rn(0.0f, 0.0f, value_of(0xff812345u))}) {
        expect(bits_of(nan) == 0x7fffffffu, "NaN is canonical");
    }
}

CASE("f32 is its bits") {
    for (const uint32_t bits : {0u, 0x80000000u, 1u, 0x7f800000u, 0x7fc12345u, 0x3f800000u}) {
        expect(f32_to_bits(f32_from_bits(bits)) == bits, "bits " + std::to_string(bits));
    }
}

}  // namespace epgen::test
