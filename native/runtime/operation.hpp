// One operation of a rank, from the call to its end.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "runtime/graph.hpp"
#include "runtime/outcome.hpp"

namespace epgen {

/// A mark is part of a stream that nobody waits for, an event one that streams may wait for.
enum class OperationKind {
    dispatch,
    dispatch_cached,
    combine,
    graph,
    dispatch_layout,
    local_kernel,
    transfer,
    event,
    mark,
};

struct Operation {
    OperationKind kind;
    uint32_t rank_idx;
    Completion completion;  // empty once told, or when nobody waits
    /// Puts it on the rank's stream; called once, when it has what it needs.
    std::function<void(const std::shared_ptr<Operation>&)> append;

    uint64_t ordinal = 0;     // of a collective: which of its rank's calls, from 1
    double deadline_ms = 0;   // of a collective
    uint32_t window_idx = 0;  // of a collective
    uint32_t num_worst_tokens = 0;  // of a dispatch: most rows that may come; 0 where the window is the limit
    uint32_t record_idx = 0;  // of a call that counts: its record while it holds one
    uint32_t record_tag = 0;  // 0 while it holds none
    uint64_t event = 0;       // which one it is, where it is one
    std::shared_ptr<const Graph> graph;  // of a replay

    bool is_collective() const {
        return kind == OperationKind::dispatch || kind == OperationKind::dispatch_cached ||
               kind == OperationKind::combine || kind == OperationKind::graph;
    }
    bool counts() const { return kind == OperationKind::dispatch || kind == OperationKind::dispatch_layout; }
    /// Whether its completion may carry the error of an earlier call, where it is performed.
    bool reports_earlier_errors() const { return (is_transfer() || kind == OperationKind::combine) && completion; }
    /// Whether its completion may carry why the group has stopped, where nobody else was told.
    bool may_tell_cause() const { return is_transfer() && completion; }
    bool is_transfer() const { return kind == OperationKind::transfer; }

    void tell(Outcome outcome) {
        if (completion) std::exchange(completion, nullptr)(std::move(outcome));
    }
};

}  // namespace epgen
