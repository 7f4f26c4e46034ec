// What a group knows about one of its ranks.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "runtime/arena.hpp"
#include "runtime/backend.hpp"
#include "runtime/event_pool.hpp"
#include "runtime/ll_sends.hpp"
#include "runtime/operation.hpp"
#include "runtime/stream_table.hpp"

namespace epgen {

/// Kernels launched so far.
struct LaunchCounters {
    uint64_t dispatch = 0;
    uint64_t combine = 0;
    uint64_t dispatch_layout = 0;
    uint64_t ll_dispatch = 0;  // with a send
    uint64_t ll_combine = 0;   // with a send
};

/// What an operation that nobody waits for has found wrong.
struct Unreported {
    uint64_t order;  // of the operation
    Error error;
};

struct RankState {
    using OperationPtr = std::shared_ptr<Operation>;

    uint32_t rank_idx;
    RankMemory memory;
    Arena arena;
    StreamTable streams;
    EventPool events{};
    std::deque<OperationPtr> waiting;   // accepted, but it, or one before it, needs a count record or an event
    std::deque<OperationPtr> appended;  // on a stream, not ended
    std::deque<OperationPtr> stopped;   // ended without a result of their own; told when the cause is known
    std::array<OperationPtr, kNumCountRecords> records;  // who holds which count record
    std::array<std::weak_ptr<const SharedRecord>, kNumSharedRecords> shared_records{};  // of calls and graphs that live
    std::optional<Unreported> unreported;  // told with the next transfer that is performed and was asked for later
    LlSends ll_sends{};
    LaunchCounters launched;
    uint64_t num_operations = 0;   // accepted so far
    uint64_t num_collectives = 0;  // calls accepted since the group was opened or reset
    uint32_t last_tag = 0;
    uint32_t num_marks = 0;  // timing events recorded so far
    bool called_before = false;  // has made its first collective call
    bool gave_up = false;        // its fault record is taken
    bool owes_cause = false;     // its call is why the group stopped, and nobody has been told yet
};

}  // namespace epgen
