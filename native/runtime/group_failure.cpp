#include <algorithm>
#include <atomic>
#include <utility>

#include "runtime/expect.hpp"
#include "runtime/group.hpp"
#include "runtime/reports.hpp"

namespace epgen {
namespace {

constexpr uint32_t kRecordComplete = 2;

bool is_complete(FaultRecord& fault) {
    return std::atomic_ref(fault.state).load(std::memory_order_acquire) == kRecordComplete;
}

}  // namespace

FaultRecord* Group::fault_of(const Operation& operation) const {
    return ranks_[operation.rank_idx].memory.windows[operation.window_idx].fault;
}

/// A replay may use several windows: its own is the one whose wait gave up.
void Group::find_fault_window(Operation& operation) const {
    const auto& windows = ranks_[operation.rank_idx].memory.windows;
    const auto found = std::ranges::find_if(windows, [](const WindowMemory& window) { return is_complete(*window.fault); });
    if (found != windows.end()) operation.window_idx = static_cast<uint32_t>(found - windows.begin());
}

/// Whether the operation ended, or ran after one that ended, because a wait of this rank gave up.
bool Group::gave_up(RankState& rank, const OperationPtr& operation) {
    if (rank.gave_up) return true;
    if (!operation->is_collective()) return false;
    if (operation->kind == OperationKind::graph) find_fault_window(*operation);
    if (!is_complete(*fault_of(*operation))) return false;
    rank.gave_up = true;
    victims_.push_back(operation);
    if (state_ == State::open) {
        state_ = State::failing;
        accepted_.clear();
        for (const RankState& any : ranks_) accepted_.push_back(any.num_collectives);
        backend_->abandon_other_windows(operation->window_idx);
    }
    return true;
}

/// Whether any rank has given up, or has just left its record: what others report from now on may rest on less than
/// they believe, so nothing succeeds any more.
bool Group::any_gave_up() {
    return state_ == State::failing || std::ranges::any_of(ranks_, [](const RankState& rank) {
               return std::ranges::any_of(rank.memory.windows,
                                          [](const WindowMemory& window) { return is_complete(*window.fault); });
           });
}

/// Once all kernels have left: one report from the records of all ranks.
void Group::conclude_timeout() {
    std::vector<FaultRecord> records;
    const Operation* first = nullptr;
    for (const OperationPtr& victim : victims_) {
        records.push_back(*fault_of(*victim));
        if (!first || victim->ordinal < first->ordinal) first = victim.get();
    }
    std::vector<uint32_t> idle_ranks;
    for (uint32_t rank_idx = 0; rank_idx < ranks_.size(); ++rank_idx) {
        if (accepted_[rank_idx] < first->ordinal) idle_ranks.push_back(rank_idx);
    }
    stop(timeout_error(std::move(records), first->deadline_ms, std::move(idle_ranks)), std::exchange(victims_, {}));
}

void Group::machine_failed(std::optional<uint32_t> culprit, Error error) {
    const std::lock_guard lock(mutex_);
    if (state_ == State::disposed || state_ == State::failed) return;
    std::vector<OperationPtr> victims;
    for (RankState& rank : ranks_) {
        std::deque<OperationPtr> begun = rank.stopped;
        begun.insert(begun.end(), rank.appended.begin(), rank.appended.end());
        const auto kernel = std::ranges::find_if(begun, [](const OperationPtr& operation) {
            return operation->kind != OperationKind::transfer && operation->kind != OperationKind::event;
        });
        if (kernel == begun.end()) continue;
        if (!culprit || *culprit == (*kernel)->rank_idx) victims.push_back(*kernel);
    }
    stop(std::move(error), victims);
    advance();
}

/// Tells everybody: the victims first and with the cause itself, so that Promise.all rejects with it.
void Group::stop(Error cause, const std::vector<OperationPtr>& victims) {
    state_ = State::failed;
    failure_ = std::move(cause);
    for (const OperationPtr& victim : victims) {
        if (victim->completion) {
            victim->tell(*failure_);
        } else {
            ranks_[victim->rank_idx].owes_cause = true;
        }
    }
    for (RankState& rank : ranks_) {
        for (const auto* operations : {&rank.stopped, &rank.appended, &rank.waiting}) {
            for (const OperationPtr& operation : *operations) {
                if (operation->completion) operation->tell(refusal(rank, operation->may_tell_cause()));
            }
        }
        rank.stopped.clear();
        rank.waiting.clear();
    }
    victims_.clear();
    if (failure_->code() == ErrorCode::disposed && reset_) std::exchange(reset_, std::nullopt)->completion(*failure_);
}

/// What an operation is told that the stopped group doesn't perform: the cause itself where a call of its rank failed
/// and nobody has heard of it, or else the abort. Never a wrong index of an earlier call: that says "performed".
Error Group::refusal(RankState& rank, bool may_tell_cause) {
    const bool tells_cause = may_tell_cause && std::exchange(rank.owes_cause, false);
    return tells_cause || failure_->code() == ErrorCode::disposed ? *failure_ : aborted_error(*failure_);
}

/// Takes the steps that had to wait for all streams.
void Group::advance() {
    const bool streams_are_empty =
        std::ranges::all_of(ranks_, [](const RankState& rank) { return rank.appended.empty(); });
    if (!streams_are_empty) return;
    if (state_ == State::failing) conclude_timeout();
    end_freed_graphs();
    // A record is free again by the time that its kernel has ended, so nothing waits for one now.
    if (!reset_) return;
    try {
        backend_->reset(reset_->epoch);
    } catch (const Error& error) {
        std::exchange(reset_, std::nullopt)->completion(error);
        return;
    }
    for (RankState& rank : ranks_) {
        reset_records(rank);
        // Of a group that goes on as before somebody has yet to hear of it.
        if (state_ == State::failed) rank.unreported.reset();
        rank.owes_cause = false;
        rank.ll_sends.clear();
        rank.num_collectives = 0;
        rank.gave_up = false;
    }
    for (const auto& [graph_idx, graph] : std::exchange(graphs_, {})) freed_graphs_.push_back(graph_idx);
    end_freed_graphs();
    failure_.reset();
    state_ = State::open;
    std::exchange(reset_, std::nullopt)->completion(Finished{});
}

void Group::reset(uint32_t epoch, Completion completion) {
    const std::lock_guard lock(mutex_);
    require_open();
    if (reset_) throw Error(ErrorCode::aborted, "The group is being reset");
    if (module_.num_ll_channels > 0) expect_multiple("epoch", epoch, kLlEpochStep);
    reset_ = PendingReset{epoch, std::move(completion)};
    advance();
}

}  // namespace epgen
