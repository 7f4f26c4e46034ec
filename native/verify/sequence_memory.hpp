// Where a sequence of calls has its inputs and outputs in the memory of the ranks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "simt/task.hpp"
#include "verify/rank_memory.hpp"
#include "verify/sequence.hpp"

namespace epgen::verify {

/// As a bf16 it is 3.4e38, so that no sum swallows it; as an index or an offset it leads nowhere.
constexpr uint8_t kPoison = 0x7f;
constexpr uint64_t kPoisonRows = 4;  // behind the rows that a result has

/// Used again by every schedule.
struct SequenceMemory {
    SequenceMemory(const Module& module, const SpecLayout& layout, const Options& options, const Sequence& sequence);

    /// Puts inputs where kernels find them, and makes control words those of a group that has made calls before.
    void prepare();
    /// Makes the receive buffer of a dispatch hold nothing that could pass for its result.
    std::array<simt::Fill, 5> poison_of_result(uint32_t rank_idx, uint32_t dispatch_idx) const;

    std::vector<RankMemory> ranks;
    std::vector<std::byte*> out;                                        // [rank] of every combine
    std::vector<std::vector<std::byte*>> x, choices, weights, handles;  // [rank][dispatch]

private:
    /// Leaves nothing of earlier schedules where a wrong kernel could find it: a seed alone decides what it sees.
    void poison_windows();

    const Module& module_;
    const SpecLayout& layout_;
    const Options& options_;
    const Sequence& sequence_;
};

}  // namespace epgen::verify
