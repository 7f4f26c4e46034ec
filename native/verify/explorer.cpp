#include "verify/explorer.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "simt/block.hpp"

namespace epgen::verify {

namespace {

uint64_t thread_of(const simt::Fiber& fiber) {
    return uint64_t{fiber.rank_idx} << 42 | uint64_t{fiber.block_idx} << 10 | fiber.thread_idx;
}

uint64_t mixed(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return (hash ^ hash >> 32) * 0xd6e8feb86659fd93u;
}

uint64_t value_at(const void* word, uint32_t bytes) {
    uint64_t value = 0;
    std::memcpy(&value, word, bytes);
    return value;
}

}  // namespace

// From run to run

bool Explorer::start_run() {
    done_.clear();
    waits_.clear();
    by_word_.clear();
    known_.clear();
    known_to_stream_.clear();
    arrived_.clear();
    passed_.clear();
    is_redundant_ = false;
    num_repeated_ = choices_.size();
    if (std::exchange(is_first_, false)) return true;
    for (; !choices_.empty(); choices_.pop_back()) {
        Choice& last = choices_.back();
        last.sleeping.push_back(last.chosen);
        for (const Thread thread : last.wanted) {
            if (find(last.sleeping, thread) != nullptr) continue;
            last.chosen = *find(last.pending, thread);
            num_repeated_ = choices_.size();
            return true;
        }
    }
    return false;
}

bool Explorer::end_run() {
    ++num_runs_;
    num_operations_ = std::max<uint64_t>(num_operations_, done_.size());
    if (is_redundant_ || has_diverged_) return false;
    uint64_t signature = 0;
    for (const Done& done : done_) signature += done.hash;
    return classes_.insert(signature).second;
}

// Choices

Explorer::Operation Explorer::operation_of(const simt::WordOperation& pending) {
    const simt::Access& access = pending.access;
    const bool is_add = access.kind == simt::AccessKind::read_modify_write;
    return {thread_of(*pending.fiber), access.address, access.kind != simt::AccessKind::load,
            is_add && std::strncmp(access.what, "red_", 4) == 0};
}

bool Explorer::conflict(const Operation& a, const Operation& b) {
    return a.word == b.word && (a.is_write || b.is_write) && !(a.is_blind_add && b.is_blind_add);
}

const Explorer::Operation* Explorer::find(const std::vector<Operation>& operations, Thread thread) {
    const auto found = std::find_if(operations.begin(), operations.end(),
                                    [&](const Operation& operation) { return operation.thread == thread; });
    return found == operations.end() ? nullptr : &*found;
}

size_t Explorer::choose(const std::vector<simt::WordOperation>& pending) {
    if (is_redundant_ || has_diverged_) return 0;
    const size_t position = done_.size();
    if (position >= choices_.size()) {
        Choice choice;
        for (const simt::WordOperation& operation : pending) choice.pending.push_back(operation_of(operation));
        if (position > 0) {
            const Choice& last = choices_[position - 1];
            for (const Operation& asleep : last.sleeping) {
                if (!conflict(asleep, last.chosen)) choice.sleeping.push_back(asleep);
            }
        }
        const auto awake = std::find_if(choice.pending.begin(), choice.pending.end(), [&](const Operation& operation) {
            return find(choice.sleeping, operation.thread) == nullptr;
        });
        if (awake == choice.pending.end()) {
            is_redundant_ = true;
            return 0;
        }
        choice.chosen = *awake;
        choice.wanted.push_back(awake->thread);
        choices_.push_back(std::move(choice));
    }
    const Operation& chosen = choices_[position].chosen;
    for (size_t i = 0; i < pending.size(); ++i) {
        const Operation operation = operation_of(pending[i]);
        if (operation.thread != chosen.thread) continue;
        has_diverged_ |= operation.word != chosen.word || pending.size() != choices_[position].pending.size();
        perform(pending[i]);
        return i;
    }
    has_diverged_ = true;
    return 0;
}

void Explorer::perform(const simt::WordOperation& pending) {
    const Operation operation = operation_of(pending);
    const size_t idx = done_.size();
    const uint64_t value = value_at(operation.word, pending.access.bytes);
    OperationSet& known = known_to(*pending.fiber);
    std::vector<size_t>& of_word = by_word_[operation.word];
    std::vector<size_t> races;
    uint64_t hash = mixed(operation.thread, 0);
    for (size_t i = of_word.size(); i-- > 0;) {
        const Done& earlier = done_[of_word[i]];
        if (!conflict(earlier.operation, operation)) continue;
        hash += mixed(earlier.hash, 1);
        if (known.has(of_word[i])) continue;
        if (may_come_first(pending, of_word[i], value)) races.push_back(of_word[i]);
        known.add_all(earlier.before);
    }
    // The thread's own operations before it, wherever they were.
    for (size_t i = done_.size(); i-- > 0;) {
        if (done_[i].operation.thread != operation.thread) continue;
        hash = mixed(hash, done_[i].hash);
        break;
    }
    known.add(idx);
    done_.push_back({operation, known, value, pending.access.bytes, hash});
    of_word.push_back(idx);
    if (pending.condition != nullptr) {
        std::erase_if(waits_, [&](const Wait& wait) { return wait.operation.thread == operation.thread; });
    }
    // What was found where this run only repeats another has been wanted already.
    if (idx + 1 < num_repeated_) return;
    for (const size_t earlier : races) want_reversal(earlier, operation, done_[idx].before);
    if (!operation.is_write) return;
    for (const Wait& wait : waits_) {
        if (wait.operation.word == operation.word && wait.condition->holds(value)) {
            want_reversal(idx, wait.operation, wait.before);
        }
    }
}

void Explorer::wait_starts(const simt::WordOperation& wait) {
    if (is_redundant_ || has_diverged_) return;
    const Operation operation = operation_of(wait);
    waits_.push_back({operation, wait.condition, known_to(*wait.fiber)});
    for (const size_t earlier : by_word_[operation.word]) {
        const Done& write = done_[earlier];
        if (!write.operation.is_write || waits_.back().before.has(earlier)) continue;
        if (wait.condition->holds(write.value)) want_reversal(earlier, operation, waits_.back().before);
    }
}

/// Of two conflicting operations that nothing else orders: whether the later one could be performed without the
/// earlier. Only a wait may not be, if it is the earlier one that brought what it waits for.
bool Explorer::may_come_first(const simt::WordOperation& later, size_t earlier, uint64_t value) const {
    if (later.condition == nullptr) return true;
    const Done& write = done_[earlier];
    uint64_t without = write.value;
    if (write.operation.is_blind_add) without = value - (value_after(earlier, value) - write.value);
    return later.condition->holds(without);
}

uint64_t Explorer::value_after(size_t done, uint64_t value_now) const {
    const std::vector<size_t>& of_word = by_word_.at(done_[done].operation.word);
    const auto next = std::upper_bound(of_word.begin(), of_word.end(), done);
    return next == of_word.end() ? value_now : done_[*next].value;
}

/// Another run has to begin as this one up to `earlier` and then perform something of what leads to `later` without it.
/// `later` comes after all that has been done, or is about to.
void Explorer::want_reversal(size_t earlier, const Operation& later, const OperationSet& before_later) {
    Choice& choice = choices_[earlier];
    std::vector<size_t> rest;
    std::vector<Thread> first;
    const auto add = [&](const Operation& operation, const OperationSet& before) {
        const bool is_first = std::none_of(rest.begin(), rest.end(), [&](size_t idx) { return before.has(idx); });
        if (is_first) first.push_back(operation.thread);
    };
    for (size_t idx = earlier + 1; idx < done_.size(); ++idx) {
        const Done& done = done_[idx];
        if (done.before.has(earlier)) continue;
        add(done.operation, done.before);
        rest.push_back(idx);
    }
    add(later, before_later);
    const auto is_among = [](const std::vector<Thread>& threads) {
        return [&](Thread thread) { return std::find(threads.begin(), threads.end(), thread) != threads.end(); };
    };
    const auto is_asleep = [&](Thread thread) { return find(choice.sleeping, thread) != nullptr; };
    if (std::any_of(first.begin(), first.end(), is_among(choice.wanted))) return;
    if (std::any_of(first.begin(), first.end(), is_asleep)) return;
    const auto is_pending = [&](Thread thread) { return find(choice.pending, thread) != nullptr; };
    const auto found = std::find_if(first.begin(), first.end(), is_pending);
    if (found != first.end()) {
        choice.wanted.push_back(*found);
        return;
    }
    for (const Operation& operation : choice.pending) {
        if (!is_among(choice.wanted)(operation.thread)) choice.wanted.push_back(operation.thread);
    }
}

// What threads know of

OperationSet& Explorer::known_to(const simt::Fiber& fiber) { return known_[thread_of(fiber)]; }

void Explorer::block_starts(const simt::Block& block) {
    const std::byte* shared_end = block.shared + block.launch->kernel.entry->shared_bytes;
    for (auto* mbarriers : {&arrived_, &passed_}) {
        mbarriers->erase(mbarriers->lower_bound(block.shared), mbarriers->lower_bound(shared_end));
    }
    for (const simt::Fiber* fiber : block.fibers) known_to(*fiber) = known_to_stream_[fiber->rank_idx];
}

void Explorer::block_ends(const simt::Block& block) {
    for (const simt::Fiber* fiber : block.fibers) known_to_stream_[fiber->rank_idx].add_all(known_to(*fiber));
}

void Explorer::meet(simt::Fiber* const* fibers, uint32_t count) {
    OperationSet all;
    for (uint32_t i = 0; i < count; ++i) all.add_all(known_to(*fibers[i]));
    for (uint32_t i = 0; i < count; ++i) known_to(*fibers[i]) = all;
}

void Explorer::mbarrier_arrive(const simt::Fiber& fiber, const void* mbarrier) {
    arrived_[mbarrier].add_all(known_to(fiber));
}

void Explorer::mbarrier_phase_ends(const void* mbarrier) { passed_[mbarrier] = arrived_[mbarrier]; }

void Explorer::mbarrier_pass(const simt::Fiber& fiber, const void* mbarrier) {
    known_to(fiber).add_all(passed_[mbarrier]);
}

}  // namespace epgen::verify
