// The plain model of an exchange, on the host: what every rank must receive and sum. As native/reference, in C++.
// Results are written over what the caller keeps, so that vectors keep their memory from one call to the next.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace model {

struct Shape {
    uint32_t num_ranks;
    uint32_t num_experts;
    uint32_t num_topk;
    uint32_t num_channels;
    uint32_t hidden;

    uint32_t num_local_experts() const { return num_experts / num_ranks; }
};

/// What one rank sends.
struct Input {
    uint32_t num_tokens;
    std::vector<uint16_t> x;             // [num_tokens][hidden]
    std::vector<int64_t> topk_idx;       // [num_tokens][num_topk]
    std::vector<uint32_t> topk_weights;  // [num_tokens][num_topk]
};

/// What one rank receives, and what it keeps for combine and for the caller.
struct Received {
    uint32_t num_rows = 0;
    std::vector<uint16_t> x;                    // [num_rows][hidden]
    std::vector<int64_t> topk_idx;              // [num_rows][num_topk]
    std::vector<uint32_t> topk_weights;         // [num_rows][num_topk]
    std::vector<int32_t> src_idx;               // [num_rows]
    std::vector<int32_t> num_tokens_per_expert;  // [num_local_experts], by those who chose it
    std::vector<int32_t> rank_prefix;           // [source][destination] inclusive over sources
    std::vector<int32_t> channel_prefix;        // [destination][channel] inclusive over channels
    std::vector<int32_t> recv_channel_prefix;   // [source][channel] exclusive, within the source's rows
    std::vector<int32_t> slot;                  // [token][rank] or -1
};

/// A rank's own routing, as the layout query tells it.
struct Layout {
    std::vector<int32_t> num_tokens_per_rank;
    std::vector<int32_t> num_tokens_per_expert;
    std::vector<uint8_t> is_token_in_rank;
    int64_t first_bad_choice = -1;  // token * num_topk + choice, or -1
};

inline bool names_expert(const Shape& shape, int64_t expert) { return expert >= 0 && expert < shape.num_experts; }

inline void layout(const Shape& shape, const Input& input, Layout& result) {
    result.first_bad_choice = -1;
    result.num_tokens_per_rank.assign(shape.num_ranks, 0);
    result.num_tokens_per_expert.assign(shape.num_experts, 0);
    result.is_token_in_rank.assign(size_t{input.num_tokens} * shape.num_ranks, 0);
    for (size_t choice = 0; choice < input.topk_idx.size(); ++choice) {
        const int64_t expert = input.topk_idx[choice];
        if (!names_expert(shape, expert)) {
            if (expert != -1 && result.first_bad_choice < 0) result.first_bad_choice = static_cast<int64_t>(choice);
            continue;
        }
        ++result.num_tokens_per_expert[expert];
        uint8_t& is_in = result.is_token_in_rank[choice / shape.num_topk * shape.num_ranks +
                                                 expert / shape.num_local_experts()];
        if (!is_in) ++result.num_tokens_per_rank[expert / shape.num_local_experts()];
        is_in = 1;
    }
}

inline Layout layout(const Shape& shape, const Input& input) {
    Layout result;
    layout(shape, input, result);
    return result;
}

inline uint32_t channel_of_token(const Shape& shape, const Input& input, uint32_t token_idx) {
    return token_idx / ((input.num_tokens + shape.num_channels - 1) / shape.num_channels);
}

