// Where a write comes from, and which threads of its block have been told of it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "simt/fiber.hpp"

namespace epgen::simt {

struct Block;
struct Launch;

/// The write of one thread.
struct WriteOrigin {
    uint64_t number;  // of all writes of the machine, in the order in which they were issued
    Launch* launch;
    Block* block;  // null once it has ended
    uint32_t rank_idx;
    uint32_t thread_idx;
    bool is_published;  // a release of its block covered it; kept when the block ends
};

/// What the threads of a block know of each other's writes, in numbers: a write is known when it was issued before the
/// one that bears the number. Errs on the side of knowing too much: an arrival at an mbarrier tells the whole block at
/// once, a release all other blocks.
class BlockKnowledge {
public:
    BlockKnowledge() = default;
    explicit BlockKnowledge(uint32_t num_threads) : threads_(num_threads), warps_(num_threads / kWarpLanes) {}

    /// Whether thread `thread_idx` of this block was told of a write of this block.
    bool knows(uint32_t thread_idx, const WriteOrigin& write) const {
        if (write.thread_idx == thread_idx) return true;
        const WarpMarks& warp = warps_[write.thread_idx / kWarpLanes];
        if (write.thread_idx / kWarpLanes == thread_idx / kWarpLanes && write.number < warp.num_met) return true;
        return write.number < std::max({threads_[write.thread_idx].block, warp.told.block, all_.block});
    }
    /// Whether any release of this block covered it.
    bool is_published(const WriteOrigin& write) const {
        return write.number < std::max({threads_[write.thread_idx].device,
                                        warps_[write.thread_idx / kWarpLanes].told.device, all_.device});
    }

    // `now` is the number of the next write.
    void meet_warp(uint32_t warp_idx, uint64_t now) { warps_[warp_idx].num_met = now; }
    void meet_block(uint64_t now) { all_.block = now; }
    /// The thread tells its block what it knows.
    void tell_block(uint32_t thread_idx, uint64_t now) {
        WarpMarks& warp = warps_[thread_idx / kWarpLanes];
        threads_[thread_idx].block = now;
        warp.told.block = std::max(warp.told.block, warp.num_met);
    }
    /// The thread tells the device what it knows.
    void tell_device(uint32_t thread_idx, uint64_t now) {
        tell_block(thread_idx, now);
        for (Told& thread : threads_) thread.device = thread.block;
        for (WarpMarks& warp : warps_) warp.told.device = warp.told.block;
        all_.device = all_.block;
    }

private:
    /// Writes below these numbers are known to the block, and to all blocks.
    struct Told {
        uint64_t block = 0;
        uint64_t device = 0;
    };
    struct WarpMarks {
        Told told;
        uint64_t num_met = 0;  // known to the warp
    };
    std::vector<Told> threads_;
    std::vector<WarpMarks> warps_;
    Told all_;
};

}  // namespace epgen::simt
