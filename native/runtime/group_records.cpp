#include <algorithm>
#include <atomic>

#include "runtime/group.hpp"
#include "runtime/reports.hpp"

namespace epgen {
namespace {

/// What its calls leave alone where nothing is wrong.
void clear(CountRecord& record) {
    record.num_recv_tokens = 0;
    record.bad_token_idx = kNoToken;
}

/// A wrong index or too many rows in a record that calls share: it stays there until it was seen, here.
std::optional<Error> take_found(uint32_t rank_idx, CountRecord& record, uint32_t num_worst_tokens,
                                uint32_t num_experts) {
    // Since the last look no call has completed it.
    const std::atomic_ref tag(record.tag);
    if (tag.load(std::memory_order_relaxed) == 0) return std::nullopt;
    tag.exchange(0, std::memory_order_acquire);
    // Another call may be at it: its token comes with its choice and value, or is seen with its own tag.
    const uint32_t bad_token_idx = std::atomic_ref(record.bad_token_idx).exchange(kNoToken, std::memory_order_acquire);
    const uint32_t num_recv_tokens = std::atomic_ref(record.num_recv_tokens).exchange(0, std::memory_order_acquire);
    CountRecord found = record;
    found.bad_token_idx = bad_token_idx;
    found.num_recv_tokens = num_recv_tokens;
    if (bad_token_idx != kNoToken) return expert_index_error(rank_idx, found, num_experts);
    if (num_worst_tokens != 0 && num_recv_tokens > num_worst_tokens) {
        return worst_tokens_error(rank_idx, found, num_worst_tokens);
    }
    return std::nullopt;
}

}  // namespace

/// Gives a call what it counts in; false where it has to wait for that.
bool Group::take_record(RankState& rank, const OperationPtr& operation) {
    if (operation->may_share()) {
        if (const auto shared = shared_record_for(rank, operation->num_worst_tokens)) {
            operation->shared_records = {shared};
            return true;
        }
    }
    const auto free = std::ranges::find(rank.records, nullptr);
    if (free == rank.records.end()) return false;
    *free = operation;
    operation->record_idx = static_cast<uint32_t>(free - rank.records.begin());
    operation->record_tag = ++rank.last_tag == 0 ? ++rank.last_tag : rank.last_tag;
    CountRecord& record = *rank.memory.count_record(operation->record_idx);
    std::atomic_ref(record.tag).store(0, std::memory_order_relaxed);  // the backend may be looking
    clear(record);
    return true;
}

void Group::release_record(RankState& rank, Operation& operation) {
    rank.records[operation.record_idx] = nullptr;
    operation.record_tag = 0;
    append_waiting(rank);
}

/// The record that calls with this limit share; null where too many other limits are in use. What is in it stays:
/// earlier calls may have found it.
std::shared_ptr<const SharedRecord> Group::shared_record_for(RankState& rank, uint32_t num_worst_tokens) {
    constexpr uint32_t kNone = kNumSharedRecords;
    uint32_t free_idx = kNone;
    const uint32_t first = num_worst_tokens == 0 ? 0 : 1;
    const uint32_t end = num_worst_tokens == 0 ? 1 : kNumSharedRecords;
    for (uint32_t i = first; i < end; ++i) {
        const auto record = rank.shared_records[i].lock();
        if (record && record->num_worst_tokens == num_worst_tokens) return record;
        if (!record && free_idx == kNone) free_idx = i;
    }
    if (free_idx == kNone) return nullptr;
    clear(*rank.memory.shared_record(free_idx));
    const auto record = std::make_shared<const SharedRecord>(free_idx, num_worst_tokens);
    rank.shared_records[free_idx] = record;
    return record;
}

/// As if no call had been made.
void Group::reset_records(RankState& rank) {
    rank.records.fill(nullptr);
    for (uint32_t i = 0; i < kNumSharedRecords; ++i) {
        if (!rank.shared_records[i].expired()) clear(*rank.memory.shared_record(i));
    }
}

/// Where the kernel of a call that counts writes.
CountRecord* Group::record_of(const RankState& rank, const Operation& operation) {
    if (operation.shared_records.empty()) return rank.memory.count_record(operation.record_idx);
    return rank.memory.shared_record(operation.shared_records.front()->record_idx);
}

void Group::counts_written(uint32_t rank_idx, uint32_t record_idx) {
    const std::lock_guard lock(mutex_);
    if (state_ == State::disposed || any_gave_up()) return;
    RankState& rank = ranks_[rank_idx];
    const OperationPtr operation = rank.records[record_idx];
    // A layout query has no counts to hurry for; its record is read when the kernel has ended.
    if (operation && operation->counts_early()) finish_counting(rank, *operation);
}

/// Reads the operation's record, if its kernel has completed it, and gives the record back.
void Group::finish_counting(RankState& rank, Operation& operation) {
    CountRecord& record = *rank.memory.count_record(operation.record_idx);
    if (std::atomic_ref(record.tag).load(std::memory_order_acquire) != operation.record_tag) return;
    if (record.bad_token_idx != kNoToken) {
        settle(rank, operation, expert_index_error(operation.rank_idx, record, module_.num_experts));
    } else if (operation.num_worst_tokens != 0 && record.num_recv_tokens > operation.num_worst_tokens) {
        settle(rank, operation, worst_tokens_error(operation.rank_idx, record, operation.num_worst_tokens));
    } else if (operation.kind == OperationKind::dispatch) {
        const auto* recorded = reinterpret_cast<const int32_t*>(&record + 1);
        const auto* end_of_experts = recorded + module_.num_local_experts;
        Counts counts{record.num_recv_tokens,
                      {recorded, end_of_experts},
                      {end_of_experts, end_of_experts + module_.num_rank_counts}};
        settle(rank, operation, std::move(counts));
    } else {
        settle(rank, operation, Finished{});
    }
    release_record(rank, operation);
}

/// Looks at the records that the operation shares: nobody waits for it, so what it or another one has found is kept.
void Group::look_at_shared(RankState& rank, Operation& operation) {
    for (const auto& shared : operation.shared_records) {
        CountRecord& record = *rank.memory.shared_record(shared->record_idx);
        auto error = take_found(rank.rank_idx, record, shared->num_worst_tokens, module_.num_experts);
        if (error) settle(rank, operation, std::move(*error));
    }
}

/// Whether a call that was made before the operation, and that nobody waits for, found something wrong. One on another
/// stream, which what ends now came after, may have left its counts without the backend having looked. A later call may
/// have ended too by the time that the end of the operation is seen.
bool Group::finds_earlier_error(RankState& rank, const Operation& operation) {
    for (const auto& record : rank.records) {
        const OperationPtr holder = record;
        if (holder && holder->counts_early()) finish_counting(rank, *holder);
    }
    for (const OperationPtr& other : rank.appended) {
        if (other->order < operation.order) look_at_shared(rank, *other);
    }
    return rank.unreported && rank.unreported->order < operation.order;
}

}  // namespace epgen
