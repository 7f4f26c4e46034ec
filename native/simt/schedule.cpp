#include "simt/schedule.hpp"

#include <algorithm>
#include <utility>

namespace epgen::simt {

Schedule::Schedule(uint64_t seed, uint32_t weak_yield_one_in, const Policy& policy, uint32_t num_ranks)
    : random_(seed),
      weak_yield_one_in_(weak_yield_one_in),
      policy_(policy),
      num_ranks_(num_ranks),
      has_speeds_(policy.rank_skew && policy.kind != Policy::Kind::priority) {
    std::fill(std::begin(speed_), std::end(speed_), kFullSpeed);
    next_change_ = policy_.kind == Policy::Kind::uniform ? UINT64_MAX : has_priorities() ? kLongestRun : 0;
    if (has_priorities()) {
        first_ = static_cast<First>(random_.below(3));
        for (uint32_t& priority : rank_priority_) priority = random_.below(1u << kLevelBits);
        for (uint32_t& priority : role_priority_) priority = random_.below(1u << kLevelBits);
    }
    if (policy_.kind == Policy::Kind::uniform) return;
    copy_pace_ = draw_pace();
    store_pace_ = draw_pace();
}

uint32_t Schedule::pick_lane(uint32_t mask) {
    const auto bits = static_cast<uint32_t>(random_.next() >> 32);
    if (mask >> (bits & 31) & 1) return bits & 31;
    // The lane whose index differs from the drawn one in the lowest bits.
    uint32_t lane = 0;
    for (uint32_t half = 16; half > 0; half /= 2) {
        const uint32_t low = mask & ((1u << half) - 1);
        const uint32_t high = mask >> half;
        const bool is_high = high != 0 && ((bits & half) != 0 || low == 0);
        mask = is_high ? high : low;
        lane += is_high ? half : 0;
    }
    return lane;
}

void Schedule::drift() {
    if (policy_.kind != Policy::Kind::uniform && random_.below(8) == 0) {
        (random_.below(2) == 0 ? copy_pace_ : store_pace_) = draw_pace();
    }
    if (!has_speeds_ || random_.below(8) != 0) return;
    static constexpr uint32_t kSpeeds[] = {kFullSpeed, kFullSpeed, kFullSpeed / 2, kFullSpeed / 8, kFullSpeed / 64};
    speed_[random_.below(num_ranks_)] = kSpeeds[random_.below(5)];
}

/// The usual one half of the time, else one of any magnitude up to where things move only while no thread can run.
uint32_t Schedule::draw_pace() { return random_.below(2) == 0 ? 1 : 1u << random_.below(16); }

Schedule::Flight Schedule::flight(bool has_copies, bool has_stores, bool is_idle) {
    const auto comes = [this](uint32_t pace) { return pace == 1 || random_.below(pace) == 0; };
    const Flight flight{has_copies && comes(copy_pace_), has_stores && comes(store_pace_)};
    if (flight.copies || flight.stores || !is_idle) return flight;
    const bool prefers_copies = has_copies && (!has_stores || copy_pace_ <= store_pace_);
    return {prefers_copies, !prefers_copies};
}

uint32_t Schedule::base_priority(uint32_t rank_idx, uint32_t block_priority, uint32_t warp_idx) {
    if (!has_priorities()) return 0;
    const uint32_t rank = rank_priority_[rank_idx];
    const uint32_t role = role_priority_[warp_idx];
    switch (first_) {
        case First::rank: return (rank << kLevelBits | block_priority) << kLevelBits | random_.below(1u << kLevelBits);
        case First::role: return (role << kLevelBits | rank) << kLevelBits | block_priority;
        case First::any: break;
    }
    return random_.below(1u << 3 * kLevelBits);
}

uint64_t Schedule::key(const Warp& warp) const {
    const uint32_t penalty = std::max(warp.penalty, rank_penalty_[warp.lanes[0]->rank_idx]);
    return uint64_t{~penalty} << 32 | warp.base_priority;
}

bool Schedule::holds_back(const Warp& warp) const {
    const Fiber& fiber = *warp.lanes[0];
    if (fiber.rank_idx != victim_rank_idx_) return false;
    return policy_.kind == Policy::Kind::frozen_rank || fiber.block_idx == victim_block_ % fiber.num_blocks;
}

void Schedule::change(uint64_t step, Warp& next) {
    if (has_priorities()) {
        const uint32_t level = random_.below(3);
        ++num_penalties_;
        if (level == 0) {
            rank_penalty_[next.lanes[0]->rank_idx] = num_penalties_;
        } else if (level == 1) {
            for (Warp& warp : next.lanes[0]->block->warps) warp.penalty = num_penalties_;
        } else {
            next.penalty = num_penalties_;
        }
        if (num_changes_left_ > 0) --num_changes_left_;
        next_change_ = step + (num_changes_left_ > 0 ? magnitude(3, 18) : kLongestRun);
    } else {
        victim_rank_idx_ = random_.below(num_ranks_);
        victim_block_ = random_.below(UINT32_MAX);
        next_change_ = step + magnitude(8, 20);
    }
}

void Schedule::kernel_starts(uint64_t step) {
    if (!has_priorities() || policy_.num_changes == 0) return;
    num_changes_left_ = policy_.num_changes;
    next_change_ = std::min(next_change_, step + magnitude(3, 18));
}

std::vector<uint32_t> Schedule::block_order(uint32_t grid) {
    std::vector<uint32_t> order(grid);
    for (uint32_t idx = 0; idx < grid; ++idx) {
        order[idx] = policy_.block_order == BlockOrder::descending ? idx : grid - 1 - idx;
    }
    if (policy_.block_order == BlockOrder::shuffled) {
        for (uint32_t idx = grid; idx > 1; --idx) std::swap(order[idx - 1], order[random_.below(idx)]);
    }
    return order;
}

}  // namespace epgen::simt
