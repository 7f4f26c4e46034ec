// Resident blocks and the launches that they belong to.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "device/kernel.cuh"
#include "simt/core.hpp"
#include "simt/model/block_model.hpp"
#include "simt/task.hpp"

namespace epgen::simt {

constexpr uint32_t kMaxThreads = 1024;

struct Launch {
    Kernel kernel;
    uint32_t rank_idx;
    uint32_t stream_idx;
    std::vector<uint32_t> unstarted;  // block indices, next one last
    uint32_t num_resident = 0;
    uint32_t num_in_flight = 0;  // copies and stores of its threads, not complete
    bool trickles = false;

    StreamId stream() const { return {rank_idx, stream_idx}; }
    bool is_over() const { return unstarted.empty() && num_resident == 0 && num_in_flight == 0; }
};

struct alignas(64) Warp {
    uint32_t num_arrived;
    uint32_t num_at_block;
    uint32_t num_ended;
    Meeting meeting;  // where num_arrived > 0
    bool is_queued;   // to run, or its turn is on
    uint32_t runnable;  // lanes that can run and don't
    uint32_t place;     // among the warps that are ready, counted from 1; else 0
    Fiber* const* lanes;
    uint32_t base_priority;
    uint32_t penalty;  // above 0: behind all of a lower one
};

/// How many phases of an mbarrier have ended; its state holds the parity only.
struct PhaseCount {
    const void* mbarrier;
    uint32_t num_ended;
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
    std::vector<PhaseCount> phases;
    std::unique_ptr<BlockModel> model;  // of a machine with weak memory
    Warp warps[kMaxThreads / kWarpLanes];

    uint32_t num_threads() const { return static_cast<uint32_t>(fibers.size()); }
    Warp& warp_of(const Fiber& fiber) { return warps[fiber.thread_idx / kWarpLanes]; }
    uint32_t& num_phases_of(const void* mbarrier) {
        for (PhaseCount& count : phases) {
            if (count.mbarrier == mbarrier) return count.num_ended;
        }
        return phases.emplace_back(PhaseCount{mbarrier, 0}).num_ended;
    }
    Fiber** lanes_of(const Fiber& fiber) { return &fibers[fiber.thread_idx / kWarpLanes * kWarpLanes]; }
};

}  // namespace epgen::simt
