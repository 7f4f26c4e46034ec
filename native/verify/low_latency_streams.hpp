// Puts low-latency calls on the ranks' streams, with what a caller does in between.
#pragma once

#include <cstdint>
#include <vector>

#include "simt/machine.hpp"
#include "verify/low_latency.hpp"
#include "verify/rank_memory.hpp"
#include "verify/records.hpp"
#include "verify/results.hpp"

namespace epgen::verify {

/// Expert outputs of one rank, as a caller has them: [local expert][max_recv_tokens] rows.
inline uint64_t ll_staged_bytes(const LowLatencyLayout& layout) {
    return uint64_t{layout.shape.num_local_experts()} * layout.shape.max_recv_tokens() *
           layout.shape.input_row_bytes();
}

class LowLatencyStreams {
public:
    LowLatencyStreams(const Module& module, const SpecLayout& layout, const Options& options,
                      const LowLatency& calls, std::vector<RankMemory>& ranks, Records& records, Results& results)
        : module_(module), layout_(layout.low_latency), options_(options), calls_(calls), ranks_(ranks),
          records_(records), results_(results), nothing_per_expert_(module.num_ll_channels == 0 ? 0 : module.num_local_experts),
          nothing_per_source_(nothing_per_expert_.size() * module.num_ranks) {}

    /// Puts inputs where kernels find them, once other calls have theirs.
    void prepare();
    /// The rank's launches that come before this call of the sequence.
    void enqueue_before(simt::Machine& machine, uint32_t rank_idx, uint32_t call_idx);

private:
    struct DispatchMemory {
        std::byte *x, *topk_idx, *handle;
    };
    struct CombineMemory {
        std::byte *weights, *outputs, *out;
    };
    struct LlRankMemory {
        std::vector<DispatchMemory> dispatches;
        std::vector<CombineMemory> combines;
        std::byte *staged, *expert_stats, *wait_stats;
        size_t next_order;
        uint32_t num_sent;
        std::vector<bool> is_received, is_overwritten, is_poisoned;  // per dispatch
    };
    /// Rows of one expert in a region, packed in `expected`.
    struct Rows {
        const char* what;
        const RowRegion& region;
        uint32_t buffer_idx;
        const void* expected;
    };

    void enqueue_dispatch(simt::Machine& machine, uint32_t rank_idx, const LlOrder& order);
    void enqueue_combine(simt::Machine& machine, uint32_t rank_idx, const LlOrder& order);
    /// Makes the receive buffer of a dispatch hold nothing that could pass for its result.
    void enqueue_poison(simt::Machine& machine, uint32_t rank_idx, uint32_t dispatch_idx);
    void compare_received(simt::Machine& machine, uint32_t rank_idx, const LlOrder& order, uint32_t dispatch_idx,
                          bool is_late);
    void compare_rows(simt::Machine& machine, uint32_t rank_idx, const LlOrder& order,
                      const model::LlReceived& received, const Rows& rows, uint64_t num_poison_rows);
    void compare_scale_columns(simt::Machine& machine, uint32_t rank_idx, const LlOrder& order,
                               const model::LlReceived& received, const Rows& rows, uint64_t num_poison_rows);
    void compare_handle(simt::Machine& machine, uint32_t rank_idx, const LlOrder& order);
    void compare_sent(simt::Machine& machine, uint32_t rank_idx, const LlOrder& order);
    void overwrite_received(simt::Machine& machine, uint32_t rank_idx, uint32_t dispatch_idx);
    /// Where a send finds its rows: in the receive buffer where they are still there.
    const std::byte* sent_rows(uint32_t rank_idx, uint32_t dispatch_idx) const;
    /// Brings what peers will pull to where they find it; returns its offset in the window.
    uint64_t place_outputs(simt::Machine& machine, uint32_t rank_idx, const LlOrder& order);
    void enqueue_kernel(simt::Machine& machine, uint32_t rank_idx, Launch launch);
    void enqueue_delay(simt::Machine& machine, uint32_t rank_idx, uint32_t delay_ns);
    /// Calls `visit(first row in the buffer, first packed row, rows)` for each local expert.
    template <class Visit>
    void for_experts(const model::LlReceived& received, Visit visit) const;
    std::byte* buffer(uint32_t rank_idx, const RowRegion& region, uint32_t call_idx) const;
    /// Whether the rank's caller may still read what a dispatch has brought: not behind so many sends.
    bool is_live(uint32_t rank_idx, uint32_t dispatch_idx) const;
    void poison_windows();

    const Module& module_;
    const LowLatencyLayout& layout_;
    const Options& options_;
    const LowLatency& calls_;
    std::vector<RankMemory>& ranks_;
    Records& records_;
    Results& results_;
    const std::vector<int32_t> nothing_per_expert_;             // zeros
    const std::vector<int64_t> nothing_per_source_;
    std::vector<LlRankMemory> memory_;                          // per rank
    std::vector<std::vector<std::vector<uint32_t>>> columns_;  // [dispatch][rank]: scales by expert, word, row
};

template <class Visit>
void LowLatencyStreams::for_experts(const model::LlReceived& received, Visit visit) const {
    for (uint32_t expert = 0; expert < layout_.shape.num_local_experts(); ++expert) {
        visit(uint64_t{expert} * layout_.shape.max_recv_tokens(), uint64_t{received.first_row[expert]},
              static_cast<uint64_t>(received.num_tokens_per_expert[expert]));
    }
}

}  // namespace epgen::verify
