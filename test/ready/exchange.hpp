// Rows whose words add up to what can be told without moving them, and who gets them.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "follower.cuh"

namespace epgen::EPGEN_SPEC {

constexpr uint32_t kRowWords = kRowBytes / sizeof(uint32_t);

/// Tokens of a rank: different ones on each, none on the last of many.
inline uint32_t tokens_of(uint32_t rank) {
    return rank + 1 == kNumRanks && kNumRanks > 2 ? 0 : kMaxTokensPerRank - 3 * rank;
}

inline uint32_t word_of(uint32_t rank, uint32_t token, uint32_t word, uint32_t call) {
    return (call * 977 + rank * 131 + token * 17 + 1) * 2654435761u + word;
}

inline std::vector<uint32_t> rows_of(uint32_t rank, uint32_t call) {
    std::vector<uint32_t> rows;
    for (uint32_t token = 0; token < tokens_of(rank); ++token) {
        for (uint32_t word = 0; word < kRowWords; ++word) rows.push_back(word_of(rank, token, word, call));
    }
    return rows;
}

inline std::vector<int64_t> choices_of(uint32_t rank) {
    std::vector<int64_t> choices;
    for (uint32_t token = 0; token < tokens_of(rank); ++token) {
        for (uint32_t k = 0; k < kNumTopk; ++k) choices.push_back((rank + token * (k + 1) + 5 * k) % kNumExperts);
    }
    return choices;
}

/// What the follower of `rank` has to find of `source` in a call.
inline Found expected(uint32_t rank, uint32_t source, uint32_t call) {
    Found found{};
    for (uint32_t s = 0; s <= source; ++s) {
        const std::vector<int64_t> choices = choices_of(s);
        for (uint32_t token = 0; token < tokens_of(s); ++token) {
            bool comes = false;
            for (uint32_t k = 0; k < kNumTopk; ++k) {
                comes |= static_cast<uint32_t>(choices[token * kNumTopk + k]) / kNumLocalExperts == rank;
            }
            if (!comes) continue;
            if (s < source) {
                ++found.first;
                continue;
            }
            ++found.count;
            for (uint32_t word = 0; word < kRowWords; ++word) found.sum += word_of(s, token, word, call);
        }
    }
    if (EPGEN_SLOTTED) found.first = source * kMaxTokensPerRank;
    return found;
}

}  // namespace epgen::EPGEN_SPEC
