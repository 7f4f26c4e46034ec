// The plain model of a low-latency exchange, on the host: images of what lies in memory afterwards, poison where
// nothing is written.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "../support/cast.cuh"

namespace low_latency {

constexpr uint32_t kNumRanks = spec::kNumRanks;
constexpr uint32_t kNumExperts = spec::kNumExperts;
constexpr uint32_t kNumLocalExperts = spec::kNumLocalExperts;
constexpr uint32_t kNumTopk = spec::kNumTopk;
constexpr uint32_t kHidden = spec::kHidden;
constexpr uint32_t kMaxRows = spec::kMaxLlRecvTokens;
constexpr size_t kNumRows = size_t{kNumLocalExperts} * kMaxRows;

/// What one rank sends, and sums with.
struct Input {
    uint32_t num_tokens = 0;
    std::vector<uint16_t> x;             // [token][kHidden] bf16
    std::vector<int64_t> topk_idx;       // [token][kNumTopk]
    std::vector<uint32_t> topk_weights;  // [token][kNumTopk]
    int64_t first_bad_choice = -1;
};

/// What one rank's memory holds after a dispatch.
struct Received {
    std::vector<uint8_t> x;        // [local expert][row][kLlRowBytes]
    std::vector<uint32_t> scales;  // empty where rows have none
    std::vector<int32_t> src_idx;  // [local expert][row]
    std::vector<int32_t> num_tokens_per_expert;
    std::vector<int64_t> layout_range;  // [local expert][source]
    std::vector<int32_t> slot;          // [token][kNumTopk]
};

template <class T>
std::vector<T> poisoned(size_t count, uint8_t poison) {
    std::vector<T> values(count);
    std::memset(values.data(), poison, count * sizeof(T));
    return values;
}

inline float float_of_bf16(uint16_t bits) { return float_of(uint32_t{bits} << 16); }

inline uint16_t bf16_of(float value) {
    if (value != value) return 0x7fff;
    const uint32_t bits = bits_of(value);
    return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/// Casts one block; gives its scale.
inline float cast_block(const uint16_t* x, uint8_t* to, bool rounds) {
    float amax = 0;
    for (uint32_t i = 0; i < kScaleBlock; ++i) {
        const float magnitude = std::fabs(float_of_bf16(x[i]));
        if (magnitude > amax) amax = magnitude;
    }
    const Scale scale = scale_of(amax, rounds);
    for (uint32_t i = 0; i < kScaleBlock; ++i) to[i] = static_cast<uint8_t>(fp8_of(float_of_bf16(x[i]) * scale.factor));
    return scale.scale;
}

inline void cast_row(const uint16_t* x, uint8_t* bytes, uint32_t local_expert, uint32_t row, Received& to) {
    for (uint32_t block = 0; block < kNumBlocks; ++block) {
        const float scale = cast_block(x + block * kScaleBlock, bytes + block * kScaleBlock, kRoundsScales);
        const uint32_t bits = bits_of(scale);
        if (!kPacksScales) {
            to.scales[scale_word_at(local_expert, row, block)] = bits;
            continue;
        }
        uint32_t& word = to.scales[scale_word_at(local_expert, row, block / 4)];
        const uint32_t shift = block % 4 * 8;
        word = (word & ~(0xffu << shift)) | (bits >> 23) << shift;
    }
}

inline void place_row(const uint16_t* x, uint32_t local_expert, uint32_t row, Received& to) {
    uint8_t* bytes = &to.x[(size_t{local_expert} * kMaxRows + row) * spec::kLlRowBytes];
    if constexpr (kCastsRows) {
        cast_row(x, bytes, local_expert, row, to);
    } else {
        std::memcpy(bytes, x, spec::kLlRowBytes);
    }
}

inline bool names_expert(int64_t expert) { return expert >= 0 && expert < int64_t{kNumExperts}; }

/// What every rank holds afterwards.
inline std::vector<Received> dispatch(const std::vector<Input>& inputs, size_t num_scale_words, uint8_t poison) {
    std::vector<Received> results(kNumRanks);
    for (uint32_t rank = 0; rank < kNumRanks; ++rank) {
        Received& own = results[rank];
        own.x = poisoned<uint8_t>(kNumRows * spec::kLlRowBytes, poison);
        own.scales = poisoned<uint32_t>(num_scale_words, poison);
        own.src_idx = poisoned<int32_t>(kNumRows, poison);
        own.num_tokens_per_expert.assign(kNumLocalExperts, 0);
        own.layout_range.assign(size_t{kNumLocalExperts} * kNumRanks, 0);
        own.slot.assign(inputs[rank].topk_idx.size(), -1);
    }
    for (uint32_t expert = 0; expert < kNumExperts; ++expert) {
        Received& owner = results[expert / kNumLocalExperts];
        const uint32_t local_expert = expert % kNumLocalExperts;
        int32_t& num_rows = owner.num_tokens_per_expert[local_expert];
        for (uint32_t source = 0; source < kNumRanks; ++source) {
            const Input& input = inputs[source];
            const int64_t first = num_rows;
            for (uint32_t token = 0; token < input.num_tokens; ++token) {
                const auto choices = input.topk_idx.begin() + token * kNumTopk;
                if (std::find(choices, choices + kNumTopk, expert) == choices + kNumTopk) continue;
                place_row(&input.x[size_t{token} * kHidden], local_expert, num_rows, owner);
                owner.src_idx[size_t{local_expert} * kMaxRows + num_rows] = static_cast<int32_t>(token);
                for (uint32_t k = 0; k < kNumTopk; ++k) {
                    if (choices[k] == expert) results[source].slot[token * kNumTopk + k] = expert * kMaxRows + num_rows;
                }
                ++num_rows;
            }
            owner.layout_range[local_expert * kNumRanks + source] = first << 32 | (num_rows - first);
        }
    }
    return results;
}

/// A row of expert outputs as it comes to whoever sums it.
inline std::vector<float> travelled(const uint16_t* y) {
    std::vector<float> row(kHidden);
    for (uint32_t i = 0; i < kHidden; ++i) row[i] = float_of_bf16(y[i]);
    for (uint32_t first = 0; kCastsOutputs && first < kHidden; first += kScaleBlock) {
        uint8_t cast[kScaleBlock];
        const float scale = cast_block(y + first, cast, /*rounds=*/false);
        for (uint32_t i = 0; i < kScaleBlock; ++i) row[first + i] = float_of_fp8(cast[i]) * scale;
    }
    return row;
}

/// One rank's sums: bf16 [token][kHidden]. `outputs` are those of all ranks, [local expert][row][kHidden].
inline std::vector<uint16_t> combine(const Input& input, const Received& received,
                                     const std::vector<std::vector<uint16_t>>& outputs) {
    std::vector<uint16_t> out(size_t{input.num_tokens} * kHidden);
    for (uint32_t token = 0; token < input.num_tokens; ++token) {
        std::vector<float> sums(kHidden, 0.0f);
        for (uint32_t k = token * kNumTopk; k < (token + 1) * kNumTopk; ++k) {
            const int32_t slot = received.slot[k];
            if (slot < 0) continue;
            const std::vector<float> row = travelled(&outputs[slot / kNumRows][slot % kNumRows * kHidden]);
            const float weight = float_of(input.topk_weights[k]);
            for (uint32_t i = 0; i < kHidden; ++i) sums[i] = std::fmaf(weight, row[i], sums[i]);
        }
        for (uint32_t i = 0; i < kHidden; ++i) out[size_t{token} * kHidden + i] = bf16_of(sums[i]);
    }
    return out;
}

}  // namespace low_latency
