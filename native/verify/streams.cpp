#include "verify/streams.hpp"

#include <algorithm>
#include <utility>

namespace epgen::verify {

namespace {

/// No wait has a deadline: where all wait, the machine says so at once and tells who waits for what.
constexpr uint64_t kNoDeadline = UINT64_MAX;

}  // namespace

void Streams::enqueue(simt::Machine& machine, uint32_t rank_idx) {
    uint32_t query_idx = 0;
    for (uint32_t call_idx = 0; call_idx < sequence_.num_calls; ++call_idx) {
        const Call& call = sequence_.calls[call_idx];
        for (; query_idx < sequence_.num_queries && sequence_.queries[query_idx].before_call == call_idx; ++query_idx) {
            if (sequence_.queries[query_idx].rank_idx == rank_idx) enqueue_query(machine, rank_idx, query_idx);
        }
        enqueue_delay(machine, rank_idx, call.delay_ns[rank_idx]);
        if (call.is_dispatch) {
            enqueue_dispatch(machine, rank_idx, call_idx);
        } else {
            enqueue_combine(machine, rank_idx, call_idx);
        }
    }
}

void Streams::enqueue_kernel(simt::Machine& machine, uint32_t rank_idx, Launch launch) {
    machine.enqueue(rank_idx, simt::Kernel{launch.entry, launch.grid, std::move(launch.args), {}});
}

/// None where every order is tried.
void Streams::enqueue_delay(simt::Machine& machine, uint32_t rank_idx, uint32_t delay_ns) {
    if (delay_ns != 0 && !options_.explores) machine.enqueue(rank_idx, simt::Delay{delay_ns});
}

void Streams::enqueue_dispatch(simt::Machine& machine, uint32_t rank_idx, uint32_t call_idx) {
    const Call& call = sequence_.calls[call_idx];
    const uint32_t idx = call.idx;
    const Dispatch& dispatch = sequence_.dispatches[idx];
    const model::Input& input = dispatch.inputs[rank_idx];
    const model::Received& received = dispatch.received[rank_idx];
    RankMemory& rank = memory_.ranks[rank_idx];

    if (idx >= layout_.live_results) read_late(machine, rank_idx, idx - layout_.live_results, call_idx);
    // Peers may write the next dispatch's rows from the end of this one on.
    if (idx + 1 < sequence_.num_dispatches && sequence_.dispatches[idx + 1].is_poisoned) {
        for (const simt::Fill& fill : memory_.poison_of_result(rank_idx, idx + 1)) machine.enqueue(rank_idx, fill);
    }
    const uint64_t slot_tail = kPoisonRows * module_.num_ranks * sizeof(int32_t);
    const uint64_t handle_bytes = module_.handle_header_bytes + received.slot.size() * sizeof(int32_t) + slot_tail;
    machine.enqueue(rank_idx, simt::Fill{memory_.handles[rank_idx][idx], kPoison, handle_bytes});

    const uint32_t tag = 1 + call_idx;
    DispatchCall launch{};
    launch.rank_idx = rank_idx;
    launch.num_tokens = input.num_tokens;
    launch.grid = call.grid[rank_idx];
    launch.buffer_idx = dispatch.buffer_idx;
    launch.record_tag = tag;
    launch.deadline_ns = kNoDeadline;
    if (input.num_tokens > 0) {
        launch.x = memory_.x[rank_idx][idx];
        launch.topk_idx = memory_.choices[rank_idx][idx];
        launch.topk_weights = memory_.weights[rank_idx][idx];
    }
    launch.handle = memory_.handles[rank_idx][idx];
    launch.record = records_.take(machine, rank_idx, {call_idx, false, tag, received.num_rows,
                                                    &received.num_tokens_per_expert, &dispatch.layouts[rank_idx],
                                                    &input});
    launch.fault = rank.fault();
    for (uint32_t peer = 0; peer < module_.num_ranks; ++peer) launch.window[peer] = memory_.ranks[peer].window.data();
    enqueue_kernel(machine, rank_idx, module_.dispatch(launch));

    enqueue_delay(machine, rank_idx, call.rest_ns[rank_idx]);
    const auto rows = [&](const RowRegion& region, const void* expected) {
        const uint64_t bytes = uint64_t{received.num_rows} * region.row_bytes;
        const uint64_t tail =
            dispatch.is_poisoned ? std::min(region.bytes - bytes, kPoisonRows * region.row_bytes) : 0;
        results_.compare_later(machine, region.buffer(rank.window.data(), dispatch.buffer_idx),
                      {region.name, &call, call_idx, rank_idx, expected, bytes, tail, region.element_bytes,
                       region.row_bytes});
    };
    rows(layout_.recv_x, received.x.data());
    rows(layout_.recv_topk_idx, received.topk_idx.data());
    rows(layout_.recv_topk_weights, received.topk_weights.data());
    rows(layout_.recv_src_idx, received.src_idx.data());
    compare_handle(machine, rank_idx, call_idx);
}

void Streams::compare_handle(simt::Machine& machine, uint32_t rank_idx, uint32_t call_idx) {
    const Call& call = sequence_.calls[call_idx];
    const model::Received& received = sequence_.dispatches[call.idx].received[rank_idx];
    const std::byte* handle = memory_.handles[rank_idx][call.idx];
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
    field("handle.slot", module_.handle_header_bytes, received.slot.data(), received.slot.size(), num_ranks,
          kPoisonRows * num_ranks * sizeof(int32_t));
}

void Streams::read_late(simt::Machine& machine, uint32_t rank_idx, uint32_t dispatch_idx, uint32_t call_idx) {
    const Dispatch& dispatch = sequence_.dispatches[dispatch_idx];
    if (!dispatch.is_read_late) return;
    const model::Received& received = dispatch.received[rank_idx];
    const auto reread = [&](const RowRegion& region, const char* what, const void* expected) {
        const uint64_t bytes = uint64_t{received.num_rows} * region.row_bytes;
        results_.compare_later(machine, region.buffer(memory_.ranks[rank_idx].window.data(), dispatch.buffer_idx),
                               {what, &sequence_.calls[call_idx], call_idx, rank_idx, expected, bytes, 0,
                                region.element_bytes, region.row_bytes});
    };
    reread(layout_.recv_x, "recv_x of an older dispatch that is still live", dispatch.rows[rank_idx]);
    reread(layout_.recv_topk_idx, "recv_topk_idx of an older dispatch that is still live", received.topk_idx.data());
    reread(layout_.recv_topk_weights, "recv_topk_weights of an older dispatch that is still live",
           received.topk_weights.data());
    reread(layout_.recv_src_idx, "recv_src_idx of an older dispatch that is still live", received.src_idx.data());
}

void Streams::enqueue_combine(simt::Machine& machine, uint32_t rank_idx, uint32_t call_idx) {
    const Call& call = sequence_.calls[call_idx];
    const Combine& combine = sequence_.combines[call.idx];
    const Dispatch& dispatch = sequence_.dispatches[combine.dispatch_idx];
    const model::Received& received = dispatch.received[rank_idx];
    RankMemory& rank = memory_.ranks[rank_idx];
    const bool is_output = combine.from == CombineFrom::output;
    const RowRegion& region = is_output ? layout_.output : layout_.recv_x;
    std::byte* input = region.buffer(rank.window.data(), is_output ? combine.output_idx : dispatch.buffer_idx);
    if (combine.from != CombineFrom::received) {
        const std::vector<uint16_t>& outputs = combine.outputs[rank_idx];
        machine.enqueue(rank_idx, simt::Copy{input, rank.take_copy(outputs), outputs.size() * sizeof(uint16_t)});
    }
    const std::vector<uint16_t>& sums = combine.sums[rank_idx];
    const uint64_t out_bytes = sums.size() * sizeof(uint16_t);
    const uint64_t out_tail = kPoisonRows * module_.combine_row_bytes;
    machine.enqueue(rank_idx, simt::Fill{memory_.out[rank_idx], kPoison, out_bytes + out_tail});

    CombineCall launch{};
    launch.rank_idx = rank_idx;
    launch.num_tokens = dispatch.inputs[rank_idx].num_tokens;
    launch.grid = call.grid[rank_idx];
    launch.deadline_ns = kNoDeadline;
    launch.input_offset = static_cast<uint64_t>(input - rank.window.data());
    launch.handle = memory_.handles[rank_idx][combine.dispatch_idx];
    if (out_bytes > 0) launch.out = memory_.out[rank_idx];
    launch.fault = rank.fault();
    for (uint32_t peer = 0; peer < module_.num_ranks; ++peer) launch.window[peer] = memory_.ranks[peer].window.data();
    enqueue_kernel(machine, rank_idx, module_.combine(launch));

    // Its end shows that every rank has ended the combine before it, whose output buffer is the caller's again.
    const uint32_t next_output_idx = (combine.output_idx + 1) % layout_.output.num_buffers;
    const uint64_t output_bytes = std::min(layout_.output.bytes, received.num_rows * module_.combine_row_bytes);
    machine.enqueue(rank_idx, simt::Fill{layout_.output.buffer(rank.window.data(), next_output_idx), kPoison,
                                         output_bytes});
    enqueue_delay(machine, rank_idx, call.rest_ns[rank_idx]);
    results_.compare_later(machine, memory_.out[rank_idx],
                  {"out", &call, call_idx, rank_idx, sums.data(), out_bytes, out_tail, sizeof(uint16_t),
                   module_.combine_row_bytes});
}

void Streams::enqueue_query(simt::Machine& machine, uint32_t rank_idx, uint32_t query_idx) {
    const Query& query = sequence_.queries[query_idx];
    RankMemory& rank = memory_.ranks[rank_idx];
    const uint32_t tag = 1 + sequence_.num_calls + query_idx;
    DispatchLayoutCall launch{};
    launch.rank_idx = rank_idx;
    launch.num_tokens = query.input.num_tokens;
    launch.record_tag = tag;
    if (query.input.num_tokens > 0) launch.topk_idx = rank.take_copy(query.input.topk_idx);
    launch.record = records_.take(machine, rank_idx, {query_idx, true, tag, 0, nullptr, &query.layout,
                                                    &query.input});
    const auto output = [&](const auto& expected) {
        const uint64_t bytes = expected.size() * sizeof(expected[0]);
        const uint64_t tail = kPoisonRows * sizeof(expected[0]);
        std::byte* data = rank.take(bytes + tail);
        machine.enqueue(rank_idx, simt::Fill{data, kPoison, bytes + tail});
        return data;
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
