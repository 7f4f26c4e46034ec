// What every rank must receive and sum by low-latency calls, on the host. As native/reference/low-latency-*.ts, in C++.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "verify/model.hpp"

namespace model {

struct LlShape {
    uint32_t num_ranks;
    uint32_t num_experts;
    uint32_t num_topk;
    uint32_t hidden;
    uint32_t max_tokens_per_rank;
    bool is_fp8;           // what arrives; what is sent is bf16
    bool packs_scales;     // four exponents in a word, else f32 bits
    bool rounds_scales;    // up to powers of two
    bool combines_as_fp8;  // with f32 scales that are not rounded

    uint32_t num_local_experts() const { return num_experts / num_ranks; }
    uint32_t max_recv_tokens() const { return num_ranks * max_tokens_per_rank; }
    uint32_t input_row_bytes() const { return 2 * hidden; }
    uint32_t row_bytes() const { return is_fp8 ? hidden : 2 * hidden; }
    uint32_t num_scale_words() const { return !is_fp8 ? 0 : hidden / (packs_scales ? 512 : 128); }
    /// Inputs are drawn as those of other calls.
    Shape input_shape() const {
        return {num_ranks, num_experts, num_topk, 1, hidden, input_row_bytes(), max_tokens_per_rank};
    }
};

/// What one rank receives; rows are packed here, expert after expert.
struct LlReceived {
    std::vector<uint32_t> first_row;             // [local expert + 1]
    std::vector<int32_t> num_tokens_per_expert;  // [local expert]
    std::vector<int64_t> layout_range;           // [local expert][source]
    std::vector<int32_t> src_idx;                // [row]
    std::vector<uint8_t> x;                      // [row][row_bytes]
    std::vector<uint32_t> x_scales;              // [row][num_scale_words]
    std::vector<int32_t> slot;                   // [token][num_topk] of the rank's own tokens
    int64_t first_bad_choice = -1;               // of the rank's own tokens
};

constexpr uint32_t kLlScaleBlock = 128;

inline uint8_t e4m3_of_float(float value) {
    if (std::isnan(value)) return 0x7f;
    const uint8_t sign = std::signbit(value) ? 0x80 : 0;
    const double magnitude = std::fabs(double{value});
    if (magnitude >= 448) return sign | 0x7e;
    if (magnitude < 0x1p-6) return sign | static_cast<uint8_t>(std::nearbyint(magnitude * 512));
    const int exponent = std::ilogb(magnitude);
    // In units of the last place, ties to even; what rounds up to 16 carries into the exponent.
    const auto units = static_cast<uint32_t>(std::nearbyint(std::ldexp(magnitude, 3 - exponent)));
    return sign | static_cast<uint8_t>(std::min(((exponent + 7u) << 3) + units - 8, 0x7eu));
}

inline float float_of_e4m3(uint8_t bits) {
    const int exponent = bits >> 3 & 15, fraction = bits & 7;
    if ((bits & 0x7f) == 0x7f) return NAN;
    const float value = exponent == 0 ? std::ldexp(float(fraction), -9) : std::ldexp(float(8 + fraction), exponent - 10);
    return bits >> 7 ? -value : value;
}

/// Casts `count` elements that share a scale; returns the scale.
inline float cast_block(const float* values, uint32_t count, bool is_rounded, uint8_t* fp8) {
    float amax = 1e-4f;
    for (uint32_t i = 0; i < count; ++i) {
        if (std::fabs(values[i]) > amax) amax = std::fabs(values[i]);
    }
    float scale = amax / 448.0f, factor = 448.0f / amax;
    if (is_rounded) {
        if (!std::isinf(scale)) {
            int exponent;
            const float mantissa = std::frexp(scale, &exponent);
            scale = std::ldexp(1.0f, mantissa == 0.5f ? exponent - 1 : exponent);
        }
        factor = 1.0f / scale;
    }
    for (uint32_t i = 0; i < count; ++i) fp8[i] = e4m3_of_float(values[i] * factor);
    return scale;
}

inline float bf16_at(const uint8_t* row, size_t i) {
    uint16_t bits;
    std::memcpy(&bits, row + 2 * i, sizeof bits);
    return float_of_bf16(bits);
}

/// One row as it arrives: `x` and `scales` are the row's.
inline void ll_move_row(const LlShape& shape, const uint8_t* from, uint8_t* x, uint32_t* scales) {
    if (!shape.is_fp8) {
        std::copy_n(from, shape.row_bytes(), x);
        return;
    }
    float values[kLlScaleBlock];
    for (uint32_t block = 0; block < shape.hidden / kLlScaleBlock; ++block) {
        const uint32_t first = block * kLlScaleBlock;
        for (uint32_t i = 0; i < kLlScaleBlock; ++i) values[i] = bf16_at(from, first + i);
        const float scale = cast_block(values, kLlScaleBlock, shape.rounds_scales, x + first);
        if (!shape.packs_scales) {
            scales[block] = bits_of<uint32_t>(scale);
            continue;
        }
        const uint32_t code = std::isinf(scale) ? 255 : static_cast<uint32_t>(std::ilogb(scale) + 127);
        if (block % 4 == 0) scales[block / 4] = 0;
        scales[block / 4] |= code << block % 4 * 8;
    }
}

/// What every rank receives, and the slots of its own tokens.
inline void ll_dispatch(const LlShape& shape, const std::vector<Input>& inputs, std::vector<LlReceived>& results) {
    const uint32_t num_topk = shape.num_topk, num_local = shape.num_local_experts();
    const auto chooses = [&](uint32_t source, uint32_t token_idx, int64_t expert) {
        const auto first = inputs[source].topk_idx.begin() + size_t{token_idx} * num_topk;
        return std::find(first, first + num_topk, expert) != first + num_topk;
    };
    results.assign(shape.num_ranks, {});
    for (uint32_t rank = 0; rank < shape.num_ranks; ++rank) {
        LlReceived& own = results[rank];
        const std::vector<int64_t>& choices = inputs[rank].topk_idx;
        own.slot.assign(choices.size(), -1);
        for (size_t i = choices.size(); i-- > 0;) {
            if (choices[i] != -1 && (choices[i] < 0 || choices[i] >= shape.num_experts)) own.first_bad_choice = int64_t(i);
        }
    }
    for (uint32_t owner = 0; owner < shape.num_ranks; ++owner) {
        LlReceived& receiver = results[owner];
        receiver.first_row.push_back(0);
        for (uint32_t local = 0; local < num_local; ++local) {
            const int64_t expert = int64_t{owner} * num_local + local;
            int32_t num_rows = 0;
            for (uint32_t source = 0; source < shape.num_ranks; ++source) {
                const int32_t begin = num_rows;
                for (uint32_t token_idx = 0; token_idx < inputs[source].num_tokens; ++token_idx) {
                    if (!chooses(source, token_idx, expert)) continue;
                    const size_t row = receiver.src_idx.size();
                    receiver.src_idx.push_back(static_cast<int32_t>(token_idx));
                    receiver.x.resize((row + 1) * shape.row_bytes());
                    receiver.x_scales.resize((row + 1) * shape.num_scale_words());
                    ll_move_row(shape, &inputs[source].x[size_t{token_idx} * shape.input_row_bytes()],
                                &receiver.x[row * shape.row_bytes()],
                                receiver.x_scales.data() + row * shape.num_scale_words());
                    for (uint32_t k = 0; k < num_topk; ++k) {
                        const size_t i = size_t{token_idx} * num_topk + k;
                        if (inputs[source].topk_idx[i] != expert) continue;
                        results[source].slot[i] =
                            static_cast<int32_t>(expert * shape.max_recv_tokens()) + num_rows;
                    }
                    ++num_rows;
                }
                receiver.layout_range.push_back(int64_t{begin} << 32 | (num_rows - begin));
            }
            receiver.num_tokens_per_expert.push_back(num_rows);
            receiver.first_row.push_back(static_cast<uint32_t>(receiver.src_idx.size()));
        }
    }
}

/// Expert outputs as they come to who sums them: [row][hidden].
inline std::vector<float> ll_travelled(const LlShape& shape, const std::vector<uint8_t>& outputs) {
    std::vector<float> values(outputs.size() / 2);
    for (size_t i = 0; i < values.size(); ++i) values[i] = bf16_at(outputs.data(), i);
    if (!shape.combines_as_fp8) return values;
    uint8_t fp8[kLlScaleBlock];
    for (size_t first = 0; first < values.size(); first += kLlScaleBlock) {
        const float scale = cast_block(&values[first], kLlScaleBlock, false, fp8);
        for (uint32_t i = 0; i < kLlScaleBlock; ++i) values[first + i] = float_of_e4m3(fp8[i]) * scale;
    }
    return values;
}

/// One rank's sums: bf16 [token][hidden]. `travelled[rank]` are the outputs at `rank`, packed as the rows were received.
inline void ll_combine(const LlShape& shape, const std::vector<LlReceived>& received, uint32_t rank,
                       const std::vector<std::vector<float>>& travelled, const std::vector<uint32_t>& weights,
                       std::vector<uint8_t>& out) {
    const std::vector<int32_t>& slot = received[rank].slot;
    const size_t num_tokens = slot.size() / shape.num_topk;
    out.resize(num_tokens * shape.input_row_bytes());
    std::vector<float> sum(shape.hidden);
    for (size_t token_idx = 0; token_idx < num_tokens; ++token_idx) {
        std::fill(sum.begin(), sum.end(), 0.0f);
        for (size_t i = token_idx * shape.num_topk; i < (token_idx + 1) * shape.num_topk; ++i) {
            if (slot[i] < 0) continue;
            const uint32_t expert = slot[i] / shape.max_recv_tokens();
            const uint32_t owner = expert / shape.num_local_experts();
            const size_t row =
                received[owner].first_row[expert % shape.num_local_experts()] + slot[i] % shape.max_recv_tokens();
            const float weight = bits_of<float>(weights[i]);
            const float* y = &travelled[owner][row * shape.hidden];
            for (uint32_t h = 0; h < shape.hidden; ++h) sum[h] = std::fma(weight, y[h], sum[h]);
        }
        for (uint32_t h = 0; h < shape.hidden; ++h) {
            const uint16_t bits = bf16_of_float(sum[h]);
            std::memcpy(&out[(token_idx * shape.hidden + h) * 2], &bits, sizeof bits);
        }
    }
}

}  // namespace model
