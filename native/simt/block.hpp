// Resident blocks and the launches that they belong to.
#pragma once

#include <cstdint>
#include <vector>

#include "device/kernel.cuh"
#include "simt/core.hpp"
#include "simt/task.hpp"

namespace epgen::simt {

constexpr uint32_t kWarpLanes = 32;
constexpr uint32_t kMaxThreads = 1024;

struct Launch {
    Kernel kernel;
    uint32_t rank_idx;
    std::vector<uint32_t> unstarted;  // block indices, next one last
    uint32_t num_resident = 0;
    uint32_t num_copies = 0;  // of its threads, not complete
    bool trickles = false;

    bool is_over() const { return unstarted.empty() && num_resident == 0 && num_copies == 0; }
};

struct Warp {
    uint32_t num_arrived;
    uint32_t num_at_block;
    uint32_t num_ended;
    Meeting meeting;  // where num_arrived > 0
};

struct Block {
    Launch* launch;
    uint32_t block_idx;
    std::vector<Fiber*> fibers;
    std::byte* shared;
    uint32_t num_at_block;
    uint32_t num_ended;
    uint32_t num_unfenced_mbarriers;
    uint32_t num_shared_copies;  // bulk copies that still read or write its shared memory
    Warp warps[kMaxThreads / kWarpLanes];

    uint32_t num_threads() const { return static_cast<uint32_t>(fibers.size()); }
    Warp& warp_of(const Fiber& fiber) { return warps[fiber.thread_idx / kWarpLanes]; }
    Fiber** lanes_of(const Fiber& fiber) { return &fibers[fiber.thread_idx / kWarpLanes * kWarpLanes]; }
};

}  // namespace epgen::simt
