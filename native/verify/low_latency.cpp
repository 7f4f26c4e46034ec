#include "verify/low_latency.hpp"

#include <algorithm>
#include <cstring>

#include "device/record.cuh"
#include "verify/draw.hpp"

namespace epgen::verify {

namespace {

/// Numbers of some two to four digits before rounding, and blocks of tiny ones or zeros between them; or any bits.
void draw_bf16(simt::Random& random, std::vector<uint8_t>& rows, size_t num_elements, bool is_moderate) {
    draw_bits(random, rows, 2 * num_elements);
    if (!is_moderate) return;
    for (size_t i = 0; i < num_elements; ++i) {
        const uint16_t bits = static_cast<uint16_t>(rows[2 * i] | rows[2 * i + 1] << 8);
        const uint16_t moderate = static_cast<uint16_t>((bits & 0x807f) | (122 + (bits >> 7 & 7)) << 7);
        std::memcpy(&rows[2 * i], &moderate, sizeof moderate);
    }
    for (size_t first = 0; first < num_elements; first += model::kLlScaleBlock) {
        if (!one_in(random, 8)) continue;
        const uint16_t kept = one_in(random, 2) ? 0x8000 : 0xb7ff;  // the sign alone, or an exponent that is small
        for (size_t i = first; i < std::min(first + model::kLlScaleBlock, num_elements); ++i) {
            rows[2 * i] &= static_cast<uint8_t>(kept);
            rows[2 * i + 1] &= static_cast<uint8_t>(kept >> 8);
        }
    }
}

const char* phases_text(uint32_t phases) {
    return phases == kLlSend ? ", send" : phases == kLlReceive ? ", receive" : "";
}

}  // namespace

void LowLatency::draw(uint64_t seed, const Options& options, uint64_t earlier_calls, uint32_t num_other_calls) {
    dispatches.clear();
    combines.clear();
    orders.assign(module_.num_ranks, {});
    num_earlier_calls = earlier_calls;
    if (module_.num_ll_channels == 0) return;
    if (options.explores && num_other_calls > 0) return;  // every order of one kind is enough to try
    simt::Random random(seed ^ 0x10a7e4c7u);
    std::vector<Event> events(options.explores ? options.num_calls
                                               : options.num_calls + random.below(options.num_calls + 4));
    for (Event& event : events) event.before_call = random.below(num_other_calls + 1);
    std::sort(events.begin(), events.end(), [](const Event& a, const Event& b) { return a.before_call < b.before_call; });
    for (Event& event : events) {
        event.is_dispatch = dispatches.empty() || random.below(5) < 3;
        event.idx = static_cast<uint32_t>(event.is_dispatch ? dispatches.size() : combines.size());
        if (event.is_dispatch) {
            draw_dispatch(random, options);
        } else {
            draw_combine(random);
        }
    }
    for (uint32_t rank_idx = 0; rank_idx < module_.num_ranks; ++rank_idx) {
        draw_orders(random, events, orders[rank_idx], rank_idx);
        if (!options.explores) continue;
        for (LlOrder& order : orders[rank_idx]) order.delay_ns = order.rest_ns = 0;
    }
}

void LowLatency::draw_dispatch(simt::Random& random, const Options& options) {
    const model::LlShape& shape = layout_.shape;
    LlDispatch& dispatch = dispatches.emplace_back();
    dispatch.epoch = static_cast<uint32_t>(num_earlier_calls + dispatches.size());
    const Pattern pattern = draw_pattern(random);
    const bool is_moderate = one_in(random, 2);
    const uint32_t limit = draw_token_limit(random, std::min(options.max_tokens, shape.max_tokens_per_rank));
    for (uint32_t rank_idx = 0; rank_idx < shape.num_ranks; ++rank_idx) {
        const uint32_t num_tokens = one_in(random, 6) ? 0 : one_in(random, 3) ? limit : random.below(limit + 1);
        // Where a token can't name as many experts, some are named twice.
        const bool is_possible = pattern != Pattern::distinct || shape.num_topk <= shape.num_experts;
        draw_input(random, is_possible ? pattern : Pattern::any, num_tokens, rank_idx, shape.input_shape(),
                   dispatch.inputs.emplace_back());
        draw_bf16(random, dispatch.inputs.back().x, size_t{num_tokens} * shape.hidden, is_moderate);
        dispatch.sources.emplace_back();
        if (!shape.is_fp8 && num_tokens > 0 && one_in(random, 4)) draw_source(random, rank_idx, dispatch);
    }
    model::ll_dispatch(shape, dispatch.inputs, dispatch.received);
}

/// Sends on what an earlier dispatch has brought, where that is enough.
void LowLatency::draw_source(simt::Random& random, uint32_t rank_idx, LlDispatch& dispatch) {
    const auto idx = static_cast<uint32_t>(dispatches.size()) - 1;
    const uint32_t last = layout_.has_credit() ? layout_.in_flight - 1 : layout_.in_flight;
    const uint32_t num_sources = std::min(idx, last);
    if (num_sources == 0) return;
    const LlSource source{idx - 1 - random.below(num_sources), random.below(layout_.shape.num_local_experts())};
    const model::LlReceived& received = dispatches[source.dispatch_idx].received[rank_idx];
    model::Input& input = dispatch.inputs[rank_idx];
    if (received.num_tokens_per_expert[source.expert] < static_cast<int32_t>(input.num_tokens)) return;
    const uint64_t row_bytes = layout_.shape.row_bytes();
    std::copy_n(&received.x[received.first_row[source.expert] * row_bytes], input.num_tokens * row_bytes,
                input.x.begin());
    dispatch.sources[rank_idx] = source;
}

void LowLatency::draw_combine(simt::Random& random) {
    const model::LlShape& shape = layout_.shape;
    LlCombine& combine = combines.emplace_back();
    const auto num_dispatches = static_cast<uint32_t>(dispatches.size());
    combine.dispatch_idx = one_in(random, 3) ? random.below(num_dispatches) : num_dispatches - 1;
    const LlDispatch& dispatch = dispatches[combine.dispatch_idx];
    const bool is_moderate = !one_in(random, 3);
    std::vector<std::vector<float>> travelled;
    for (uint32_t rank_idx = 0; rank_idx < shape.num_ranks; ++rank_idx) {
        const size_t num_rows = dispatch.received[rank_idx].src_idx.size();
        draw_bf16(random, combine.outputs.emplace_back(), num_rows * shape.hidden, is_moderate);
        combine.has_received.push_back(!shape.is_fp8 && one_in(random, 3));
        if (combine.has_received.back()) combine.outputs.back() = dispatch.received[rank_idx].x;
        travelled.push_back(model::ll_travelled(shape, combine.outputs.back()));
        std::vector<uint32_t>& weights = combine.weights.emplace_back();
        draw_bits(random, weights, dispatch.inputs[rank_idx].topk_idx.size());
        if (!is_moderate) continue;
        for (uint32_t& weight : weights) weight = (weight & 0x807fffff) | (124 + (weight >> 23 & 3)) << 23;
    }
    combine.sums.resize(shape.num_ranks);
    for (uint32_t rank_idx = 0; rank_idx < shape.num_ranks; ++rank_idx) {
        model::ll_combine(shape, dispatch.received, rank_idx, travelled, combine.weights[rank_idx],
                          combine.sums[rank_idx]);
    }
}

void LowLatency::draw_orders(simt::Random& random, const std::vector<Event>& events, std::vector<LlOrder>& own,
                             uint32_t rank_idx) {
    const uint32_t in_flight = layout_.in_flight;
    std::vector<Event> waiting;  // calls that lack their second half
    std::vector<int32_t> expert_stats(layout_.shape.num_local_experts(), 0);
    uint32_t before_call = 0;
    const auto add = [&](const Event& event, uint32_t phases) {
        const bool sends = (phases & kLlSend) != 0, receives = (phases & kLlReceive) != 0;
        LlOrder& order = own.emplace_back();
        order.is_dispatch = event.is_dispatch;
        order.phases = phases;
        order.idx = event.idx;
        order.before_call = before_call;
        const bool is_one_block = event.is_dispatch ? !sends : !receives;
        const uint32_t limit = std::min(module_.num_ll_channels, std::max(2u, 16 / module_.num_ranks));
        order.grid = is_one_block ? 1 : one_in(random, 12) ? module_.num_ll_channels : 1 + random.below(limit);
        order.delay_ns = one_in(random, 8) ? random.below(30'000) : 0;
        order.rest_ns = one_in(random, 6) ? random.below(30'000) : 0;
        order.is_staged = layout_.shape.combines_as_fp8 || one_in(random, 2);
        order.is_overwritten = one_in(random, 3);
        order.text = std::string(event.is_dispatch ? "lowLatencyDispatch " : "lowLatencyCombine ") +
                     std::to_string(event.idx + 1) + phases_text(phases);
        if (!event.is_dispatch || !receives || !module_.has_ll_stats || one_in(random, 3)) return;
        const std::vector<int32_t>& counts = dispatches[event.idx].received[rank_idx].num_tokens_per_expert;
        for (size_t i = 0; i < counts.size(); ++i) expert_stats[i] += counts[i];
        order.expert_stats = expert_stats;
    };
    const auto finish = [&](size_t i) {
        const Event event = waiting[i];
        waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(i));
        add(event, kLlReceive);
    };
    const auto finish_where = [&](auto is_due) {
        for (size_t i = 0; i < waiting.size();) {
            if (is_due(waiting[i])) {
                finish(i);
            } else {
                ++i;
            }
        }
    };
    const auto finish_some = [&](uint32_t one_in_so_many) {
        while (!waiting.empty() && one_in(random, one_in_so_many)) {
            finish(random.below(static_cast<uint32_t>(waiting.size())));
        }
    };
    for (const Event& event : events) {
        if (event.before_call != before_call) finish_some(2);
        before_call = event.before_call;
        finish_some(2);
        finish_where([&](const Event& one) {
            if (one.is_dispatch == event.is_dispatch && one.idx + in_flight <= event.idx) return true;
            if (event.is_dispatch) return false;
            const uint32_t dispatch_idx = combines[event.idx].dispatch_idx;
            return one.is_dispatch ? one.idx == dispatch_idx : combines[one.idx].dispatch_idx == dispatch_idx;
        });
        const bool is_whole = one_in(random, 2);
        add(event, is_whole ? kLlSend | kLlReceive : kLlSend);
        if (!is_whole) waiting.push_back(event);
    }
    if (!one_in(random, 8)) finish_some(1);  // a hook may never be called
}

}  // namespace epgen::verify
