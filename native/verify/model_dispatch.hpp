// The plain model of an exchange, on the host: what every rank must receive. As native/reference, in C++.
// Results are written over what the caller keeps, so that vectors keep their memory from one call to the next.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace model {

/// What combine sums.
enum class Element { bf16, f16, f32 };

struct Shape {
    uint32_t num_ranks;
    uint32_t num_experts;
    uint32_t num_topk;
    uint32_t num_channels;
    uint32_t hidden;
    uint32_t row_bytes;                       // of a row that dispatch moves
    uint32_t max_tokens_per_rank;
    Element combine_element = Element::bf16;
    uint32_t num_scale_words = 0;             // of a token
    bool has_scale_columns = false;           // [word][token], else [token][word]
    uint32_t num_extra_words = 0;             // of a token
    bool is_slotted = false;

    uint32_t num_local_experts() const { return num_experts / num_ranks; }
    uint32_t max_recv_tokens() const { return num_ranks * max_tokens_per_rank; }
    uint32_t combine_row_bytes() const { return hidden * (combine_element == Element::f32 ? 4 : 2); }
};

/// What one rank sends.
struct Input {
    uint32_t num_tokens;
    std::vector<uint8_t> x;              // [num_tokens][row_bytes]
    std::vector<uint32_t> x_scales;      // [num_tokens][num_scale_words], or its transpose
    std::vector<uint32_t> extras;        // [num_tokens][num_extra_words]
    std::vector<int64_t> topk_idx;       // [num_tokens][num_topk]
    std::vector<uint32_t> topk_weights;  // [num_tokens][num_topk]
};

/// Received rows that follow each other without a gap.
struct Segment {
    uint32_t first_row;
    uint32_t num_rows;
    uint32_t capacity;   // rows that belong to it, with those that nobody sent
    uint32_t first_arrival;
};

/// What one rank receives, and what it keeps for combine and for the caller. Rows are numbered in the order of
/// arrival, by source, then token; where they lie is told by `segments` and `slot`.
struct Received {
    uint32_t num_rows = 0;
    std::vector<Segment> segments;
    std::vector<uint8_t> x;                      // [num_rows][row_bytes]
    std::vector<uint32_t> x_scales;              // [num_rows][num_scale_words], or its transpose
    std::vector<uint32_t> extras;                // [num_rows][num_extra_words]
    std::vector<int64_t> topk_idx;               // [num_rows][num_topk]
    std::vector<uint32_t> topk_weights;          // [num_rows][num_topk]
    std::vector<int32_t> src_idx;                // [num_rows]
    std::vector<int32_t> num_tokens_per_expert;  // [num_local_experts], by those who chose it
    std::vector<int32_t> num_tokens_per_rank;    // [source]
    std::vector<int32_t> rank_prefix;            // [source][destination] inclusive over sources
    std::vector<int32_t> channel_prefix;         // [destination][channel] inclusive over channels
    std::vector<int32_t> recv_channel_prefix;    // [source][channel] exclusive, within the source's rows
    std::vector<int32_t> slot;                   // [token][rank] its row there, or -1
    std::vector<int32_t> arrival;                // [token][rank] the same among the rows that came
};

/// A rank's own routing, as the layout query tells it.
struct Layout {
    std::vector<int32_t> num_tokens_per_rank;
    std::vector<int32_t> num_tokens_per_expert;
    std::vector<uint8_t> is_token_in_rank;
    int64_t first_bad_choice = -1;  // token * num_topk + choice, or -1
};

