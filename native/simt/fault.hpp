// What the emulator reports when a kernel does something that no GPU would forgive.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace epgen::simt {

enum class FaultKind {
    access,    // outside the extent of a pointer, misaligned, or bytes lost in flight
    mismatch,  // threads of one block or warp don't meet at the same rendezvous
    barrier,   // misuse of an mbarrier
    stack,     // a thread outgrew its stack
    limit,     // more than the checker can tell apart
    deadlock,  // all threads wait and nothing is left that could wake one
};

const char* fault_kind_name(FaultKind kind);

/// Lanes of one warp that wait at the same place for the same thing.
struct Waiting {
    uint32_t rank_idx;
    uint32_t block_idx;
    uint32_t warp_idx;
    uint32_t lane_mask;
    std::string what;   // "arrivals", "sync_block", "bulk_wait_group", ...
    uint32_t op;        // numeric Op, or 0 where the wait names no call
    uint32_t phase;     // numeric Phase, or 0
    uint32_t epoch;
    int32_t peer_idx;     // -1: none
    int32_t channel_idx;  // -1: none
    uint64_t expected;
    uint64_t seen;
    std::string file;
    int line;

    /// One line for people.
    std::string text() const;
};

/// One fault. `message` says all of it in one sentence; a deadlock adds a line per group of waiting lanes.
struct FaultReport {
    FaultKind kind;
    std::string message;
    std::string file;  // empty for a deadlock
    int line;
    uint32_t rank_idx;
    uint32_t block_idx;
    uint32_t thread_idx;
    std::vector<Waiting> waiting;  // of a deadlock: every thread, grouped
};

}  // namespace epgen::simt
