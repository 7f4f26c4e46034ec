// One operation of a rank, from the call to its end.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "runtime/graph.hpp"
#include "runtime/outcome.hpp"
#include "runtime/shared_record.hpp"

namespace epgen {

/// A mark is part of a stream that nobody waits for, an event one that streams may wait for. A low-latency receive is
/// that of a dispatch or a combine whose send was another launch.
enum class OperationKind {
    dispatch,
    dispatch_cached,
    combine,
    graph,
    ll_dispatch,
    ll_combine,
    ll_combine_send,
    ll_receive,
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

    uint64_t order = 0;       // among all that its rank was asked for, from 1
    uint64_t ordinal = 0;     // of a collective: which of its rank's calls, from 1; of a receive that of its send
    double deadline_ms = 0;   // of a collective
    uint32_t window_idx = 0;  // of a collective
    uint32_t num_worst_tokens = 0;  // of a dispatch: most rows that may come; 0 where the window is the limit
    uint32_t record_idx = 0;  // of a call that counts: its record while it holds one
    uint32_t record_tag = 0;  // 0 while it holds none
    std::vector<std::shared_ptr<const SharedRecord>> shared_records;  // of a call that tells only of what is wrong
    uint64_t event = 0;       // which one it is, where it is one
    std::shared_ptr<const Graph> graph;  // of a replay

    bool is_collective() const {
        switch (kind) {
            case OperationKind::dispatch:
            case OperationKind::dispatch_cached:
            case OperationKind::combine:
            case OperationKind::graph:
            case OperationKind::ll_dispatch:
            case OperationKind::ll_combine:
            case OperationKind::ll_combine_send:
            case OperationKind::ll_receive: return true;
            case OperationKind::dispatch_layout:
            case OperationKind::local_kernel:
            case OperationKind::transfer:
            case OperationKind::event:
            case OperationKind::mark: break;
        }
        return false;
    }
    /// Whether it takes a count record.
    bool counts() const { return counts_early() || kind == OperationKind::dispatch_layout; }
    /// Whether its record may be complete, and is looked at, before its kernel has ended.
    bool counts_early() const { return kind == OperationKind::dispatch; }
    /// Whether it may do with a record that it shares.
    bool may_share() const { return kind == OperationKind::dispatch && !completion; }
    /// Whether its completion may carry the error of an earlier call, where it is performed.
    bool reports_earlier_errors() const { return (is_transfer() || gives_sums()) && completion; }
    bool gives_sums() const {
        return kind == OperationKind::combine || kind == OperationKind::ll_combine || kind == OperationKind::ll_receive;
    }
    /// Whether its completion may carry why the group has stopped, where nobody else was told.
    bool may_tell_cause() const { return is_transfer() && completion; }
    bool is_transfer() const { return kind == OperationKind::transfer; }

    uint64_t deadline_ns() const { return static_cast<uint64_t>(std::llround(deadline_ms * 1e6)); }

    void tell(Outcome outcome) {
        if (completion) std::exchange(completion, nullptr)(std::move(outcome));
    }
};

}  // namespace epgen
