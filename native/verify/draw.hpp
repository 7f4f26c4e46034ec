// Draws that all calls of a sequence share.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "simt/random.hpp"
#include "verify/model.hpp"

namespace epgen::verify {

inline bool one_in(simt::Random& random, uint32_t bound) { return random.below(bound) == 0; }

template <class T>
void draw_bits(simt::Random& random, std::vector<T>& bits, size_t count) {
    bits.resize(count);
    for (size_t byte = 0; byte < count * sizeof(T); byte += sizeof(uint64_t)) {
        const uint64_t word = random.next();
        std::memcpy(reinterpret_cast<std::byte*>(bits.data()) + byte, &word,
                    std::min(sizeof word, count * sizeof(T) - byte));
    }
}

/// How the tokens of one call choose their experts.
enum class Pattern { distinct, any, few, some_none, all_none, one_rank, one_expert, none_to_self, bad };

Pattern draw_pattern(simt::Random& random);

/// Few tokens mostly: what goes wrong between calls needs calls, not rows.
uint32_t draw_token_limit(simt::Random& random, uint32_t max_tokens);

/// Rows without a routing.
void draw_rows(simt::Random& random, uint32_t num_tokens, const model::Shape& shape, model::Input& input);

void draw_input(simt::Random& random, Pattern pattern, uint32_t num_tokens, uint32_t rank_idx,
                const model::Shape& shape, model::Input& input);

}  // namespace epgen::verify