/// What every rank receives, and the layout that each rank's own routing has.
inline void dispatch(const Shape& shape, const std::vector<Input>& inputs, std::vector<Layout>& layouts,
                     std::vector<Received>& results) {
    const uint32_t num_ranks = shape.num_ranks, num_channels = shape.num_channels, num_topk = shape.num_topk;
    layouts.resize(num_ranks);
    results.resize(num_ranks);
    for (uint32_t rank = 0; rank < num_ranks; ++rank) {
        layout(shape, inputs[rank], layouts[rank]);
        Received& own = results[rank];
        own.num_rows = 0;
        own.x.clear();
        own.topk_idx.clear();
        own.topk_weights.clear();
        own.src_idx.clear();
        own.num_tokens_per_expert.assign(shape.num_local_experts(), 0);
        own.rank_prefix.assign(num_ranks * num_ranks, 0);
        own.channel_prefix.assign(num_ranks * num_channels, 0);
        own.recv_channel_prefix.assign(num_ranks * num_channels, 0);
        own.slot.assign(size_t{inputs[rank].num_tokens} * num_ranks, -1);
    }
    std::vector<int32_t> rows_of_channel;
    for (uint32_t destination = 0; destination < num_ranks; ++destination) {
        Received& receiver = results[destination];
        const int64_t first_expert = int64_t{destination} * shape.num_local_experts();
        for (uint32_t source = 0; source < num_ranks; ++source) {
            const Input& input = inputs[source];
            rows_of_channel.assign(num_channels, 0);
            for (uint32_t token_idx = 0; token_idx < input.num_tokens; ++token_idx) {
                if (!layouts[source].is_token_in_rank[size_t{token_idx} * num_ranks + destination]) continue;
                results[source].slot[size_t{token_idx} * num_ranks + destination] = receiver.num_rows++;
                ++rows_of_channel[channel_of_token(shape, input, token_idx)];
                receiver.src_idx.push_back(token_idx);
                const auto row = input.x.begin() + size_t{token_idx} * shape.hidden;
                receiver.x.insert(receiver.x.end(), row, row + shape.hidden);
                for (uint32_t k = 0; k < num_topk; ++k) {
                    const int64_t local = input.topk_idx[size_t{token_idx} * num_topk + k] - first_expert;
                    const bool is_here = local >= 0 && local < shape.num_local_experts();
                    receiver.topk_idx.push_back(is_here ? local : -1);
                    receiver.topk_weights.push_back(is_here ? input.topk_weights[size_t{token_idx} * num_topk + k] : 0);
                    if (is_here) ++receiver.num_tokens_per_expert[local];
                }
            }
            for (Received& any : results) any.rank_prefix[source * num_ranks + destination] = receiver.num_rows;
            int32_t total = 0;
            for (uint32_t channel = 0; channel < num_channels; ++channel) {
                receiver.recv_channel_prefix[source * num_channels + channel] = total;
                total += rows_of_channel[channel];
                results[source].channel_prefix[destination * num_channels + channel] = total;
            }
        }
    }
}

inline std::vector<Received> dispatch(const Shape& shape, const std::vector<Input>& inputs) {
    std::vector<Layout> layouts;
    std::vector<Received> results;
    dispatch(shape, inputs, layouts, results);
    return results;
}

inline float float_of_bf16(uint16_t bits) {
    const uint32_t word = uint32_t{bits} << 16;
    float value;
    std::memcpy(&value, &word, sizeof(value));
    return value;
}

inline uint16_t bf16_of_float(float value) {
    if (std::isnan(value)) return 0x7fff;
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/// One rank's sums: [token][hidden]. `outputs[rank]` are the expert outputs at `rank`, one for each of its rows.
inline void combine(const Shape& shape, const Received& own, const std::vector<const uint16_t*>& outputs,
                    std::vector<uint16_t>& out) {
    const size_t num_tokens = own.slot.size() / shape.num_ranks;
    out.resize(num_tokens * shape.hidden);
    std::vector<float> sum(shape.hidden);
    for (size_t token_idx = 0; token_idx < num_tokens; ++token_idx) {
        sum.assign(shape.hidden, 0);
        for (uint32_t rank = 0; rank < shape.num_ranks; ++rank) {
            const int32_t row = own.slot[token_idx * shape.num_ranks + rank];
            if (row < 0) continue;
            const uint16_t* elements = outputs[rank] + size_t(row) * shape.hidden;
            for (uint32_t i = 0; i < shape.hidden; ++i) sum[i] += float_of_bf16(elements[i]);
        }
        for (uint32_t i = 0; i < shape.hidden; ++i) out[token_idx * shape.hidden + i] = bf16_of_float(sum[i]);
    }
}

}  // namespace model
