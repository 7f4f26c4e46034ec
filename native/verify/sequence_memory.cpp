#include "verify/sequence_memory.hpp"

#include <algorithm>
#include <cstring>

namespace epgen::verify {

namespace {

/// What a schedule takes of a rank's arena, at most.
uint64_t arena_bytes(const Module& module, const Options& options) {
    const uint64_t num_tokens = options.max_tokens;
    const uint64_t num_rows = num_tokens * module.num_ranks;
    const uint64_t choices = num_tokens * module.num_topk * (sizeof(int64_t) + sizeof(uint32_t));
    const uint64_t handle = module.handle_header_bytes + num_tokens * module.num_ranks * sizeof(int32_t);
    const uint64_t dispatch = num_tokens * module.row_bytes + choices + handle;
    const uint64_t query =
        choices + module.num_ranks * sizeof(int32_t) + module.num_experts * sizeof(int32_t) + num_rows;
    const uint64_t tails = kPoisonRows * (module.num_ranks * sizeof(int32_t) + 3 * 8);
    const uint64_t rounding = 16 * 256;
    return options.num_calls * (dispatch + num_rows * module.combine_row_bytes + query + tails + rounding) +
           (num_tokens + kPoisonRows) * module.combine_row_bytes + rounding;
}

}  // namespace

SequenceMemory::SequenceMemory(const Module& module, const SpecLayout& layout, const Options& options,
                               const Sequence& sequence)
    : out(module.num_ranks), x(module.num_ranks), choices(module.num_ranks), weights(module.num_ranks),
      handles(module.num_ranks), module_(module), layout_(layout), options_(options), sequence_(sequence) {
    ranks.reserve(module.num_ranks);
    for (uint32_t rank_idx = 0; rank_idx < module.num_ranks; ++rank_idx) {
        ranks.emplace_back(module, arena_bytes(module, options), 2 * options.num_calls);
    }
}

void SequenceMemory::prepare() {
    for (uint32_t rank_idx = 0; rank_idx < module_.num_ranks; ++rank_idx) {
        RankMemory& rank = ranks[rank_idx];
        rank.num_arena_bytes = 0;
        std::memset(static_cast<void*>(rank.fault()), 0, sizeof(FaultRecord));
        module_.reset_control(rank.window.data(), static_cast<uint32_t>(sequence_.num_earlier_calls));
        out[rank_idx] = rank.take((options_.max_tokens + kPoisonRows) * module_.combine_row_bytes);
        x[rank_idx].clear();
        choices[rank_idx].clear();
        weights[rank_idx].clear();
        handles[rank_idx].clear();
        for (uint32_t i = 0; i < sequence_.num_dispatches; ++i) {
            const model::Input& input = sequence_.dispatches[i].inputs[rank_idx];
            x[rank_idx].push_back(rank.take_copy(input.x));
            choices[rank_idx].push_back(rank.take_copy(input.topk_idx));
            weights[rank_idx].push_back(rank.take_copy(input.topk_weights));
            handles[rank_idx].push_back(rank.take(module_.handle_header_bytes +
                                                   (input.num_tokens + kPoisonRows) * module_.num_ranks *
                                                       sizeof(int32_t)));
        }
    }
    poison_windows();
}

void SequenceMemory::poison_windows() {
    uint64_t num_rows = 0;  // of the largest result
    for (uint32_t i = 0; i < sequence_.num_dispatches; ++i) {
        for (const model::Received& received : sequence_.dispatches[i].received) {
            num_rows = std::max<uint64_t>(num_rows, received.num_rows);
        }
    }
    for (const RankMemory& rank : ranks) {
        for (const RowRegion* region : {&layout_.recv_x, &layout_.recv_topk_idx, &layout_.recv_topk_weights,
                                        &layout_.recv_src_idx, &layout_.recv_channel_prefix, &layout_.output}) {
            const uint64_t bytes = std::min(region->bytes, (num_rows + kPoisonRows) * region->row_bytes);
            for (uint32_t buffer_idx = 0; buffer_idx < region->num_buffers; ++buffer_idx) {
                std::memset(region->buffer(rank.window.data(), buffer_idx), kPoison, bytes);
            }
        }
    }
}

std::array<simt::Fill, 5> SequenceMemory::poison_of_result(uint32_t rank_idx, uint32_t dispatch_idx) const {
    const Dispatch& dispatch = sequence_.dispatches[dispatch_idx];
    const uint64_t num_rows = dispatch.received[rank_idx].num_rows + kPoisonRows;
    const auto fill = [&](const RowRegion& region) {
        return simt::Fill{region.buffer(ranks[rank_idx].window.data(), dispatch.buffer_idx), kPoison,
                          std::min(region.bytes, num_rows * region.row_bytes)};
    };
    return {fill(layout_.recv_x), fill(layout_.recv_topk_idx), fill(layout_.recv_topk_weights),
            fill(layout_.recv_src_idx), fill(layout_.recv_channel_prefix)};
}

}  // namespace epgen::verify
