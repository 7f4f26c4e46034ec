#include "verify/sequence_memory.hpp"

#include "verify/low_latency_streams.hpp"

#include <algorithm>
#include <cstring>

namespace epgen::verify {

namespace {

/// What a schedule takes of a rank's arena, at most.
uint64_t arena_bytes(const Module& module, const model::Shape& shape, const Options& options) {
    constexpr uint64_t kPieces = 40;  // of memory that a call takes, each of which is rounded up
    const uint64_t num_tokens = options.max_tokens + kPoisonRows;
    const uint64_t num_rows = num_tokens * module.num_ranks + kMostWorstTokens;
    const uint64_t num_expert_rows = num_rows * module.num_topk + module.num_local_experts * kMostExpertAlignment;
    const uint64_t row = module.row_bytes + module.scale_bytes + module.extra_bytes;
    const uint64_t choices = module.num_topk * (sizeof(int64_t) + sizeof(uint32_t));
    const uint64_t counts = (module.num_ranks + module.num_experts) * sizeof(int32_t);
    const uint64_t handle = module.handle_header_bytes + num_tokens * module.num_ranks * sizeof(int32_t);
    const uint64_t dispatch = num_tokens * (row + choices + module.num_ranks) + counts + handle;
    const uint64_t expert_major = num_expert_rows * (row + sizeof(uint32_t)) +
                                  num_rows * module.num_topk * sizeof(int32_t) + kMostExpertMajorBlocks * counts;
    const uint64_t combine = (num_rows + num_expert_rows + 2 * num_tokens) * shape.combine_row_bytes() +
                             num_rows * module.num_topk * sizeof(uint32_t);
    const uint64_t query = num_tokens * (choices + module.num_ranks) + counts;
    const uint64_t out = num_tokens * (shape.combine_row_bytes() + module.num_topk * sizeof(uint32_t));
    return options.num_calls * (dispatch + expert_major + combine + query + kPieces * 256) + out + kPieces * 256;
}

/// The same for low-latency calls.
uint64_t ll_arena_bytes(const Module& module, const LowLatencyLayout& layout, const Options& options) {
    if (module.num_ll_channels == 0) return 0;
    constexpr uint64_t kPieces = 12;
    const model::LlShape& shape = layout.shape;
    const uint64_t num_tokens = std::min(options.max_tokens, shape.max_tokens_per_rank) + kPoisonRows;
    const uint64_t choices = shape.num_topk * (sizeof(int64_t) + 2 * sizeof(int32_t));
    const uint64_t num_rows = num_tokens * shape.num_ranks * std::min(shape.num_topk, shape.num_local_experts());
    const uint64_t call = num_tokens * (2 * shape.input_row_bytes() + choices) + module.ll_handle_header_bytes +
                          num_rows * shape.input_row_bytes() + kPieces * 256;
    return LowLatency::most_calls(options) * call + ll_staged_bytes(layout) + kPieces * 256 +
           shape.num_experts * sizeof(int64_t);
}

}  // namespace

std::byte* take_choices(const Module& module, RankMemory& rank, const std::vector<int64_t>& choices) {
    if (module.topk_idx_bytes == sizeof(int64_t)) return rank.take_copy(choices);
    return rank.take_copy(std::vector<int32_t>(choices.begin(), choices.end()));
}

SequenceMemory::SequenceMemory(const Module& module, const SpecLayout& layout, const Options& options,
                               const Sequence& sequence)
    : out(module.num_ranks), out_weights(module.num_ranks), dispatches(module.num_ranks),
      narrow_topk_idx_(module.num_ranks), module_(module), layout_(layout), options_(options), sequence_(sequence) {
    ranks.reserve(module.num_ranks);
    for (uint32_t rank_idx = 0; rank_idx < module.num_ranks; ++rank_idx) {
        ranks.emplace_back(module,
                           arena_bytes(module, layout.shape, options) + ll_arena_bytes(module, layout.low_latency, options),
                           2 * options.num_calls + LowLatency::most_calls(options));
    }
}

void SequenceMemory::prepare() {
    for (uint32_t rank_idx = 0; rank_idx < module_.num_ranks; ++rank_idx) {
        RankMemory& rank = ranks[rank_idx];
        rank.num_arena_bytes = 0;
        std::memset(static_cast<void*>(rank.fault()), 0, sizeof(FaultRecord));
        module_.reset_control(rank.window.data(), static_cast<uint32_t>(sequence_.num_earlier_calls));
        out[rank_idx] = rank.take((options_.max_tokens + kPoisonRows) * module_.combine_row_bytes);
        out_weights[rank_idx] =
            rank.take((options_.max_tokens + kPoisonRows) * module_.num_topk * sizeof(uint32_t));
        dispatches[rank_idx].clear();
        narrow_topk_idx_[rank_idx].clear();
        for (uint32_t i = 0; i < sequence_.num_dispatches; ++i) {
            dispatches[rank_idx].push_back(prepare_dispatch(rank_idx, i));
            if (module_.topk_idx_bytes == sizeof(int64_t)) continue;
            const std::vector<int64_t>& choices = sequence_.dispatches[i].received[rank_idx].topk_idx;
            narrow_topk_idx_[rank_idx].emplace_back(choices.begin(), choices.end());
        }
    }
    poison_windows();
}

SequenceMemory::DispatchMemory SequenceMemory::prepare_dispatch(uint32_t rank_idx, uint32_t dispatch_idx) {
    const Dispatch& dispatch = sequence_.dispatches[dispatch_idx];
    const model::Input& input = dispatch.inputs[rank_idx];
    RankMemory& rank = ranks[rank_idx];
    DispatchMemory memory{};
    memory.x = rank.take_copy(input.x);
    memory.x_scales = rank.take_copy(input.x_scales);
    memory.extras = rank.take_copy(input.extras);
    if (dispatch.mode == DispatchMode::cached) {
        memory.handle = dispatches[rank_idx][dispatch.routing_idx].handle;
        return memory;
    }
    if (dispatch.mode == DispatchMode::topk) {
        memory.topk_idx = take_choices(module_, rank, input.topk_idx);
        memory.topk_weights = rank.take_copy(input.topk_weights);
    } else {
        memory.is_token_in_rank = rank.take_copy(dispatch.layouts[rank_idx].is_token_in_rank);
        memory.num_tokens_per_expert = rank.take_copy(dispatch.layouts[rank_idx].num_tokens_per_expert);
    }
    memory.handle = rank.take(module_.handle_header_bytes +
                              (input.num_tokens + kPoisonRows) * module_.num_ranks * sizeof(int32_t));
    if (!dispatch.expert_major.empty()) {
        memory.slot = rank.take(dispatch.expert_major[rank_idx].grouped.slot.size() * sizeof(int32_t));
    }
    return memory;
}

const void* SequenceMemory::recv_topk_idx(uint32_t rank_idx, uint32_t dispatch_idx) const {
    if (module_.topk_idx_bytes != sizeof(int64_t)) return narrow_topk_idx_[rank_idx][dispatch_idx].data();
    return sequence_.dispatches[dispatch_idx].received[rank_idx].topk_idx.data();
}

void SequenceMemory::poison_windows() {
    // As many rows of each segment as the largest result has there.
    std::vector<model::Segment> segments;
    for (uint32_t i = 0; i < sequence_.num_dispatches; ++i) {
        const Dispatch& dispatch = sequence_.dispatches[i];
        for (const model::Received& received : dispatch.received) {
            segments.resize(std::max(segments.size(), received.segments.size()));
            for (size_t k = 0; k < segments.size(); ++k) {
                const uint32_t num_rows = std::max({segments[k].num_rows, received.segments[k].num_rows,
                                                    dispatch.num_worst_tokens});
                segments[k] = received.segments[k];
                segments[k].num_rows = num_rows;
            }
        }
    }
    model::Received largest;
    largest.segments = segments;
    for (const RankMemory& rank : ranks) {
        for (const RowRegion* region :
             {&layout_.recv_x, &layout_.recv_x_scales, &layout_.recv_extras, &layout_.recv_topk_idx,
              &layout_.recv_topk_weights, &layout_.recv_src_idx, &layout_.output, &layout_.output_weights}) {
            for (uint32_t buffer_idx = 0; buffer_idx < region->num_buffers; ++buffer_idx) {
                std::byte* buffer = region->buffer(rank.window.data(), buffer_idx);
                for_spans(*region, largest, [&](const RowSpan& span) {
                    const uint64_t tail = std::min(span.free_bytes, kPoisonRows * span.row_bytes);
                    std::memset(buffer + span.offset, kPoison, span.bytes + tail);
                });
            }
        }
        const RowRegion& prefix = layout_.recv_channel_prefix;
        for (uint32_t buffer_idx = 0; buffer_idx < prefix.num_buffers; ++buffer_idx) {
            std::memset(prefix.buffer(rank.window.data(), buffer_idx), kPoison, prefix.bytes);
        }
    }
}

std::vector<simt::Fill> SequenceMemory::poison_of_result(uint32_t rank_idx, uint32_t dispatch_idx) const {
    const Dispatch& dispatch = sequence_.dispatches[dispatch_idx];
    const model::Received& received = dispatch.received[rank_idx];
    std::byte* window = ranks[rank_idx].window.data();
    std::vector<simt::Fill> fills;
    for (const RowRegion* region : {&layout_.recv_x, &layout_.recv_topk_idx, &layout_.recv_topk_weights,
                                    &layout_.recv_src_idx, &layout_.recv_x_scales, &layout_.recv_extras}) {
        if (region->num_buffers == 0) continue;
        const uint64_t num_padded = std::max(received.num_rows, dispatch.num_worst_tokens) - received.num_rows;
        std::byte* buffer = region->buffer(window, dispatch.buffer_idx);
        for_spans(*region, received, [&](const RowSpan& span) {
            const uint64_t tail = std::min(span.free_bytes, (num_padded + kPoisonRows) * span.row_bytes);
            fills.push_back({buffer + span.offset, kPoison, span.bytes + tail});
        });
    }
    const RowRegion& prefix = layout_.recv_channel_prefix;
    fills.push_back({prefix.buffer(window, dispatch.buffer_idx), kPoison, prefix.bytes});
    return fills;
}

}  // namespace epgen::verify
