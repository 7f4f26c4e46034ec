// Where a sequence of calls has its inputs and outputs in the memory of the ranks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "simt/task.hpp"
#include "verify/rank_memory.hpp"
#include "verify/sequence.hpp"

namespace epgen::verify {

constexpr uint64_t kPoisonRows = 4;  // behind the rows that a result has

/// Expert indices of the spec's type, in the rank's arena.
std::byte* take_choices(const Module& module, RankMemory& rank, const std::vector<int64_t>& choices);

/// Used again by every schedule.
struct SequenceMemory {
    SequenceMemory(const Module& module, const SpecLayout& layout, const Options& options, const Sequence& sequence);

    /// Puts inputs where kernels find them, and makes control words those of a group that has made calls before.
    void prepare();
    /// Makes the receive buffer of a dispatch hold nothing that could pass for its result.
    std::vector<simt::Fill> poison_of_result(uint32_t rank_idx, uint32_t dispatch_idx) const;

    /// What a rank has to receive as top-k indices, in the spec's type.
    const void* recv_topk_idx(uint32_t rank_idx, uint32_t dispatch_idx) const;

    /// Where a dispatch finds its input on one rank.
    struct DispatchMemory {
        std::byte *x, *x_scales, *extras, *topk_idx, *topk_weights, *is_token_in_rank, *num_tokens_per_expert;
        std::byte* handle;  // of cached dispatches: the one that they were given
        std::byte* slot;    // that expert-major gives
    };

    std::vector<RankMemory> ranks;
    std::vector<std::byte*> out;                          // [rank] of every combine
    std::vector<std::byte*> out_weights;                  // likewise
    std::vector<std::vector<DispatchMemory>> dispatches;  // [rank][dispatch]

private:
    /// Leaves nothing of earlier schedules where a wrong kernel could find it: a seed alone decides what it sees.
    void poison_windows();
    DispatchMemory prepare_dispatch(uint32_t rank_idx, uint32_t dispatch_idx);

    std::vector<std::vector<std::vector<int32_t>>> narrow_topk_idx_;  // [rank][dispatch], where indices are i32

    const Module& module_;
    const SpecLayout& layout_;
    const Options& options_;
    const Sequence& sequence_;
};

}  // namespace epgen::verify
