// Every wait of a kernel. A wait ends when its word satisfies the predicate, when the deadline passes or when
// another thread of the group has given up; in the last two cases it returns false, leaves a FaultRecord (the first
// one of its rank) and tells all ranks, and the caller leaves the kernel by flag. Nothing ever traps.
#pragma once

#include <cstddef>

#include "device/barrier.cuh"
#include "device/bits.cuh"
#include "device/mbarrier.cuh"
#include "device/memory.cuh"
#include "device/record.cuh"

namespace epgen {

/// Bits of a rank's abort word: some rank has given up, and this rank has left its record.
constexpr uint32_t kAborted = 1;
constexpr uint32_t kRecorded = 2;

/// What all waits of one kernel need. `window[r]` begins with rank r's abort word.
struct Call {
    Op op;
    uint32_t rank_idx;
    uint32_t num_ranks;
    uint32_t epoch;
    uint64_t deadline_ns;  // longest time that one wait may take
    FaultRecord* fault;    // mapped host memory
    std::byte* const* window;
};

/// A wait inside the block gets this many deadlines: when a peer is late, the thread that waits for the peer gives up
/// first, and the record names the cause rather than a stage that stayed empty because of it.
constexpr uint64_t kBlockPatience = 2;

/// Which wait this is, for the record: -1 where no single peer or channel is meant.
struct Site {
    Phase phase;
    int32_t peer_idx;
    int32_t channel_idx;
};

/// Outcome of a wait on a word; `value` is meaningful when `ok`.
template <class T>
struct Waited {
    bool ok;
    T value;
};

/// The word carries this epoch in its upper half.
struct HasEpoch {
    using Word = uint64_t;
    uint32_t epoch;
    EPGEN_DEVICE bool holds(uint64_t word) const { return word_epoch(word) == epoch; }
    EPGEN_DEVICE uint64_t expected() const { return epoch; }
    EPGEN_DEVICE uint64_t seen(uint64_t word) const { return word_epoch(word); }
};

/// The counter has reached `count`, in the wrapping sense of `reached`.
struct AtLeast {
    using Word = uint32_t;
    uint32_t count;
    EPGEN_DEVICE bool holds(uint32_t word) const { return reached(word, count); }
    EPGEN_DEVICE uint64_t expected() const { return count; }
    EPGEN_DEVICE uint64_t seen(uint32_t word) const { return word; }
};

}  // namespace epgen

#if defined(EPGEN_CPU)
#include "device/cpu/wait.cuh"
#else
#include "device/cuda/wait.cuh"
#endif

namespace epgen {

/// wait_mbarrier by all 32 lanes; the answer is the same in all of them.
EPGEN_DEVICE bool wait_mbarrier_warp(const Call& call, Site site, shared<Mbarrier> barrier, uint32_t parity,
                                     Place place = Place::here()) {
    return all(wait_mbarrier(call, site, barrier, parity, place), place);
}

}  // namespace epgen
