// What the checker keeps of a running thread, its block and its launch.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "simt/check/history.hpp"
#include "simt/check/knowledge.hpp"
#include "simt/check/shadow.hpp"
#include "simt/check/stamp.hpp"

namespace epgen::simt::check {

struct BlockView;

/// The newest kind of access of an agent, and the histories that it made: its next cells probably get the same.
struct Trail {
    Stamp stamp{};
    Histories::Id fresh = 0;  // nothing but `stamp`
    Histories::Id from = 0;   // what `stamp` has last turned into
    Histories::Id to = 0;     // this
};

struct View {
    /// What others told it, and all of its warp the same way where it can be: then it is compared by address.
    Known known;
    BlockView* block;
    Component component;
    uint32_t number;        // of its accesses, until it releases the next time
    uint32_t newest_group;  // number of its newest bulk store
    uint32_t own_groups[2];  // up to which its bulk stores have read their sources, and are complete
    uint32_t own_fenced[kNumFenced];  // up to which a fence of its own covers its own accesses
    bool has_own_groups;  // that may be more than what is in `known`
    bool has_own_fenced;
    Trail trails[2];  // of loads, of stores

    // For remedies
    Place wait_place;  // of its newest wait for groups
    Place wait_read_place;
    Place shared_fence_place;

    uint32_t& own_group(Plane plane) { return own_groups[plane == Plane::bulk_source ? 0 : 1]; }
    uint32_t own_group(Plane plane) const { return own_groups[plane == Plane::bulk_source ? 0 : 1]; }
};

struct MbarrierView {
    const void* address;
    const char* object;
    uint32_t slot;   // its index among the mbarriers of the block
    uint32_t phase;  // that is in progress
    Known arrived;   // what its arrivals released
    Known ended;     // the same of the phase before
};

/// What the lanes of a warp learn one after the other is worked out once.
struct WarpMemo {
    Known before;
    Known other;
    Known joined;  // of both

    Known before_fence;
    Known after_fence;
    bool is_fence_of_shared;

    void join(Known& known, const Known& released, Pool& pool);
};

struct WarpView {
    Place vote_place;  // of its newest vote or shuffle
    WarpMemo memo;
};

struct LaunchView {
    static constexpr uint32_t kMbarrierWarps = 4;
    static constexpr uint32_t kMaxMbarriers = kMbarrierWarps * kLanes;

    uint32_t queue_idx;
    uint32_t first_number;  // all components of the queue count from here
    uint32_t newest_number;
    Shape shape;
    Known start;  // what came before. For the async proxy of this launch too, as if a fence had carried it over
    Known end;    // what its ended blocks knew
    std::vector<BlockView*> blocks;  // by index; null unless resident

    Shape shape_of(Plane plane) const {
        return {shape.num_queues, shape.num_blocks, plane == Plane::mbarrier ? kMbarrierWarps : shape.num_warps};
    }
};

struct BlockView {
    LaunchView* launch;
    uint32_t block_idx;
    Shadow shared;
    std::vector<View> threads;
    std::vector<MbarrierView> mbarriers;
    std::vector<WarpView> warps;

    WarpMemo& memo_of(const View& view) { return warps[view.component.position().thread_idx / kLanes].memo; }
    Position position(uint32_t thread_idx) const { return {launch->queue_idx, block_idx, thread_idx}; }
    /// The newest of all numbers in the block.
    uint32_t newest_number() const {
        uint32_t newest = 0;
        for (const View& thread : threads) {
            newest = std::max({newest, thread.number, thread.newest_group, thread.own_group(Plane::bulk_source),
                               thread.own_group(Plane::bulk_write)});
        }
        for (const MbarrierView& mbarrier : mbarriers) newest = std::max(newest, launch->first_number + mbarrier.phase);
        return newest;
    }
};

}  // namespace epgen::simt::check
