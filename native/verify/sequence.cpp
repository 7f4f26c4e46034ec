#include "verify/sequence.hpp"

#include <algorithm>
#include <cstddef>

#include "verify/draw.hpp"

namespace epgen::verify {

namespace {

using simt::Random;

/// The next of a pool of which `count` are in use.
template <class T>
T& take(std::vector<T>& pool, uint32_t& count) {
    if (count == pool.size()) pool.emplace_back();
    return pool[count++];
}

/// Blocks of one rank's launch; few mostly, and never so many that the machine outgrows a laptop.
uint32_t draw_grid(Random& random, const Module& module) {
    const uint32_t limit = std::min(module.num_channels, std::max(1u, 32 / module.num_ranks));
    switch (random.below(8)) {
        case 0: return one_in(random, 4) ? module.num_channels : limit;
        case 1:
        case 2: return 1 + random.below(limit);
        case 3:
        case 4:
        case 5: return 1 + random.below(std::min(limit, 3u));
        default: return 1;
    }
}

/// How many calls the group has made: none, some, or so many that epochs are about to wrap.
uint64_t draw_earlier_calls(Random& random, uint32_t num_calls) {
    constexpr uint64_t kEpochs = uint64_t{1} << 32;
    switch (random.below(4)) {
        case 0: return 0;
        case 1: return random.below(1000);
        case 2: return random.next() >> 16;
        default: return kEpochs * (1 + random.below(5)) - random.below(num_calls + 2);
    }
}

void draw_call(Random& random, const Module& module, Call& call) {
    call.grid.resize(module.num_ranks);
    call.delay_ns.resize(module.num_ranks);
    call.rest_ns.resize(module.num_ranks);
    for (uint32_t rank_idx = 0; rank_idx < module.num_ranks; ++rank_idx) {
        call.grid[rank_idx] = draw_grid(random, module);
        call.delay_ns[rank_idx] = one_in(random, 8) ? random.below(30'000) : 0;
        call.rest_ns[rank_idx] = one_in(random, 6) ? random.below(30'000) : 0;
    }
}

}  // namespace

bool Sequence::is_live(uint32_t dispatch_idx, const SpecLayout& layout) const {
    return num_dispatches - dispatch_idx <= layout.live_results;
}

/// It is poisoned before the dispatch before this one, since early peers may write it from then on; with a credit,
/// before this one. Where nobody may want the result that lies there any longer: a later call of all ranks has shown
/// that their combines have ended.
bool Sequence::may_be_poisoned(uint32_t dispatch_idx, const Module& module, const SpecLayout& layout) const {
    if (dispatch_idx < module.num_recv_buffers) return true;
    const int32_t pulled_at = pulled_at_[dispatch_idx - module.num_recv_buffers];
    if (module.num_recv_buffers == layout.live_results) return pulled_at + 2 < static_cast<int32_t>(num_calls);
    int32_t call_before = -1;
    for (uint32_t i = 0; i + 1 < num_calls; ++i) {
        if (calls[i].is_dispatch) call_before = static_cast<int32_t>(i);
    }
    return pulled_at < 0 || pulled_at + 1 < call_before;
}

void Sequence::draw_dispatch(Random& random, const Options& options, const Module& module, const SpecLayout& layout) {
    Dispatch& dispatch = take(dispatches, num_dispatches);
    const uint32_t idx = num_dispatches - 1;
    dispatch.buffer_idx = static_cast<uint32_t>((num_earlier_calls + idx) % module.num_recv_buffers);
    dispatch.is_read_late = one_in(random, 2);
    dispatch.is_poisoned = may_be_poisoned(idx, module, layout);
    dispatch.mode = DispatchMode::topk;
    dispatch.routing_idx = idx;
    draw_routing(module, layout, dispatch);
    draw_inputs(random, options, layout, dispatch);
    for (model::Received& received : dispatch.received) {
        if (dispatch.mode != DispatchMode::topk) {
            received.topk_idx.clear();
            received.topk_weights.clear();
        }
        if (dispatch.mode == DispatchMode::cached) received.src_idx.clear();
    }
    draw_expert_major(module, layout, dispatch);
    dispatch.rows.resize(module.num_ranks);
    for (uint32_t rank_idx = 0; rank_idx < module.num_ranks; ++rank_idx) {
        dispatch.rows[rank_idx] = dispatch.received[rank_idx].x.data();
    }
    pulled_at_.push_back(-1);
}

/// Where the routing comes from, and options that go with it.
void Sequence::draw_routing(const Module& module, const SpecLayout& layout, Dispatch& dispatch) {
    constexpr uint32_t kAlignments[] = {1, 1, 2, 3, kMostExpertAlignment};
    Random& random = options_random_;
    const uint32_t idx = num_dispatches - 1;
    dispatch.expert_alignment = kAlignments[random.below(std::size(kAlignments))];
    dispatch.num_worst_tokens = 0;
    if (module.has_cached && idx > 0 && one_in(random, 2)) {
        // Results of cached dispatches have the handle that these were given.
        dispatch.mode = DispatchMode::cached;
        dispatch.routing_idx = dispatches[one_in(random, 2) ? random.below(idx) : idx - 1].routing_idx;
        return;
    }
    if (module.has_without_topk && one_in(random, 2)) dispatch.mode = DispatchMode::layout;
    if (module.has_worst_tokens && one_in(random, 2)) {
        dispatch.num_worst_tokens = 1 + random.below(std::min(layout.shape.max_recv_tokens(), kMostWorstTokens));
    }
}

void Sequence::draw_inputs(Random& random, const Options& options, const SpecLayout& layout, Dispatch& dispatch) {
    const model::Shape& shape = layout.shape;
    dispatch.inputs.resize(shape.num_ranks);
    if (dispatch.mode == DispatchMode::cached) {
        const Dispatch& routing = dispatches[dispatch.routing_idx];
        for (uint32_t rank_idx = 0; rank_idx < shape.num_ranks; ++rank_idx) {
            draw_rows(random, routing.inputs[rank_idx].num_tokens, shape, dispatch.inputs[rank_idx]);
        }
        dispatch.received = routing.received;
        return model::move_rows(shape, dispatch.inputs, dispatch.received);
    }
    const Pattern pattern = draw_pattern(random);
    const uint32_t limit = draw_token_limit(random, options.max_tokens);
    for (uint32_t rank_idx = 0; rank_idx < shape.num_ranks; ++rank_idx) {
        const uint32_t num_tokens = one_in(random, 6) ? 0 : one_in(random, 3) ? limit : random.below(limit + 1);
        draw_input(random, pattern, num_tokens, rank_idx, shape, dispatch.inputs[rank_idx]);
    }
    model::dispatch(shape, dispatch.inputs, dispatch.layouts, dispatch.received);
    const auto alignment = static_cast<int32_t>(dispatch.expert_alignment);
    for (model::Received& received : dispatch.received) {
        for (int32_t& count : received.num_tokens_per_expert) count = (count + alignment - 1) / alignment * alignment;
        const uint64_t num_rows = std::max(received.num_rows, dispatch.num_worst_tokens);
        received.topk_idx.resize(num_rows * shape.num_topk, -1);
    }
    for (model::Layout& own : dispatch.layouts) {
        if (dispatch.mode == DispatchMode::layout) own.first_bad_choice = -1;
    }
}

/// Each rank asks for it in its own way.
void Sequence::draw_expert_major(const Module& module, const SpecLayout& layout, Dispatch& dispatch) {
    Random& random = options_random_;
    dispatch.expert_major.clear();
    if (module.expert_major == nullptr || dispatch.mode != DispatchMode::topk || one_in(random, 3)) return;
    dispatch.expert_major.resize(module.num_ranks);
    for (uint32_t rank_idx = 0; rank_idx < module.num_ranks; ++rank_idx) {
        ExpertMajor& own = dispatch.expert_major[rank_idx];
        own.grid = 1 + random.below(kMostExpertMajorBlocks);
        own.pads_zeros = one_in(random, 2);
        model::expert_major(layout.shape, dispatch.received[rank_idx], own.pads_zeros ? 0 : kPoison, own.grouped);
    }
}

void Sequence::draw_combine(Random& random, const Module& module, const SpecLayout& layout) {
    const model::Shape& shape = layout.shape;
    Combine& combine = take(combines, num_combines);
    const uint32_t idx = num_combines - 1;
    combine.output_idx = static_cast<uint32_t>((num_earlier_calls + idx) % layout.output.num_buffers);
    combine.dispatch_idx = one_in(random, 4) ? random.below(num_dispatches) : num_dispatches - 1;
    Dispatch& dispatch = dispatches[combine.dispatch_idx];
    combine.from = CombineFrom::output;
    if (is_live(combine.dispatch_idx, layout) && one_in(random, 2) && layout.combines_in_place) {
        // The runtime refuses to write what was combined in place once.
        const bool may_rewrite = pulled_at_[combine.dispatch_idx] < 0;
        combine.from = may_rewrite && one_in(random, 2) ? CombineFrom::rewritten : CombineFrom::received;
        pulled_at_[combine.dispatch_idx] = static_cast<int32_t>(num_calls) - 1;
    } else if (!dispatches[dispatch.routing_idx].expert_major.empty() && !one_in(options_random_, 3)) {
        combine.from = CombineFrom::experts;
    }
    combine.outputs.resize(shape.num_ranks);
    combine.expert_outputs.resize(shape.num_ranks);
    combine.rows.resize(shape.num_ranks);
    combine.sums.resize(shape.num_ranks);
    for (uint32_t rank_idx = 0; rank_idx < shape.num_ranks; ++rank_idx) {
        if (combine.from == CombineFrom::received) {
            combine.rows[rank_idx] = dispatch.rows[rank_idx];
            continue;
        }
        if (combine.from == CombineFrom::experts) {
            const model::Grouped& grouped = dispatches[dispatch.routing_idx].expert_major[rank_idx].grouped;
            std::vector<uint8_t>& expert_outputs = combine.expert_outputs[rank_idx];
            draw_bits(random, expert_outputs, size_t{grouped.num_rows} * shape.combine_row_bytes());
            model::expert_sum(shape, grouped.slot, expert_outputs, combine.outputs[rank_idx]);
        } else {
            const size_t num_rows = dispatch.received[rank_idx].num_rows;
            draw_bits(random, combine.outputs[rank_idx], num_rows * shape.combine_row_bytes());
        }
        combine.rows[rank_idx] = combine.outputs[rank_idx].data();
        if (combine.from == CombineFrom::rewritten) dispatch.rows[rank_idx] = combine.rows[rank_idx];
    }
    draw_weights(module, layout, combine);
    draw_biases(module, layout, combine);
    std::vector<const uint8_t*> biases;
    for (uint32_t rank_idx = 0; rank_idx < shape.num_ranks; ++rank_idx) {
        biases.clear();
        for (const std::vector<uint8_t>& bias : combine.biases[rank_idx]) biases.push_back(bias.data());
        model::combine(shape, dispatch.received[rank_idx], combine.rows, biases, combine.sums[rank_idx]);
    }
}

/// All ranks bring top-k weights, or none; each those that it received, where they lie, or others.
void Sequence::draw_weights(const Module& module, const SpecLayout& layout, Combine& combine) {
    Random& random = options_random_;
    const Dispatch& dispatch = dispatches[combine.dispatch_idx];
    const model::Shape& shape = layout.shape;
    combine.weights_from.assign(shape.num_ranks, WeightsFrom::none);
    if (!module.has_combine_weights || one_in(random, 3)) return;
    const bool has_received = dispatch.mode == DispatchMode::topk && is_live(combine.dispatch_idx, layout);
    std::vector<const uint32_t*> weights(shape.num_ranks);
    combine.weights.resize(shape.num_ranks);
    combine.weight_sums.resize(shape.num_ranks);
    for (uint32_t rank_idx = 0; rank_idx < shape.num_ranks; ++rank_idx) {
        const model::Received& received = dispatch.received[rank_idx];
        if (has_received && one_in(random, 2)) {
            combine.weights_from[rank_idx] = WeightsFrom::received;
            weights[rank_idx] = received.topk_weights.data();
            pulled_at_[combine.dispatch_idx] = static_cast<int32_t>(num_calls) - 1;
        } else {
            combine.weights_from[rank_idx] = WeightsFrom::output;
            draw_bits(random, combine.weights[rank_idx], size_t{received.num_rows} * shape.num_topk);
            weights[rank_idx] = combine.weights[rank_idx].data();
        }
    }
    for (uint32_t rank_idx = 0; rank_idx < shape.num_ranks; ++rank_idx) {
        model::combine_weights(shape, dispatch.received[rank_idx], weights, combine.weight_sums[rank_idx]);
    }
}

/// Each rank as many as it likes.
void Sequence::draw_biases(const Module& module, const SpecLayout& layout, Combine& combine) {
    Random& random = options_random_;
    const model::Shape& shape = layout.shape;
    combine.biases.resize(shape.num_ranks);
    for (uint32_t rank_idx = 0; rank_idx < shape.num_ranks; ++rank_idx) {
        const uint64_t num_tokens = dispatches[combine.dispatch_idx].inputs[rank_idx].num_tokens;
        combine.biases[rank_idx].resize(module.num_biases == 0 ? 0 : random.below(module.num_biases + 1));
        for (std::vector<uint8_t>& bias : combine.biases[rank_idx]) {
            draw_bits(random, bias, num_tokens * shape.combine_row_bytes());
        }
    }
}

void Sequence::draw_query(Random& random, const Options& options, const Module& module, const SpecLayout& layout) {
    Query& query = take(queries, num_queries);
    query.rank_idx = random.below(module.num_ranks);
    query.before_call = num_calls - 1;
    const uint32_t limit = draw_token_limit(random, options.max_tokens);
    draw_input(random, draw_pattern(random), random.below(limit + 1), query.rank_idx, layout.shape, query.input);
    model::layout(layout.shape, query.input, query.layout);
}

void Sequence::draw(uint64_t seed, const Options& options, const Module& module, const SpecLayout& layout) {
    Random random(seed ^ 0x5e90e9ce5eed5u);
    options_random_ = Random(seed ^ 0x0b7105eedu);
    num_calls = num_dispatches = num_combines = num_queries = 0;
    pulled_at_.clear();
    num_earlier_calls = draw_earlier_calls(random, options.num_calls);
    if (module.num_channels == 0) return;
    // Where every order is tried, low-latency calls and others have a sequence each.
    const bool is_low_latency = options.explores && module.num_ll_channels > 0 && seed % 2 == 0;
    while (num_calls < options.num_calls && !is_low_latency) {
        Call& call = take(calls, num_calls);
        draw_call(random, module, call);
        if (one_in(random, 6)) draw_query(random, options, module, layout);
        const bool is_last = num_calls == options.num_calls;
        call.is_dispatch = num_dispatches == 0 || (one_in(random, 2) && !(is_last && num_combines == 0));
        if (call.is_dispatch) {
            draw_dispatch(random, options, module, layout);
        } else {
            draw_combine(random, module, layout);
        }
        call.idx = (call.is_dispatch ? num_dispatches : num_combines) - 1;
    }
}

}  // namespace epgen::verify
