// One operation of a rank, from the call to its end.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "runtime/outcome.hpp"

namespace epgen {

/// A mark is part of a stream that nobody waits for.
enum class OperationKind { dispatch, combine, dispatch_layout, transfer, mark };

struct Operation {
    OperationKind kind;
    uint32_t rank_idx;
    Completion completion;  // empty once told, or when nobody waits
    /// Puts it on the rank's stream; called once, when it has what it needs.
    std::function<void(const std::shared_ptr<Operation>&)> append;

    uint64_t ordinal = 0;     // of a collective: which of its rank's calls, from 1
    double deadline_ms = 0;   // of a collective
    uint32_t record_idx = 0;  // of a call that counts: its record while it holds one
    uint32_t record_tag = 0;  // 0 while it holds none

    bool is_collective() const { return kind == OperationKind::dispatch || kind == OperationKind::combine; }
    bool counts() const { return kind == OperationKind::dispatch || kind == OperationKind::dispatch_layout; }
    /// Whether its completion may carry the error of an earlier call.
    bool reports_earlier_errors() const { return kind == OperationKind::transfer && completion; }

    void tell(Outcome outcome) {
        if (completion) std::exchange(completion, nullptr)(std::move(outcome));
    }
};

}  // namespace epgen
