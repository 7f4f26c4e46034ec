// Bit operations on 32-lane masks, and words of a value and the epoch it belongs to.
#pragma once

#include "device/thread.cuh"

namespace epgen {

/// Number of set bits.
EPGEN_DEVICE uint32_t popc(uint32_t mask) {
#if defined(EPGEN_CPU)
    return static_cast<uint32_t>(__builtin_popcount(mask));
#else
    return __popc(mask);
#endif
}

/// Mask of the lanes below this one.
EPGEN_DEVICE uint32_t lanemask_lt() { return (1u << lane_idx()) - 1; }

/// Position of the set bit of `mask` that has `n` set bits below it; `n` is less than popc(mask).
EPGEN_DEVICE uint32_t nth_bit(uint32_t mask, uint32_t n) {
    for (; n > 0; --n) mask &= mask - 1;
#if defined(EPGEN_CPU)
    return static_cast<uint32_t>(__builtin_ctz(mask));
#else
    return __ffs(mask) - 1;
#endif
}

/// A word that validates itself: a reader who finds its own epoch in the upper half may use the lower half.
EPGEN_HOST_DEVICE constexpr uint64_t pack_word(uint32_t value, uint32_t epoch) {
    return static_cast<uint64_t>(epoch) << 32 | value;
}
EPGEN_HOST_DEVICE constexpr uint32_t word_value(uint64_t word) { return static_cast<uint32_t>(word); }
EPGEN_HOST_DEVICE constexpr uint32_t word_epoch(uint64_t word) { return static_cast<uint32_t>(word >> 32); }

/// `a >= b` for counters that wrap: right as long as the two are less than 2^31 apart.
EPGEN_DEVICE constexpr bool reached(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) >= 0; }

}  // namespace epgen
