#include "verify/streams.hpp"

#include <algorithm>
#include <utility>

namespace epgen::verify {

namespace {

/// Where nothing comes of the received rows.
model::Received without_rows(const model::Received& received) {
    model::Received none;
    none.segments = received.segments;
    for (model::Segment& segment : none.segments) segment.num_rows = 0;
    return none;
}

/// With rows of padding behind those that came.
model::Received padded(const model::Received& received, uint32_t num_worst_tokens) {
    model::Received all;
    all.segments = received.segments;
    for (model::Segment& segment : all.segments) segment.num_rows = std::max(segment.num_rows, num_worst_tokens);
    return all;
}

}  // namespace

void Streams::enqueue(simt::Machine& machine, uint32_t rank_idx) {
    uint32_t query_idx = 0;
    for (uint32_t call_idx = 0; call_idx < sequence_.num_calls; ++call_idx) {
        const Call& call = sequence_.calls[call_idx];
        for (; query_idx < sequence_.num_queries && sequence_.queries[query_idx].before_call == call_idx; ++query_idx) {
            if (sequence_.queries[query_idx].rank_idx == rank_idx) enqueue_query(machine, rank_idx, query_idx);
        }
        low_latency_.enqueue_before(machine, rank_idx, call_idx);
        enqueue_delay(machine, rank_idx, call.delay_ns[rank_idx]);
        if (call.is_dispatch) {
            enqueue_dispatch(machine, rank_idx, call_idx);
        } else {
            enqueue_combine(machine, rank_idx, call_idx);
        }
    }
    low_latency_.enqueue_before(machine, rank_idx, sequence_.num_calls);
}

void Streams::enqueue_kernel(simt::Machine& machine, uint32_t rank_idx, Launch launch) {
    machine.enqueue(rank_idx, simt::Kernel{launch.entry, launch.grid, std::move(launch.args), {}});
}

/// None where every order is tried.
void Streams::enqueue_delay(simt::Machine& machine, uint32_t rank_idx, uint32_t delay_ns) {
    if (delay_ns != 0 && !options_.explores) machine.enqueue(rank_idx, simt::Delay{delay_ns});
}

/// Where early peers cannot have written yet: with a credit they wait for this rank to start the dispatch, else they
/// may write its rows from the end of the dispatch before on.
void Streams::enqueue_poison(simt::Machine& machine, uint32_t rank_idx, uint32_t dispatch_idx) {
    const bool has_credit = module_.num_recv_buffers == layout_.live_results;
    const uint32_t poisoned_idx = dispatch_idx + (has_credit ? 0 : 1);
    // The first are poisoned before all streams start.
    if (poisoned_idx == 0 || poisoned_idx >= sequence_.num_dispatches) return;
    if (!sequence_.dispatches[poisoned_idx].is_poisoned) return;
    for (const simt::Fill& fill : memory_.poison_of_result(rank_idx, poisoned_idx)) machine.enqueue(rank_idx, fill);
}

void Streams::enqueue_dispatch(simt::Machine& machine, uint32_t rank_idx, uint32_t call_idx) {
    const Call& call = sequence_.calls[call_idx];
    const uint32_t idx = call.idx;
    const Dispatch& dispatch = sequence_.dispatches[idx];
    const model::Input& input = dispatch.inputs[rank_idx];
    const model::Received& received = dispatch.received[rank_idx];
    const SequenceMemory::DispatchMemory& memory = memory_.dispatches[rank_idx][idx];
    const bool counts = dispatch.mode != DispatchMode::cached;
    RankMemory& rank = memory_.ranks[rank_idx];

    if (idx >= layout_.live_results) read_late(machine, rank_idx, idx - layout_.live_results, call_idx);
    enqueue_poison(machine, rank_idx, idx);
    if (counts) {
        const uint64_t slot_tail = kPoisonRows * module_.num_ranks * sizeof(int32_t);
        const uint64_t handle_bytes = module_.handle_header_bytes + received.slot.size() * sizeof(int32_t) + slot_tail;
        machine.enqueue(rank_idx, simt::Fill{memory.handle, kPoison, handle_bytes});
    }

    DispatchCall launch{};
    launch.mode = dispatch.mode;
    launch.rank_idx = rank_idx;
    launch.num_tokens = input.num_tokens;
    launch.grid = call.grid[rank_idx];
    launch.buffer_idx = dispatch.buffer_idx;
    launch.deadline_ns = kNoDeadline;
    if (input.num_tokens > 0) {
        launch.x = memory.x;
        launch.x_scales = memory.x_scales;
        launch.extras = memory.extras;
        launch.topk_idx = memory.topk_idx;
        launch.topk_weights = memory.topk_weights;
        launch.is_token_in_rank = memory.is_token_in_rank;
    }
    launch.handle = memory.handle;
    if (counts) {
        const uint32_t tag = 1 + call_idx;
        launch.num_tokens_per_expert = memory.num_tokens_per_expert;
        launch.expert_alignment = dispatch.expert_alignment;
        launch.num_worst_tokens = dispatch.num_worst_tokens;
        launch.record_tag = tag;
        launch.record = records_.take(machine, rank_idx, {call_idx, false, tag, &received, &dispatch.layouts[rank_idx],
                                                          &input, dispatch.num_worst_tokens});
    }
    launch.fault = rank.fault();
    for (uint32_t peer = 0; peer < module_.num_ranks; ++peer) launch.window[peer] = memory_.ranks[peer].window.data();
    enqueue_kernel(machine, rank_idx, module_.dispatch(launch));

    enqueue_delay(machine, rank_idx, call.rest_ns[rank_idx]);
    compare_received(machine, rank_idx, call_idx);
    if (counts) compare_handle(machine, rank_idx, call_idx);
    if (!dispatch.expert_major.empty()) enqueue_expert_major(machine, rank_idx, call_idx);
}

void Streams::compare_rows(simt::Machine& machine, const Compared& compared, const RowRegion& region,
                           const Dispatch& dispatch, const model::Received& received, const void* expected,
                           uint64_t num_poison_rows) {
    if (region.num_buffers == 0) return;
    std::byte* buffer = region.buffer(memory_.ranks[compared.rank_idx].window.data(), dispatch.buffer_idx);
    for_spans(region, received, [&](const RowSpan& span) {
        results_.compare_later(machine, buffer + span.offset,
                               {compared.what, &sequence_.calls[compared.call_idx], compared.call_idx,
                                compared.rank_idx, static_cast<const std::byte*>(expected) + span.expected_offset,
                                span.bytes, std::min(span.free_bytes, num_poison_rows * span.row_bytes),
                                region.element_bytes, span.row_bytes});
    });
}

void Streams::compare_received(simt::Machine& machine, uint32_t rank_idx, uint32_t call_idx) {
    const Dispatch& dispatch = sequence_.dispatches[sequence_.calls[call_idx].idx];
    const model::Received& received = dispatch.received[rank_idx];
    const model::Received none = without_rows(received);
    const uint64_t num_poison_rows = dispatch.is_poisoned ? kPoisonRows : 0;
    const auto compare = [&](const RowRegion& region, const model::Received& rows, const void* expected) {
        compare_rows(machine, {region.name, call_idx, rank_idx}, region, dispatch, rows, expected, num_poison_rows);
    };
    const bool has_topk = dispatch.mode == DispatchMode::topk;
    compare(layout_.recv_x, received, received.x.data());
    compare(layout_.recv_topk_idx, has_topk ? padded(received, dispatch.num_worst_tokens) : none,
            memory_.recv_topk_idx(rank_idx, sequence_.calls[call_idx].idx));
    compare(layout_.recv_topk_weights, has_topk ? received : none, received.topk_weights.data());
    compare(layout_.recv_src_idx, dispatch.mode != DispatchMode::cached ? received : none, received.src_idx.data());
    compare(layout_.recv_x_scales, received, received.x_scales.data());
    compare(layout_.recv_extras, received, received.extras.data());
}

void Streams::compare_handle(simt::Machine& machine, uint32_t rank_idx, uint32_t call_idx) {
    const Call& call = sequence_.calls[call_idx];
    const model::Received& received = sequence_.dispatches[call.idx].received[rank_idx];
    const std::byte* handle = memory_.dispatches[rank_idx][call.idx].handle;
    const auto field = [&](const char* name, uint64_t offset, const void* expected, size_t count, uint64_t width,
                           uint64_t tail = 0) {
        results_.compare_later(machine, handle + offset,
                      {name, &call, call_idx, rank_idx, expected, count * sizeof(int32_t), tail, sizeof(int32_t),
                       width * sizeof(int32_t)});
    };
    const uint64_t num_ranks = module_.num_ranks;
    const uint64_t num_channels = module_.num_channels;
    field("handle.num_recv_tokens", layout_.num_recv_tokens.offset, &received.num_rows, 1, 1);
    field("handle.num_tokens_per_expert", layout_.num_tokens_per_expert.offset, received.num_tokens_per_expert.data(),
          received.num_tokens_per_expert.size(), 1);
    field("handle.rank_prefix", layout_.rank_prefix.offset, received.rank_prefix.data(), num_ranks * num_ranks,
          num_ranks);
    field("handle.channel_prefix", layout_.channel_prefix.offset, received.channel_prefix.data(),
          num_ranks * num_channels, num_channels);
    field("handle.recv_channel_prefix", layout_.recv_channel_prefix_of_handle.offset,
          received.recv_channel_prefix.data(), num_ranks * num_channels, num_channels);
    if (layout_.shape.is_slotted) {
        field("handle.num_tokens_per_rank", layout_.num_tokens_per_rank.offset, received.num_tokens_per_rank.data(),
              num_ranks, 1);
    }
    field("handle.slot", module_.handle_header_bytes, received.slot.data(), received.slot.size(), num_ranks,
          kPoisonRows * num_ranks * sizeof(int32_t));
}

void Streams::read_late(simt::Machine& machine, uint32_t rank_idx, uint32_t dispatch_idx, uint32_t call_idx) {
    const Dispatch& dispatch = sequence_.dispatches[dispatch_idx];
    if (!dispatch.is_read_late) return;
    const model::Received& received = dispatch.received[rank_idx];
    const auto reread = [&](const RowRegion& region, const char* what, const model::Received& rows,
                            const void* expected) {
        compare_rows(machine, {what, call_idx, rank_idx}, region, dispatch, rows, expected, 0);
    };
    const bool has_topk = dispatch.mode == DispatchMode::topk;
    const model::Received none = without_rows(received);
    reread(layout_.recv_x, "recv_x of an older dispatch that is still live", received, dispatch.rows[rank_idx]);
    reread(layout_.recv_topk_idx, "recv_topk_idx of an older dispatch that is still live",
           has_topk ? padded(received, dispatch.num_worst_tokens) : none,
           memory_.recv_topk_idx(rank_idx, dispatch_idx));
    reread(layout_.recv_topk_weights, "recv_topk_weights of an older dispatch that is still live",
           has_topk ? received : none, received.topk_weights.data());
    reread(layout_.recv_src_idx, "recv_src_idx of an older dispatch that is still live",
           dispatch.mode != DispatchMode::cached ? received : none, received.src_idx.data());
    reread(layout_.recv_x_scales, "recv_x_scales of an older dispatch that is still live", received,
           received.x_scales.data());
    reread(layout_.recv_extras, "recv_extras of an older dispatch that is still live", received,
           received.extras.data());
}

std::byte* Streams::take_output(simt::Machine& machine, uint32_t rank_idx, uint64_t bytes) {
    std::byte* data = memory_.ranks[rank_idx].take(bytes);
    machine.enqueue(rank_idx, simt::Fill{data, kPoison, bytes});
    return data;
}

void Streams::enqueue_query(simt::Machine& machine, uint32_t rank_idx, uint32_t query_idx) {
    const Query& query = sequence_.queries[query_idx];
    RankMemory& rank = memory_.ranks[rank_idx];
    const uint32_t tag = 1 + sequence_.num_calls + query_idx;
    DispatchLayoutCall launch{};
    launch.rank_idx = rank_idx;
    launch.num_tokens = query.input.num_tokens;
    launch.record_tag = tag;
    if (query.input.num_tokens > 0) launch.topk_idx = take_choices(module_, rank, query.input.topk_idx);
    launch.record = records_.take(machine, rank_idx, {query_idx, true, tag, nullptr, &query.layout, &query.input});
    const auto output = [&](const auto& expected) {
        const uint64_t bytes = expected.size() * sizeof(expected[0]);
        const uint64_t tail = kPoisonRows * sizeof(expected[0]);
        return take_output(machine, rank_idx, bytes + tail);
    };
    launch.num_tokens_per_rank = output(query.layout.num_tokens_per_rank);
    launch.num_tokens_per_expert = output(query.layout.num_tokens_per_expert);
    launch.is_token_in_rank = output(query.layout.is_token_in_rank);
    enqueue_kernel(machine, rank_idx, module_.dispatch_layout(launch));
    const auto compare = [&](const char* name, const void* seen, const auto& expected) {
        const auto bytes = static_cast<uint32_t>(sizeof(expected[0]));
        results_.compare_later(machine, static_cast<const std::byte*>(seen),
                      {name, nullptr, query.before_call, rank_idx, expected.data(), expected.size() * bytes,
                       kPoisonRows * bytes, bytes, bytes});
    };
    compare("num_tokens_per_rank", launch.num_tokens_per_rank, query.layout.num_tokens_per_rank);
    compare("num_tokens_per_expert", launch.num_tokens_per_expert, query.layout.num_tokens_per_expert);
    compare("is_token_in_rank", launch.is_token_in_rank, query.layout.is_token_in_rank);
}

}  // namespace epgen::verify
