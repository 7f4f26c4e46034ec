// Every random decision of a machine: who runs next and for how long, who goes first or is held back, how fast ranks
// are, how copies are cut and when they move.
#pragma once

#include <cstdint>
#include <vector>

#include "simt/block.hpp"
#include "simt/policy.hpp"
#include "simt/random.hpp"

namespace epgen::simt {

constexpr uint32_t kMostRanks = 64;
constexpr uint32_t kMostStreams = 64;  // of a rank

class Schedule {
public:
    Schedule(uint64_t seed, uint32_t weak_yield_one_in, const Policy& policy, uint32_t num_ranks);

    // Who runs

    /// One of `count`.
    uint32_t pick(uint32_t count) { return random_.below(count); }
    /// Whether a warp of the rank takes the turn that it was drawn for: slow ranks let most of theirs pass.
    bool takes_turn(uint32_t rank_idx) { return !has_speeds_ || random_.below(kFullSpeed) < speed_[rank_idx]; }
    /// Whether the next turn goes to the same block again, where it may.
    bool stays_in_block() { return random_.below(8) != 0; }
    /// Most steps that a warp takes in one go, where `num_lanes` of it can run: one, about one a lane, or until all
    /// wait.
    uint32_t turn_steps(uint32_t num_lanes) {
        const uint32_t draw = random_.below(8);
        if (draw < 2) return 1;
        return draw < 4 ? 1 + random_.below(2 * num_lanes) : 8 * num_lanes;
    }
    /// One of the lanes of `mask`, which has some.
    uint32_t pick_lane(uint32_t mask);
    /// Now and then gives a rank another speed, and what is in flight another pace.
    void drift();

    // Who goes first or last

    bool has_priorities() const { return policy_.kind == Policy::Kind::priority; }
    /// A warp's place among all others when its block starts; `block_priority` is the same for the block's warps.
    uint32_t base_priority(uint32_t rank_idx, uint32_t block_priority, uint32_t warp_idx);
    uint32_t block_priority() { return has_priorities() ? random_.below(1u << kLevelBits) : 0; }
    /// Warps of a higher key go first.
    uint64_t key(const Warp& warp) const;
    bool holds_back_rank(uint32_t rank_idx) const {
        return policy_.kind == Policy::Kind::frozen_rank && rank_idx == victim_rank_idx_;
    }
    bool holds_back(const Warp& warp) const;
    /// The step at which `change` is due.
    uint64_t next_change() const { return next_change_; }
    /// Puts the warp that would run next behind all others, or its block or rank; or draws who is held back from now
    /// on.
    void change(uint64_t step, Warp& next);
    void kernel_starts(uint64_t step);

    // When

    /// Virtual time between a kernel's turn and its start.
    uint64_t start_delay_ns() { return policy_.rank_skew && random_.below(2) == 0 ? random_.below(20'000) : 0; }
    /// Whether a kernel's blocks start one by one instead of at once.
    bool trickles() { return policy_.rank_skew && random_.below(4) == 0; }
    /// The blocks of a launch, the first to start last.
    std::vector<uint32_t> block_order(uint32_t grid);
    uint32_t weak_accesses_to_yield() { return 1 + random_.below(2 * weak_yield_one_in_); }

    // What is in flight

    /// Steps until something that is in flight may move.
    uint32_t steps_to_flight() { return 1 + random_.below(8); }
    /// What moves then. Policies let copies, or stores, fall behind everything else.
    struct Flight {
        bool copies;
        bool stores;
    };
    /// At least one of those that there are, where nothing else can happen.
    Flight flight(bool has_copies, bool has_stores, bool is_idle);
    uint32_t num_pieces(uint32_t max_pieces) { return 1 + random_.below(max_pieces); }
    /// How often a copy is passed over before it moves; a few are slow.
    uint32_t copy_patience() {
        const uint32_t draw = random_.below(16);
        return draw < 10 ? 0 : draw < 15 ? random_.below(4) : random_.below(32);
    }
    uint32_t below(uint32_t bound) { return random_.below(bound); }

private:
    static constexpr uint32_t kFullSpeed = 256;
    static constexpr uint32_t kLevelBits = 10;
    static constexpr uint32_t kNobody = UINT32_MAX;
    static constexpr uint32_t kLongestRun = 1 << 20;  // steps without a change of priorities: a warp may be polling

    /// Steps of any magnitude from 2^least to 2^most.
    uint64_t magnitude(uint32_t least, uint32_t most) {
        const uint32_t below_twice = 1u << (least + random_.below(most - least));
        return below_twice + random_.below(below_twice);
    }
    uint32_t draw_pace();

    Random random_;
    uint32_t weak_yield_one_in_;
    Policy policy_;
    uint32_t num_ranks_;
    bool has_speeds_;
    uint32_t speed_[kMostRanks];

    enum class First { rank, role, any };
    First first_ = First::any;  // what a base priority compares first
    uint32_t rank_priority_[kMostRanks] = {};
    uint32_t role_priority_[kMaxThreads / kWarpLanes] = {};
    uint32_t rank_penalty_[kMostRanks] = {};
    uint32_t num_penalties_ = 0;
    uint32_t num_changes_left_ = 0;
    uint64_t next_change_ = 0;

    uint32_t victim_rank_idx_ = kNobody;
    uint32_t victim_block_ = 0;  // modulo the grid

    // Of the moments at which something may move, one in so many moves these.
    uint32_t copy_pace_ = 1;
    uint32_t store_pace_ = 1;
};

}  // namespace epgen::simt
