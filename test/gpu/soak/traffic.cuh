// What every pair of calls carries: routing, rows, weights and expert outputs, drawn from a seed, so that any rank can
// tell without being told what it must receive and sum.
#pragma once

#include <cstdint>

#include "../support/cast.cuh"

namespace soak {

constexpr uint32_t kNumRanks = spec::kNumRanks;
constexpr uint32_t kNumExperts = spec::kNumExperts;
constexpr uint32_t kNumLocalExperts = spec::kNumLocalExperts;
constexpr uint32_t kNumTopk = spec::kNumTopk;
constexpr uint32_t kHidden = spec::kHidden;
constexpr uint32_t kMaxTokens = spec::kMaxLlTokensPerRank;
/// Rows that a local expert may get.
constexpr uint32_t kMaxRows = spec::kMaxLlRecvTokens;
/// Pairs of elements in a row, and in a block of 128.
constexpr uint32_t kRowWords = kHidden / 2;
constexpr uint32_t kBlockWords = kScaleBlock / 2;

static_assert((kNumExperts & (kNumExperts - 1)) == 0, "experts are drawn by steps of odd width");
static_assert(kHidden % kScaleBlock == 0, "rows are looked at in blocks of 128 elements");

/// One pair of a dispatch and a combine, as all ranks know it.
struct Pair {
    uint64_t seed;
    uint32_t idx;
    uint32_t num_tokens[kNumRanks];
};

/// What is drawn; each has numbers of its own.
enum class Draw : uint32_t { pattern, expert, row, output, weight, delay, silence };

EPGEN_ANYWHERE uint32_t mix(uint32_t bits) {
    bits = (bits ^ (bits >> 16)) * 0x21f0aaadu;
    bits = (bits ^ (bits >> 15)) * 0x735a2d97u;
    return bits ^ (bits >> 15);
}

/// The key of one draw; `word_of` then numbers what is drawn with it.
EPGEN_ANYWHERE uint32_t key_of(const Pair& pair, Draw draw, uint32_t a = 0, uint32_t b = 0, uint32_t c = 0) {
    uint32_t key = mix(static_cast<uint32_t>(pair.seed) + 0x9e3779b9u);
    key = mix(key ^ static_cast<uint32_t>(pair.seed >> 32) ^ (static_cast<uint32_t>(draw) << 24));
    key = mix(key + pair.idx);
    return mix(mix(mix(key + a) + b) + c);
}

EPGEN_ANYWHERE uint32_t word_of(uint32_t key, uint32_t i) { return mix(key + i * 0x9e3779b9u); }

/// How the tokens of a pair choose.
enum class Pattern : uint32_t { uniform, repeats, some_none, one_expert, one_rank, silent_ranks };

EPGEN_ANYWHERE Pattern pattern_of(const Pair& pair) {
    const uint32_t draw = key_of(pair, Draw::pattern) % 16;
    return draw < 11 ? Pattern::uniform : static_cast<Pattern>(draw - 10);
}

/// Choice `k` of a token: an expert, or something that names none.
EPGEN_ANYWHERE int64_t expert_of(const Pair& pair, uint32_t source, uint32_t token, uint32_t k) {
    const uint32_t key = key_of(pair, Draw::expert, source, token);
    const uint32_t first = word_of(key, 0), step = word_of(key, 1) | 1;
    const uint32_t distinct = (first + k * step) % kNumExperts;
    const uint32_t own = word_of(key, 2 + k);
    const uint32_t chosen = key_of(pair, Draw::pattern, 1);
    switch (pattern_of(pair)) {
        case Pattern::uniform: return distinct;
        case Pattern::repeats: return (chosen + own % 3) % kNumExperts;
        case Pattern::some_none:
            if (own % 4 == 0) return int64_t{kNumExperts} + own % 5;
            return own % 4 == 1 ? -1 : int64_t{distinct};
        case Pattern::one_expert: return chosen % kNumExperts;
        case Pattern::one_rank: return chosen % kNumRanks * kNumLocalExperts + own % kNumLocalExperts;
        case Pattern::silent_ranks: return key_of(pair, Draw::silence, source) % 2 ? int64_t{distinct} : -1;
    }
    return -1;
}

EPGEN_ANYWHERE bool names_expert(int64_t expert) { return expert >= 0 && expert < int64_t{kNumExperts}; }

EPGEN_ANYWHERE bool chooses(const Pair& pair, uint32_t source, uint32_t token, uint32_t expert) {
    if (token >= pair.num_tokens[source]) return false;
    for (uint32_t k = 0; k < kNumTopk; ++k) {
        if (expert_of(pair, source, token, k) == int64_t{expert}) return true;
    }
    return false;
}

/// Two bf16 of ordinary size: sums of them neither overflow nor vanish.
EPGEN_ANYWHERE uint32_t numbers(uint32_t bits) {
    const uint32_t exponents = 0x3c003c00u + (bits & 0x03800380u);  // 2^-7 to 2^0
    return exponents | (bits & 0x807f807fu);
}

/// Two elements of a token's row. What no cast looks at may be any bits.
EPGEN_ANYWHERE uint32_t row_word(uint32_t key, uint32_t word) {
    const uint32_t bits = word_of(key, word);
    return kCastsRows ? numbers(bits) : bits;
}
EPGEN_ANYWHERE uint32_t row_key(const Pair& pair, uint32_t source, uint32_t token) {
    return key_of(pair, Draw::row, source, token);
}

/// Two elements of what an expert makes of a token.
EPGEN_ANYWHERE uint32_t output_word(uint32_t key, uint32_t word) { return numbers(word_of(key, word)); }
EPGEN_ANYWHERE uint32_t output_key(const Pair& pair, uint32_t expert, uint32_t source, uint32_t token) {
    return key_of(pair, Draw::output, expert, source, token);
}

/// Bits of an f32 of magnitude 0.5 to 1.
EPGEN_ANYWHERE uint32_t weight_bits(const Pair& pair, uint32_t source, uint32_t token, uint32_t k) {
    return (word_of(key_of(pair, Draw::weight, source, token), k) & 0x807fffffu) | 0x3f000000u;
}

}  // namespace soak
