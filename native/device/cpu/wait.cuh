// CPU bodies of wait.cuh: a wait parks its thread; what it waits for, its deadline or an abort wakes it to look again.
#pragma once

#include "simt/core.hpp"
#include "simt/steering.hpp"

namespace epgen {

namespace cpu {

/// Sets every rank's abort word and lets all waits look at theirs.
EPGEN_ANNOUNCED inline void abort_group(const Call& call, Place place) {
    for (uint32_t rank_idx = 0; rank_idx < call.num_ranks; ++rank_idx) {
        auto* abort_word = reinterpret_cast<uint32_t*>(call.window[rank_idx]);
        if (simt::current->is_watched) {
            simt::watched_signal({simt::AccessKind::read_modify_write, simt::Order::relaxed, simt::Scope::sys,
                                  Space::peer, "abort_group", "abort word", abort_word, sizeof(uint32_t), place});
        }
        __atomic_fetch_or(abort_word, kAborted, __ATOMIC_RELAXED);
    }
    simt::wake_all_waiters();
}

/// Leaves this rank's FaultRecord, if it is the first to give up, and aborts the group.
EPGEN_ANNOUNCED inline void give_up(const Call& call, Site site, uint32_t reason, uint64_t expected, uint64_t seen,
                                    Place place) {
    FaultRecord* fault = call.fault;
    const bool is_first = fault->state == 0;
    if (is_first) {
        *fault = {0,           call.op,          site.phase, call.rank_idx, call.epoch,
                  site.peer_idx, site.channel_idx, reason,     expected,      seen,      fault->host_abort};
        __atomic_store_n(&fault->state, 2u, __ATOMIC_RELEASE);
    }
    abort_group(call, place);
    if (is_first && reason == 1) simt::report_timeout(call.rank_idx);
}

/// One wait: its deadline, and what reports say about it.
struct Patience {
    const Call& call;
    simt::Fiber& fiber;
    simt::WaitNote note;

    Patience(const Call& call, Site site, uint64_t expected, bool is_mbarrier, Place place)
        : call(call), fiber(*simt::current->fiber) {
        const uint64_t now = simt::now_ns();
        const uint64_t patience_ns = is_mbarrier ? kBlockPatience * call.deadline_ns : call.deadline_ns;
        fiber.deadline_ns = patience_ns < simt::kNoDeadline - now ? now + patience_ns : simt::kNoDeadline;
        note = {phase_name(site.phase), static_cast<uint32_t>(call.op), static_cast<uint32_t>(site.phase), call.epoch,
                site.peer_idx, site.channel_idx, expected, 0, place, is_mbarrier};
    }

    /// 0 to go on, else the reason to give up.
    EPGEN_ANNOUNCED uint32_t exhausted() const {
        if (simt::now_ns() >= fiber.deadline_ns) return 1;
        const auto* abort_word = reinterpret_cast<const uint32_t*>(call.window[call.rank_idx]);
        return simt::current->aborting || __atomic_load_n(abort_word, __ATOMIC_RELAXED) != 0 ? 2 : 0;
    }