/// Received rows, one for each selection, grouped by local expert.
struct Grouped {
    uint32_t num_rows = 0;               // with padding
    std::vector<uint8_t> x;              // [num_rows][row_bytes]
    std::vector<uint32_t> x_scales;      // [num_rows][num_scale_words], or its transpose
    std::vector<uint32_t> extras;        // [num_rows][num_extra_words]
    std::vector<uint32_t> topk_weights;  // [num_rows]
    std::vector<int32_t> slot;           // [received row][num_topk] row of each selection, or -1
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

/// Where word `word` of the scales of row `row` lies among those of `num_rows`.
inline size_t scale_at(const Shape& shape, size_t num_rows, size_t row, size_t word) {
    return shape.has_scale_columns ? word * num_rows + row : row * shape.num_scale_words + word;
}

/// Rows or tokens, and all that lies beside each whatever its experts are.
template <class Vectors>
void copy_row(const Shape& shape, const auto& from, size_t num_from, size_t from_row, Vectors& to, size_t num_to,
              size_t to_row) {
    std::copy_n(&from.x[from_row * shape.row_bytes], shape.row_bytes, &to.x[to_row * shape.row_bytes]);
    for (uint32_t word = 0; word < shape.num_scale_words; ++word) {
        to.x_scales[scale_at(shape, num_to, to_row, word)] = from.x_scales[scale_at(shape, num_from, from_row, word)];
    }
    for (uint32_t word = 0; word < shape.num_extra_words; ++word) {
        to.extras[to_row * shape.num_extra_words + word] = from.extras[from_row * shape.num_extra_words + word];
    }
}

/// Sends rows along a routing that `results` have: where a token arrives, and how many do.
inline void move_rows(const Shape& shape, const std::vector<Input>& inputs, std::vector<Received>& results) {
    for (Received& receiver : results) {
        receiver.x.resize(size_t{receiver.num_rows} * shape.row_bytes);
        receiver.x_scales.resize(size_t{receiver.num_rows} * shape.num_scale_words);
        receiver.extras.resize(size_t{receiver.num_rows} * shape.num_extra_words);
    }
    for (uint32_t source = 0; source < shape.num_ranks; ++source) {
        const uint32_t num_tokens = inputs[source].num_tokens;
        for (size_t i = 0; i < results[source].arrival.size(); ++i) {
            const int32_t arrival = results[source].arrival[i];
            if (arrival < 0) continue;
            Received& receiver = results[i % shape.num_ranks];
            copy_row(shape, inputs[source], num_tokens, i / shape.num_ranks, receiver, receiver.num_rows, arrival);
        }
    }
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
        own.segments.clear();
        own.topk_idx.clear();
        own.topk_weights.clear();
        own.src_idx.clear();
        own.num_tokens_per_expert.assign(shape.num_local_experts(), 0);
        own.num_tokens_per_rank.clear();
        own.rank_prefix.assign(num_ranks * num_ranks, 0);
        own.channel_prefix.assign(num_ranks * num_channels, 0);
        own.recv_channel_prefix.assign(num_ranks * num_channels, 0);
        own.slot.assign(size_t{inputs[rank].num_tokens} * num_ranks, -1);
        own.arrival = own.slot;
    }
    std::vector<int32_t> rows_of_channel;
    for (uint32_t destination = 0; destination < num_ranks; ++destination) {
        Received& receiver = results[destination];
        const int64_t first_expert = int64_t{destination} * shape.num_local_experts();
        for (uint32_t source = 0; source < num_ranks; ++source) {
            const Input& input = inputs[source];
            const uint32_t first_arrival = receiver.num_rows;
            const uint32_t first_row = shape.is_slotted ? source * shape.max_tokens_per_rank : first_arrival;
            rows_of_channel.assign(num_channels, 0);
            for (uint32_t token_idx = 0; token_idx < input.num_tokens; ++token_idx) {
                const size_t place = size_t{token_idx} * num_ranks + destination;
                if (!layouts[source].is_token_in_rank[place]) continue;
                results[source].slot[place] = first_row + (receiver.num_rows - first_arrival);
                results[source].arrival[place] = receiver.num_rows++;
                ++rows_of_channel[channel_of_token(shape, input, token_idx)];
                receiver.src_idx.push_back(token_idx);
                for (uint32_t k = 0; k < num_topk; ++k) {
                    const int64_t local = input.topk_idx[size_t{token_idx} * num_topk + k] - first_expert;
                    const bool is_here = local >= 0 && local < shape.num_local_experts();
                    receiver.topk_idx.push_back(is_here ? local : -1);
                    receiver.topk_weights.push_back(is_here ? input.topk_weights[size_t{token_idx} * num_topk + k] : 0);
                    if (is_here) ++receiver.num_tokens_per_expert[local];
                }
            }
            const uint32_t num_rows = receiver.num_rows - first_arrival;
            receiver.num_tokens_per_rank.push_back(num_rows);
            if (shape.is_slotted) {
                receiver.segments.push_back({first_row, num_rows, shape.max_tokens_per_rank, first_arrival});
            }
            for (Received& any : results) any.rank_prefix[source * num_ranks + destination] = receiver.num_rows;
            int32_t total = 0;
            for (uint32_t channel = 0; channel < num_channels; ++channel) {
                receiver.recv_channel_prefix[source * num_channels + channel] = total;
                total += rows_of_channel[channel];
                results[source].channel_prefix[destination * num_channels + channel] = total;
            }
        }
        if (!shape.is_slotted) receiver.segments.push_back({0, receiver.num_rows, shape.max_recv_tokens(), 0});
    }
    move_rows(shape, inputs, results);
}

inline std::vector<Received> dispatch(const Shape& shape, const std::vector<Input>& inputs) {
    std::vector<Layout> layouts;
    std::vector<Received> results;
    dispatch(shape, inputs, layouts, results);
    return results;
}

/// The received rows by expert; each group has as many as `num_tokens_per_expert` says. Every byte of those that fill a
/// group up is `padding`.
inline void expert_major(const Shape& shape, const Received& received, uint8_t padding, Grouped& result) {
    std::vector<uint32_t> next;
    result.num_rows = 0;
    for (const int32_t count : received.num_tokens_per_expert) {
        next.push_back(result.num_rows);
        result.num_rows += count;
    }
    const uint32_t padding_word = padding * 0x01010101u;
    result.x.assign(size_t{result.num_rows} * shape.row_bytes, padding);
    result.x_scales.assign(size_t{result.num_rows} * shape.num_scale_words, padding_word);
    result.extras.assign(size_t{result.num_rows} * shape.num_extra_words, padding_word);
    result.topk_weights.assign(result.num_rows, padding_word);
    result.slot.assign(received.topk_idx.size(), -1);
    for (size_t selection = 0; selection < received.topk_idx.size(); ++selection) {
        const int64_t expert = received.topk_idx[selection];
        if (expert < 0) continue;
        const uint32_t row = next[expert]++;
        result.slot[selection] = row;
        result.topk_weights[row] = received.topk_weights[selection];
        copy_row(shape, received, received.num_rows, selection / shape.num_topk, result, result.num_rows, row);
    }
}

}  // namespace model
