// One CUDA thread of a resident block: its identity, its stack and what it waits for.
#pragma once

#include <cstddef>
#include <cstdint>

#include "device/place.cuh"

namespace epgen::simt {

constexpr uint32_t kWarpLanes = 32;

struct Block;
struct Warp;
struct BulkGroups;
namespace check {
struct View;
}

/// What a parked thread waits for, as reports tell it.
struct WaitNote {
    const char* what;  // of static storage
    uint32_t op;
    uint32_t phase;
    uint32_t epoch;
    int32_t peer_idx;
    int32_t channel_idx;
    uint64_t expected;
    uint64_t seen;
    Place place;
    bool is_mbarrier;
};

constexpr WaitNote plain_note(const char* what, Place place) { return {what, 0, 0, 0, -1, -1, 0, 0, place, false}; }

enum class FiberState : uint8_t {
    runnable,
    on_address,  // a word or an mbarrier
    on_copies,   // bulk groups of its own
    at_warp,     // rendezvous of the warp
    at_block,    // rendezvous of the block
    ended,
};

constexpr uint64_t kNoDeadline = UINT64_MAX;

/// A thread in the hash of a schedule.
constexpr uint32_t trace_id_of(uint32_t rank_idx, uint32_t block_idx, uint32_t thread_idx) {
    return rank_idx << 26 ^ block_idx << 10 ^ thread_idx;
}

struct alignas(64) Fiber {
    void* context;  // where to go on, while another fiber runs
    std::byte* stack_low;
    Block* block;
    Warp* warp;
    uint32_t trace_id;
    uint32_t rank_idx;
    uint32_t thread_idx;
    uint32_t num_threads;
    uint32_t block_idx;
    uint32_t num_blocks;
    FiberState state;

    uint32_t value;   // brought to a rendezvous of the warp
    uint32_t source;  // lane whose value is wanted
    uint32_t result;

    uintptr_t address;  // awaited, where state is on_address
    Fiber* next_waiter;      // for the same word
    Fiber* previous_waiter;
    Fiber* next_word;  // of a word's first waiter: the first for the next word of the bucket
    uint64_t deadline_ns;
    const WaitNote* note;  // of the wait that it is parked in, on its own stack

    BulkGroups* groups;  // null until the first bulk store
    check::View* view;   // null without a checker
    uint32_t num_unfenced_mbarriers;
};

}  // namespace epgen::simt
