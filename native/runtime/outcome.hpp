// How an operation ends, and who is told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <variant>
#include <vector>

#include "runtime/error.hpp"

namespace epgen {

struct Finished {};

/// What a dispatch knows before its rows have arrived.
struct Counts {
    uint32_t num_recv_tokens;
    std::vector<int32_t> num_tokens_per_expert;  // [num_local_experts]
    std::vector<int32_t> num_tokens_per_rank;    // [num_rank_counts]
};

/// Bytes in ordinary host memory.
struct HostBytes {
    std::unique_ptr<std::byte[]> data;
    uint64_t size;
};

using Outcome = std::variant<Finished, Counts, HostBytes, Error>;

/// Told once, from any thread and while the group is locked: it may only pass the outcome on.
/// Empty where nobody waits; an error then waits for the rank's next operation that can report it.
using Completion = std::function<void(Outcome)>;

}  // namespace epgen
