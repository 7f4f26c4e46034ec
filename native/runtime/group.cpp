#include "runtime/group.hpp"

#include <algorithm>
#include <utility>

#include "runtime/reports.hpp"

namespace epgen {

Group::Group(const Module& module, const GroupOptions& options) : module_(module), options_(options) {
    backend_ = open_backend(
        module, {.seed = options.seed,
                 .num_windows = options.num_windows,
                 .devices = options.devices,
                 .on_counts = [this](uint32_t rank_idx, uint32_t record_idx) { counts_written(rank_idx, record_idx); },
                 .on_failure = [this](std::optional<uint32_t> culprit,
                                      Error error) { machine_failed(culprit, std::move(error)); }});
    backend_->reset(0);
    ranks_.reserve(module.num_ranks);
    for (uint32_t rank_idx = 0; rank_idx < module.num_ranks; ++rank_idx) {
        const RankMemory memory = backend_->memory(rank_idx);
        ranks_.emplace_back(rank_idx, memory, Arena(reinterpret_cast<uint64_t>(memory.arena), module.arena_bytes),
                            StreamTable(options.num_windows));
    }
}

Group::~Group() {
    shut_down();
}

std::vector<LaunchCounters> Group::launched() {
    const std::lock_guard lock(mutex_);
    std::vector<LaunchCounters> launched;
    for (const RankState& rank : ranks_) launched.push_back(rank.launched);
    return launched;
}

void Group::shut_down() {
    std::unique_ptr<Backend> backend;
    {
        const std::lock_guard lock(mutex_);
        if (state_ != State::disposed) {
            stop(disposed_error(), {});
            state_ = State::disposed;
        }
        backend = std::move(backend_);
    }
    // Outside the lock: its thread may be waiting for the lock.
    backend.reset();
}

void Group::hold() {
    const std::lock_guard lock(mutex_);
    require_open();
    backend_->hold();
}

void Group::release() {
    const std::lock_guard lock(mutex_);
    require_open();
    backend_->release();
}

void Group::require_open() const {
    if (state_ == State::disposed) throw disposed_error();
}

void Group::require_usable() {
    const std::lock_guard lock(mutex_);
    require_open();
    require_usable(ranks_.front());
}

/// Refuses operations while the group is stopped.
void Group::require_usable(RankState& rank, bool may_tell_cause) {
    if (reset_) throw Error(ErrorCode::aborted, "The group is being reset");
    if (state_ == State::failed) throw refusal(rank, may_tell_cause);
}

Group::OperationPtr Group::make_operation(OperationKind kind, const RankState& rank, Completion completion) {
    auto operation = std::make_shared<Operation>();
    operation->kind = kind;
    operation->rank_idx = rank.rank_idx;
    operation->completion = std::move(completion);
    return operation;
}

Backend::End Group::end_of(const OperationPtr& operation) {
    return [this, operation](bool done) { ended(operation, done, Finished{}); };
}

void Group::accept(RankState& rank, OperationPtr operation) {
    require_no_capture();
    operation->order = ++rank.num_operations;
    rank.waiting.push_back(std::move(operation));
    append_waiting(rank);
}

void Group::append_waiting(RankState& rank) {
    while (state_ == State::open && !rank.waiting.empty()) {
        const OperationPtr operation = rank.waiting.front();
        if (operation->counts() && !take_record(rank, operation)) return;
        if (operation->kind == OperationKind::event && !rank.events.take(operation->event)) return;
        rank.waiting.pop_front();
        if (operation->kind != OperationKind::mark) rank.appended.push_back(operation);
        switch (operation->kind) {
            case OperationKind::dispatch:
            case OperationKind::dispatch_cached: ++rank.launched.dispatch; break;
            case OperationKind::combine: ++rank.launched.combine; break;
            case OperationKind::dispatch_layout: ++rank.launched.dispatch_layout; break;
            case OperationKind::ll_dispatch: ++rank.launched.ll_dispatch; break;
            case OperationKind::ll_combine:
            case OperationKind::ll_combine_send: ++rank.launched.ll_combine; break;
            case OperationKind::ll_receive:
            case OperationKind::graph:
            case OperationKind::local_kernel:
            case OperationKind::transfer:
            case OperationKind::event:
            case OperationKind::mark: break;
        }
        std::exchange(operation->append, nullptr)(operation);
    }
}

void Group::ended(const OperationPtr& operation, bool done, Outcome outcome) {
    const std::lock_guard lock(mutex_);
    if (state_ == State::disposed) return;
    RankState& rank = ranks_[operation->rank_idx];
    std::erase(rank.appended, operation);
    if (operation->kind == OperationKind::event) {
        rank.events.reached(operation->event);
        append_waiting(rank);
    }
    if (state_ == State::failed) {
        // stop() has told it.
    } else if (!done || gave_up(rank, operation) || any_gave_up()) {
        rank.stopped.push_back(operation);
    } else if (!operation->shared_records.empty()) {
        look_at_shared(rank, *operation);
    } else if (operation->counts()) {
        if (operation->record_tag != 0) finish_counting(rank, *operation);
        if (operation->record_tag != 0) {
            settle(rank, *operation, Error(ErrorCode::fault, "A kernel ended without having counted"));
            release_record(rank, *operation);
        }
    } else if (operation->reports_earlier_errors() && finds_earlier_error(rank, *operation)) {
        settle(rank, *operation, std::exchange(rank.unreported, std::nullopt)->error);
    } else {
        settle(rank, *operation, std::move(outcome));
    }
    advance();
}

void Group::settle(RankState& rank, Operation& operation, Outcome outcome) {
    if (operation.completion) {
        operation.tell(std::move(outcome));
    } else if (Error* error = std::get_if<Error>(&outcome);
               error && (!rank.unreported || operation.order < rank.unreported->order)) {
        rank.unreported = {operation.order, std::move(*error)};
    }
}

}  // namespace epgen