    void park(const void* address, uint64_t seen) {
        note.seen = seen;
        fiber.note = &note;
        simt::park_on(address);
    }
};

/// The word as this thread sees it.
template <class Word>
EPGEN_ANNOUNCED Word poll(const simt::Access& access) {
    if (!simt::current->is_watched) [[likely]] {
        return __atomic_load_n(static_cast<const Word*>(access.address), __ATOMIC_RELAXED);
    }
    Word value;
    simt::watched_poll(access, &value);
    return value;
}

/// The predicate as a steered machine asks for it.
template <class Predicate>
simt::WordCondition condition_of(const Predicate& predicate) {
    const auto check = [](const void* wanted, uint64_t value) {
        return static_cast<const Predicate*>(wanted)->holds(static_cast<typename Predicate::Word>(value));
    };
    return {check, &predicate};
}

template <class Predicate>
Waited<typename Predicate::Word> wait_word(const char* what, simt::Order order, simt::Scope scope, const Call& call,
                                           Site site, local<typename Predicate::Word> word, Predicate predicate,
                                           Place place) {
    using Word = typename Predicate::Word;
    check_extent(what, word, sizeof(Word), alignof(Word), place);
    const simt::Access access{simt::AccessKind::load, order,    scope,        Space::local, what,
                              word.name,              word.raw, sizeof(Word), place};
    const bool is_steered = simt::current->steering != nullptr;
    const simt::WordCondition condition = condition_of(predicate);
    if (is_steered) [[unlikely]] {
        simt::steered_wait_starts(access, condition);
    } else {
        simt::access(access);
    }
    bool may_take = !is_steered;
    Patience patience(call, site, predicate.expected(), false, place);
    for (;;) {
        const Word value = poll<Word>(access);
        if (predicate.holds(value)) {
            if (!may_take) [[unlikely]] {
                simt::steer(access, &condition);
                may_take = true;
                continue;
            }
            if (simt::current->is_watched) [[unlikely]] simt::watched_wait_end(access, value);
            return {true, value};
        }
        may_take = !is_steered;
        if (const uint32_t reason = patience.exhausted()) {
            give_up(call, site, reason, predicate.expected(), predicate.seen(value), place);
            return {false, value};
        }
        patience.park(word.raw, predicate.seen(value));
    }
}

}  // namespace cpu

inline uint64_t now_ns() { return simt::now_ns(); }

inline bool group_gave_up(const Call& call, Place place = Place::here()) {
    const auto* abort_word = reinterpret_cast<const uint32_t*>(call.window[call.rank_idx]);
    const simt::Access access{simt::AccessKind::load, simt::Order::relaxed, simt::Scope::sys,
                              Space::local,           "group_gave_up",      "abort word",
                              abort_word,             sizeof(uint32_t),     place};
    simt::access(access);
    if (!simt::current->aborting && cpu::poll<uint32_t>(access) == 0) return false;
    cpu::give_up(call, Site{Phase::group_alive, -1, -1}, 2, 0, 1, place);
    return true;
}

template <class Predicate>
Waited<typename Predicate::Word> wait_relaxed_sys(const Call& call, Site site, local<typename Predicate::Word> word,
                                                  Predicate predicate, Place place = Place::here()) {
    return cpu::wait_word("wait_relaxed_sys", simt::Order::relaxed, simt::Scope::sys, call, site, word, predicate,
                          place);
}

template <class Predicate>
Waited<typename Predicate::Word> wait_acquire_sys(const Call& call, Site site, local<typename Predicate::Word> word,
                                                  Predicate predicate, Place place = Place::here()) {
    return cpu::wait_word("wait_acquire_sys", simt::Order::acquire, simt::Scope::sys, call, site, word, predicate,
                          place);
}

inline bool wait_mbarrier(const Call& call, Site site, shared<Mbarrier> barrier, uint32_t parity,
                          Place place = Place::here()) {
    check_extent("wait_mbarrier", barrier, sizeof(Mbarrier), alignof(Mbarrier), place);
    const bool is_over = simt::mbarrier_test(barrier.raw, parity, barrier.name, place);
    if (!is_over) {
        cpu::Patience patience(call, site, parity, true, place);
        while (!simt::mbarrier_test(barrier.raw, parity, barrier.name, place)) {
            if (const uint32_t reason = patience.exhausted()) {
                cpu::give_up(call, site, reason, parity, parity ^ 1, place);
                return false;
            }
            patience.park(barrier.raw, parity ^ 1);
        }
    }
    simt::mbarrier_acquire("wait_mbarrier", barrier.raw, parity, barrier.name, place);
    if (is_over) simt::yield();  // a wait lets others run once, here or by parking
    return true;
}

inline void drain_mbarrier(shared<Mbarrier> barrier, uint32_t parity, Place place = Place::here()) {
    check_extent("drain_mbarrier", barrier, sizeof(Mbarrier), alignof(Mbarrier), place);
    simt::yield();
    simt::Fiber& fiber = *simt::current->fiber;
    simt::WaitNote note = simt::plain_note("drain_mbarrier", place);
    note.is_mbarrier = true;
    while (!simt::mbarrier_test(barrier.raw, parity, barrier.name, place)) {
        fiber.deadline_ns = simt::kNoDeadline;
        fiber.note = &note;
        simt::park_on(barrier.raw);
    }
    simt::mbarrier_acquire("drain_mbarrier", barrier.raw, parity, barrier.name, place);
}

}  // namespace epgen
