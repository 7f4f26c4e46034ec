// CUDA bodies of wait.cuh: bounded polling with deadline and abort check.
#pragma once

namespace epgen {

/// `%globaltimer`: nanoseconds, for statistics; a wait has its deadline.
EPGEN_DEVICE uint64_t now_ns() {
    uint64_t now;
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
    return now;
}

EPGEN_DEVICE uint32_t ld_relaxed_sys(const uint32_t* word) {
    uint32_t value;
    asm volatile("ld.relaxed.sys.global.u32 %0, [%1];" : "=r"(value) : "l"(word) : "memory");
    return value;
}
EPGEN_DEVICE uint64_t ld_relaxed_sys(const uint64_t* word) {
    uint64_t value;
    asm volatile("ld.relaxed.sys.global.u64 %0, [%1];" : "=l"(value) : "l"(word) : "memory");
    return value;
}
EPGEN_DEVICE uint32_t ld_acquire_sys(const uint32_t* word) {
    uint32_t value;
    asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(value) : "l"(word) : "memory");
    return value;
}
EPGEN_DEVICE uint64_t ld_acquire_sys(const uint64_t* word) {
    uint64_t value;
    asm volatile("ld.acquire.sys.global.u64 %0, [%1];" : "=l"(value) : "l"(word) : "memory");
    return value;
}

/// Sets every rank's abort word; relaxed, since it only ever says "leave".
__device__ __noinline__ inline void abort_group(const Call& call) {
    for (uint32_t rank_idx = 0; rank_idx < call.num_ranks; ++rank_idx) {
        asm volatile("red.relaxed.sys.global.or.b32 [%0], %1;" ::"l"(call.window[rank_idx]), "r"(kAborted) : "memory");
    }
}

/// Whether this thread is the first of its rank to give up. The latch lies in device memory: mapped host memory need
/// not have atomics.
__device__ __noinline__ inline bool is_first_to_give_up(const Call& call) {
    uint32_t before;
    asm volatile("atom.relaxed.sys.global.or.b32 %0, [%1], %2;"
                 : "=r"(before)
                 : "l"(call.window[call.rank_idx]), "r"(kAborted | kRecorded)
                 : "memory");
    return (before & kRecorded) == 0;
}

/// Leaves this rank's FaultRecord, if it is the first to give up, and aborts the group.
__device__ __noinline__ inline void give_up(const Call& call, Site site, uint32_t reason, uint64_t expected,
                                            uint64_t seen) {
    if (is_first_to_give_up(call)) {
        FaultRecord* fault = call.fault;
        fault->op = call.op;
        fault->phase = site.phase;
        fault->rank_idx = call.rank_idx;
        fault->epoch = call.epoch;
        fault->peer_idx = site.peer_idx;
        fault->channel_idx = site.channel_idx;
        fault->reason = reason;
        fault->expected = expected;
        fault->seen = seen;
        asm volatile("st.release.sys.global.u32 [%0], %1;" ::"l"(&fault->state), "r"(2u) : "memory");
    }
    abort_group(call);
}

/// Whether a rank has given up, in this call or an earlier one; this rank then leaves its record too. A wait that
/// finds its word ready never looks at the abort word, so kernels ask once before they touch anything and once
/// before they report success.
EPGEN_DEVICE bool group_gave_up(const Call& call, Place = Place::here()) {
    if (ld_relaxed_sys(reinterpret_cast<const uint32_t*>(call.window[call.rank_idx])) == 0) return false;
    give_up(call, Site{Phase::group_alive, -1, -1}, 2, 0, 1);
    return true;
}

/// Clock and abort flag of one wait: looked at once in `kPollsPerCheck` polls.
struct Patience {
    static constexpr uint32_t kPollsPerCheck = 64;
    static constexpr uint32_t kPollsPerHostCheck = 1024;  // host memory is far
    uint64_t start_ns;
    uint32_t num_polls;

    /// 0 to go on, else the reason to give up.
    EPGEN_DEVICE uint32_t exhausted(const Call& call, uint64_t deadline_ns) {
        if (++num_polls % kPollsPerCheck != 0) return 0;
        if (ld_relaxed_sys(reinterpret_cast<const uint32_t*>(call.window[call.rank_idx])) != 0) return 2;
        if (num_polls % kPollsPerHostCheck == 0 && ld_relaxed_sys(&call.fault->host_abort) != 0) return 2;
        const uint64_t now = now_ns();
        if (start_ns == 0) start_ns = now;
        return now - start_ns > deadline_ns ? 1 : 0;
    }
};

/// Polls a word of this rank's memory that a peer stores to. Relaxed: only for words that validate themselves.
template <class Predicate>
EPGEN_DEVICE Waited<typename Predicate::Word> wait_relaxed_sys(const Call& call, Site site,
                                                               local<typename Predicate::Word> word,
                                                               Predicate predicate, Place = Place::here()) {
    Patience patience{};
    for (;;) {
        const auto value = ld_relaxed_sys(word.raw);
        if (predicate.holds(value)) return {true, value};
        if (const uint32_t reason = patience.exhausted(call, call.deadline_ns)) {
            give_up(call, site, reason, predicate.expected(), predicate.seen(value));
            return {false, value};
        }
    }
}

/// The same with acquire: what the writer released with the value is visible after it.
template <class Predicate>
EPGEN_DEVICE Waited<typename Predicate::Word> wait_acquire_sys(const Call& call, Site site,
                                                               local<typename Predicate::Word> word,
                                                               Predicate predicate, Place = Place::here()) {
    Patience patience{};
    for (;;) {
        const auto value = ld_acquire_sys(word.raw);
        if (predicate.holds(value)) return {true, value};
        if (const uint32_t reason = patience.exhausted(call, call.deadline_ns)) {
            give_up(call, site, reason, predicate.expected(), predicate.seen(value));
            return {false, value};
        }
    }
}

EPGEN_DEVICE bool mbarrier_try_wait(shared<Mbarrier> barrier, uint32_t parity) {
    uint32_t done;
    asm volatile(
        "{\n"
        ".reg .pred complete;\n"
        "mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 complete, [%1], %2;\n"
        "selp.u32 %0, 1, 0, complete;\n"
        "}"
        : "=r"(done)
        : "r"(shared_address(barrier)), "r"(parity)
        : "memory");
    return done != 0;
}

/// `mbarrier.try_wait.parity` (acquire at block scope) until the phase of this parity has ended.
EPGEN_DEVICE bool wait_mbarrier(const Call& call, Site site, shared<Mbarrier> barrier, uint32_t parity,
                                Place = Place::here()) {
    Patience patience{};
    while (!mbarrier_try_wait(barrier, parity)) {
        if (const uint32_t reason = patience.exhausted(call, kBlockPatience * call.deadline_ns)) {
            give_up(call, site, reason, parity, parity ^ 1);
            return false;
        }
    }
    return true;
}

/// Waits for copies that were already issued, whatever the group does: a block may not end while the copy engine
/// writes its shared memory. Ends because issued copies always do.
EPGEN_DEVICE void drain_mbarrier(shared<Mbarrier> barrier, uint32_t parity, Place = Place::here()) {
    while (!mbarrier_try_wait(barrier, parity)) {
    }
}

}  // namespace epgen
