// Puts the calls of a sequence on the ranks' streams, with what a caller does in between.
#pragma once

#include <cstdint>

#include "simt/machine.hpp"
#include "verify/low_latency_streams.hpp"
#include "verify/records.hpp"
#include "verify/results.hpp"
#include "verify/sequence_memory.hpp"

namespace epgen::verify {

/// No wait has a deadline: where all wait, the machine says so at once and tells who waits for what.
constexpr uint64_t kNoDeadline = UINT64_MAX;

class Streams {
public:
    Streams(const Module& module, const SpecLayout& layout, const Options& options, const Sequence& sequence,
            SequenceMemory& memory, Records& records, Results& results, LowLatencyStreams& low_latency)
        : module_(module), layout_(layout), options_(options), sequence_(sequence), memory_(memory), records_(records),
          results_(results), low_latency_(low_latency) {}

    /// All calls of one rank.
    void enqueue(simt::Machine& machine, uint32_t rank_idx);

private:
    /// What is compared, for messages.
    struct Compared {
        const char* what;
        uint32_t call_idx;
        uint32_t rank_idx;
    };

    void enqueue_dispatch(simt::Machine& machine, uint32_t rank_idx, uint32_t call_idx);
    void enqueue_poison(simt::Machine& machine, uint32_t rank_idx, uint32_t dispatch_idx);
    void compare_received(simt::Machine& machine, uint32_t rank_idx, uint32_t call_idx);
    void compare_handle(simt::Machine& machine, uint32_t rank_idx, uint32_t call_idx);
    void enqueue_expert_major(simt::Machine& machine, uint32_t rank_idx, uint32_t call_idx);
    void enqueue_combine(simt::Machine& machine, uint32_t rank_idx, uint32_t call_idx);
    /// Brings what peers will pull to where they find it; returns its offset in the window.
    uint64_t place_rows(simt::Machine& machine, uint32_t rank_idx, const Combine& combine);
    uint64_t place_weights(simt::Machine& machine, uint32_t rank_idx, const Combine& combine);
    void copy_rows(simt::Machine& machine, uint32_t rank_idx, const RowRegion& region, std::byte* buffer,
                   const Dispatch& dispatch, const std::byte* rows);
    void enqueue_query(simt::Machine& machine, uint32_t rank_idx, uint32_t query_idx);
    void enqueue_kernel(simt::Machine& machine, uint32_t rank_idx, Launch launch);
    void enqueue_delay(simt::Machine& machine, uint32_t rank_idx, uint32_t delay_ns);
    /// Reads a result once more, at the end of its life.
    void read_late(simt::Machine& machine, uint32_t rank_idx, uint32_t dispatch_idx, uint32_t call_idx);
    /// Compares rows in a receive buffer; behind them up to `num_poison_rows` must be as they were.
    void compare_rows(simt::Machine& machine, const Compared& compared, const RowRegion& region,
                      const Dispatch& dispatch, const model::Received& received, const void* expected,
                      uint64_t num_poison_rows);
    /// Memory of a rank's arena that holds poison until a kernel writes it, and is compared with `expected` afterwards.
    std::byte* take_output(simt::Machine& machine, uint32_t rank_idx, uint64_t bytes);

    const Module& module_;
    const SpecLayout& layout_;
    const Options& options_;
    const Sequence& sequence_;
    SequenceMemory& memory_;
    Records& records_;
    Results& results_;
    LowLatencyStreams& low_latency_;
};

}  // namespace epgen::verify
