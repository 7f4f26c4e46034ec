// The plain model of what a combine sums, and of sums over experts.
#pragma once

#include <cstring>
#include <vector>

#include "verify/model_dispatch.hpp"
#include "verify/model_numbers.hpp"

namespace model {

/// Element `i` of a row that combine sums.
inline float element(const Shape& shape, const uint8_t* row, size_t i) {
    if (shape.combine_element == Element::f32) {
        float value;
        std::memcpy(&value, row + 4 * i, sizeof value);
        return value;
    }
    uint16_t bits;
    std::memcpy(&bits, row + 2 * i, sizeof bits);
    return shape.combine_element == Element::f16 ? float_of_f16(bits) : float_of_bf16(bits);
}

/// The sum of rows in their order, in f32, rounded once.
inline void sum_rows(const Shape& shape, const std::vector<const uint8_t*>& rows, uint8_t* out) {
    for (uint32_t i = 0; i < shape.hidden; ++i) {
        float sum = 0;
        for (const uint8_t* row : rows) sum += element(shape, row, i);
        if (shape.combine_element == Element::f32) {
            const uint32_t bits = f32_bits(sum);
            std::memcpy(out + 4 * i, &bits, sizeof bits);
        } else {
            const uint16_t bits = shape.combine_element == Element::f16 ? f16_of_float(sum) : bf16_of_float(sum);
            std::memcpy(out + 2 * i, &bits, sizeof bits);
        }
    }
}

/// One rank's sums: [token][hidden]. `outputs[rank]` are the expert outputs at `rank`, one for each of its rows in the
/// order of arrival; `biases` have a row for each token and come first.
inline void combine(const Shape& shape, const Received& own, const std::vector<const uint8_t*>& outputs,
                    const std::vector<const uint8_t*>& biases, std::vector<uint8_t>& out) {
    const size_t num_tokens = own.arrival.size() / shape.num_ranks;
    const size_t row_bytes = shape.combine_row_bytes();
    out.resize(num_tokens * row_bytes);
    std::vector<const uint8_t*> rows;
    for (size_t token_idx = 0; token_idx < num_tokens; ++token_idx) {
        rows.clear();
        for (const uint8_t* bias : biases) rows.push_back(bias + token_idx * row_bytes);
        for (uint32_t rank = 0; rank < shape.num_ranks; ++rank) {
            const int32_t row = own.arrival[token_idx * shape.num_ranks + rank];
            if (row >= 0) rows.push_back(outputs[rank] + size_t(row) * row_bytes);
        }
        sum_rows(shape, rows, &out[token_idx * row_bytes]);
    }
}

/// One rank's sums of top-k weights: [token][num_topk]. `weights[rank]` has a row for each of the rank's rows.
inline void combine_weights(const Shape& shape, const Received& own, const std::vector<const uint32_t*>& weights,
                            std::vector<uint32_t>& out) {
    const size_t num_tokens = own.arrival.size() / shape.num_ranks;
    out.resize(num_tokens * shape.num_topk);
    for (size_t i = 0; i < out.size(); ++i) {
        float sum = 0;
        for (uint32_t rank = 0; rank < shape.num_ranks; ++rank) {
            const int32_t row = own.arrival[i / shape.num_topk * shape.num_ranks + rank];
            if (row >= 0) sum += bits_of<float>(weights[rank][size_t(row) * shape.num_topk + i % shape.num_topk]);
        }
        out[i] = f32_bits(sum);
    }
}

/// What combine pulls after expert-major outputs: the sum of each row's selections in the order of k.
inline void expert_sum(const Shape& shape, const std::vector<int32_t>& slot, const std::vector<uint8_t>& y,
                       std::vector<uint8_t>& sums) {
    const size_t row_bytes = shape.combine_row_bytes();
    const size_t num_rows = slot.size() / shape.num_topk;
    sums.resize(num_rows * row_bytes);
    std::vector<const uint8_t*> rows;
    for (size_t row = 0; row < num_rows; ++row) {
        rows.clear();
        for (uint32_t k = 0; k < shape.num_topk; ++k) {
            const int32_t from = slot[row * shape.num_topk + k];
            if (from >= 0) rows.push_back(&y[size_t(from) * row_bytes]);
        }
        sum_rows(shape, rows, &sums[row * row_bytes]);
    }
}

}  // namespace model
