#include <algorithm>

#include "verify/streams.hpp"

namespace epgen::verify {

void Streams::enqueue_expert_major(simt::Machine& machine, uint32_t rank_idx, uint32_t call_idx) {
    const Call& call = sequence_.calls[call_idx];
    const Dispatch& dispatch = sequence_.dispatches[call.idx];
    const SequenceMemory::DispatchMemory& memory = memory_.dispatches[rank_idx][call.idx];
    const ExpertMajor& own = dispatch.expert_major[rank_idx];
    const model::Grouped& grouped = own.grouped;
    RankMemory& rank = memory_.ranks[rank_idx];
    const auto received = [&](const RowRegion& region) -> const std::byte* {
        return region.num_buffers == 0 ? nullptr : region.buffer(rank.window.data(), dispatch.buffer_idx);
    };
    const auto output = [&](const auto& expected) {
        return take_output(machine, rank_idx, (expected.size() + kPoisonRows) * sizeof(expected[0]));
    };
    const uint64_t slot_bytes = grouped.slot.size() * sizeof(int32_t);
    machine.enqueue(rank_idx, simt::Fill{memory.slot, kPoison, slot_bytes});

    ExpertMajorCall launch{};
    launch.grid = own.grid;
    launch.num_rows = static_cast<uint32_t>(grouped.slot.size() / module_.num_topk);
    launch.num_expert_rows = grouped.num_rows;
    launch.pads_zeros = own.pads_zeros;
    launch.handle = memory.handle;
    launch.recv_x = received(layout_.recv_x);
    launch.recv_x_scales = received(layout_.recv_x_scales);
    launch.recv_extras = received(layout_.recv_extras);
    launch.recv_topk_idx = received(layout_.recv_topk_idx);
    launch.recv_topk_weights = received(layout_.recv_topk_weights);
    launch.counts = rank.take(uint64_t{own.grid} * module_.num_local_experts * sizeof(uint32_t));
    launch.x = output(grouped.x);
    launch.x_scales = output(grouped.x_scales);
    launch.extras = output(grouped.extras);
    launch.topk_weights = output(grouped.topk_weights);
    launch.slot = memory.slot;
    enqueue_kernel(machine, rank_idx, module_.expert_counts(launch));
    enqueue_kernel(machine, rank_idx, module_.expert_major(launch));
    const auto compare = [&](const char* name, const void* seen, const auto& expected, uint64_t row_elements,
                             uint64_t num_poison) {
        const auto bytes = static_cast<uint32_t>(sizeof(expected[0]));
        results_.compare_later(machine, static_cast<const std::byte*>(seen),
                               {name, &call, call_idx, rank_idx, expected.data(), expected.size() * bytes,
                                num_poison * bytes, bytes, row_elements * bytes});
    };
    const model::Shape& shape = layout_.shape;
    compare("expertMajor.x", launch.x, grouped.x, shape.row_bytes, kPoisonRows);
    const uint64_t scale_row = shape.has_scale_columns ? grouped.num_rows : shape.num_scale_words;
    compare("expertMajor.xScales", launch.x_scales, grouped.x_scales, std::max<uint64_t>(scale_row, 1), kPoisonRows);
    compare("expertMajor.extras", launch.extras, grouped.extras, std::max(shape.num_extra_words, 1u), kPoisonRows);
    compare("expertMajor.topkWeights", launch.topk_weights, grouped.topk_weights, 1, kPoisonRows);
    compare("expertMajor.slot", launch.slot, grouped.slot, shape.num_topk, 0);
}

void Streams::copy_rows(simt::Machine& machine, uint32_t rank_idx, const RowRegion& region, std::byte* buffer,
                        const Dispatch& dispatch, const std::byte* rows) {
    for_spans(region, dispatch.received[rank_idx], [&](const RowSpan& span) {
        machine.enqueue(rank_idx, simt::Copy{buffer + span.offset, rows + span.expected_offset, span.bytes});
    });
}

uint64_t Streams::place_rows(simt::Machine& machine, uint32_t rank_idx, const Combine& combine) {
    const Dispatch& dispatch = sequence_.dispatches[combine.dispatch_idx];
    RankMemory& rank = memory_.ranks[rank_idx];
    const bool is_in_place = combine.from == CombineFrom::received || combine.from == CombineFrom::rewritten;
    const RowRegion& region = is_in_place ? layout_.recv_x : layout_.output;
    std::byte* input = region.buffer(rank.window.data(), is_in_place ? dispatch.buffer_idx : combine.output_idx);
    if (combine.from == CombineFrom::experts) {
        ExpertSumCall launch{};
        const model::Grouped& grouped =
            sequence_.dispatches[dispatch.routing_idx].expert_major[rank_idx].grouped;
        launch.grid = sequence_.dispatches[dispatch.routing_idx].expert_major[rank_idx].grid;
        launch.num_rows = static_cast<uint32_t>(grouped.slot.size() / module_.num_topk);
        launch.num_expert_rows = grouped.num_rows;
        launch.y = rank.take_copy(combine.expert_outputs[rank_idx]);
        launch.slot = memory_.dispatches[rank_idx][dispatch.routing_idx].slot;
        launch.sums = input;
        enqueue_kernel(machine, rank_idx, module_.expert_sum(launch));
    } else if (combine.from != CombineFrom::received) {
        copy_rows(machine, rank_idx, region, input, dispatch, rank.take_copy(combine.outputs[rank_idx]));
    }
    return static_cast<uint64_t>(input - rank.window.data());
}

uint64_t Streams::place_weights(simt::Machine& machine, uint32_t rank_idx, const Combine& combine) {
    const Dispatch& dispatch = sequence_.dispatches[combine.dispatch_idx];
    RankMemory& rank = memory_.ranks[rank_idx];
    if (combine.weights_from[rank_idx] == WeightsFrom::none) return 0;
    const bool is_in_place = combine.weights_from[rank_idx] == WeightsFrom::received;
    const RowRegion& region = is_in_place ? layout_.recv_topk_weights : layout_.output_weights;
    std::byte* weights = region.buffer(rank.window.data(), is_in_place ? dispatch.buffer_idx : combine.output_idx);
    if (!is_in_place) {
        copy_rows(machine, rank_idx, region, weights, dispatch, rank.take_copy(combine.weights[rank_idx]));
    }
    return static_cast<uint64_t>(weights - rank.window.data());
}

void Streams::enqueue_combine(simt::Machine& machine, uint32_t rank_idx, uint32_t call_idx) {
    const Call& call = sequence_.calls[call_idx];
    const Combine& combine = sequence_.combines[call.idx];
    const Dispatch& dispatch = sequence_.dispatches[combine.dispatch_idx];
    const model::Received& received = dispatch.received[rank_idx];
    const bool brings_weights = combine.weights_from[rank_idx] != WeightsFrom::none;
    RankMemory& rank = memory_.ranks[rank_idx];
    CombineCall launch{};
    launch.input_offset = place_rows(machine, rank_idx, combine);
    launch.weights_offset = place_weights(machine, rank_idx, combine);
    const std::vector<uint8_t>& sums = combine.sums[rank_idx];
    const uint64_t out_tail = kPoisonRows * module_.combine_row_bytes;
    machine.enqueue(rank_idx, simt::Fill{memory_.out[rank_idx], kPoison, sums.size() + out_tail});
    const uint64_t weights_row_bytes = module_.num_topk * sizeof(uint32_t);
    const uint64_t weights_bytes = brings_weights ? combine.weight_sums[rank_idx].size() * sizeof(uint32_t) : 0;
    const uint64_t weights_tail = module_.has_combine_weights ? kPoisonRows * weights_row_bytes : 0;
    if (weights_tail > 0) {
        machine.enqueue(rank_idx, simt::Fill{memory_.out_weights[rank_idx], kPoison, weights_bytes + weights_tail});
    }

    launch.rank_idx = rank_idx;
    launch.num_tokens = dispatch.inputs[rank_idx].num_tokens;
    launch.grid = call.grid[rank_idx];
    launch.deadline_ns = kNoDeadline;
    launch.handle = memory_.dispatches[rank_idx][combine.dispatch_idx].handle;
    if (!sums.empty()) launch.out = memory_.out[rank_idx];
    if (weights_bytes > 0) launch.out_weights = memory_.out_weights[rank_idx];
    for (size_t i = 0; i < combine.biases[rank_idx].size(); ++i) {
        launch.bias[i] = rank.take_copy(combine.biases[rank_idx][i]);
    }
    launch.fault = rank.fault();
    for (uint32_t peer = 0; peer < module_.num_ranks; ++peer) launch.window[peer] = memory_.ranks[peer].window.data();
    enqueue_kernel(machine, rank_idx, module_.combine(launch));

    // Its end shows that every rank has ended the combine before it, whose output buffers are the caller's again.
    for (const RowRegion* region : {&layout_.output, &layout_.output_weights}) {
        if (region->num_buffers == 0) continue;
        const uint32_t next_output_idx = (combine.output_idx + 1) % region->num_buffers;
        for_spans(*region, received, [&](const RowSpan& span) {
            machine.enqueue(rank_idx, simt::Fill{region->buffer(rank.window.data(), next_output_idx) + span.offset,
                                                 kPoison, span.bytes});
        });
    }
    enqueue_delay(machine, rank_idx, call.rest_ns[rank_idx]);
    results_.compare_later(machine, memory_.out[rank_idx],
                           {"out", &call, call_idx, rank_idx, sums.data(), sums.size(), out_tail,
                            layout_.output.element_bytes, module_.combine_row_bytes});
    results_.compare_later(machine, memory_.out_weights[rank_idx],
                           {"out_weights", &call, call_idx, rank_idx,
                            brings_weights ? combine.weight_sums[rank_idx].data() : nullptr, weights_bytes,
                            weights_tail, sizeof(uint32_t), weights_row_bytes});
}

}  // namespace epgen::verify
