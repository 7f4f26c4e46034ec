// What the low-latency calls of a spec do to numbers, written from its definition: casts to fp8 in blocks of 128 that
// share a scale. For host and device; spec-flags.sh says what the spec asks for.
#pragma once

#include <cuda_fp8.h>

#include <cmath>
#include <cstdint>

#include "layout.cuh"

namespace spec = epgen::EPGEN_SPEC;

#define EPGEN_ANYWHERE __host__ __device__ __forceinline__

constexpr bool kCastsRows = EPGEN_LL_FP8;
constexpr bool kCastsOutputs = EPGEN_LL_COMBINE_FP8;
constexpr bool kRoundsScales = EPGEN_LL_ROUNDS_SCALES;
constexpr bool kPacksScales = EPGEN_LL_PACKS_SCALES;
constexpr bool kHasScaleColumns = EPGEN_LL_SCALE_COLUMNS;
/// Elements that share a scale.
constexpr uint32_t kScaleBlock = 128;
constexpr uint32_t kNumBlocks = (spec::kHidden + kScaleBlock - 1) / kScaleBlock;
constexpr uint32_t kNumScaleWords = kPacksScales ? kNumBlocks / 4 : kNumBlocks;
constexpr uint32_t kScaleColumnWords = (spec::kMaxLlRecvTokens + 3) / 4 * 4;
static_assert(!(kCastsRows || kCastsOutputs) || spec::kHidden % kScaleBlock == 0);

EPGEN_ANYWHERE float float_of(uint32_t bits) {
#if defined(__CUDA_ARCH__)
    return __uint_as_float(bits);
#else
    return __builtin_bit_cast(float, bits);
#endif
}
EPGEN_ANYWHERE uint32_t bits_of(float value) {
#if defined(__CUDA_ARCH__)
    return __float_as_uint(value);
#else
    return __builtin_bit_cast(uint32_t, value);
#endif
}

/// The scale of 128 elements that are no larger than `amax`, and what they are multiplied by.
struct Scale {
    float scale, factor;
};

EPGEN_ANYWHERE Scale scale_of(float amax, bool rounds) {
    amax = amax > 1e-4f ? amax : 1e-4f;
    const float exact = amax / 448.0f;
    if (!rounds) return {exact, 448.0f / amax};
    const float scale = float_of((bits_of(exact) + 0x007fffffu) & 0x7f800000u);
    return {scale, 1.0f / scale};
}

/// The fp8 of a scaled element.
EPGEN_ANYWHERE uint32_t fp8_of(float value) { return __nv_cvt_float_to_fp8(value, __NV_SATFINITE, __NV_E4M3); }

/// What an fp8 stands for.
EPGEN_ANYWHERE float float_of_fp8(uint32_t bits) {
    const uint32_t magnitude = bits & 0x7f;
    if (magnitude == 0x7f) return float_of(0x7fffffffu);
    const float value = magnitude < 8 ? static_cast<float>(magnitude) * 0.001953125f  // 2^-9
                                      : float_of(((magnitude >> 3) + 120) << 23 | (magnitude & 7) << 20);
    return bits & 0x80 ? -value : value;
}

/// Where the word of a row's scale lies, `word` among those of the row.
EPGEN_ANYWHERE size_t scale_word_at(uint32_t local_expert, uint32_t row, uint32_t word) {
    if (kHasScaleColumns) return (size_t{local_expert} * kNumScaleWords + word) * kScaleColumnWords + row;
    return (size_t{local_expert} * spec::kMaxLlRecvTokens + row) * kNumScaleWords + word;
}
