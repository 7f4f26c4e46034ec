// The warps that have threads to run, and the next of these threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "simt/schedule.hpp"

namespace epgen::simt {

/// A warp takes turns of some steps, each by a random lane of those that can run: what its threads touch is in the
/// caches then. Turns of one step are frequent enough that other warps come between any two steps of a thread.
class RunQueue {
public:
    explicit RunQueue(Schedule& schedule) : schedule_(schedule) {}

    /// Whether no thread can run but those that are held back.
    bool empty() const {
        return ready_.empty() && num_drawn_ == 0 && (running_->runnable == 0 || (turn_ == 0 && is_held_));
    }
    bool has_held() const { return !held_.empty() || running_->runnable != 0; }

    void add(Fiber& fiber) {
        Warp& warp = *fiber.warp;
        warp.runnable |= 1u << fiber.thread_idx % kWarpLanes;
        if (!warp.is_queued) queue(warp);
    }

    void clear() {
        ready_.clear();
        held_.clear();
        running_ = &nobody_;
        last_block_ = nullptr;
        num_drawn_ = 0;
        num_fetched_ = 0;
        unfetched_ = 0;
        turn_ = 0;
    }

    /// There is one, held back or not.
    Fiber& next(uint64_t step) {
        if (turn_ == 0 || running_->runnable == 0) change_turn(step);
        --turn_;
        if (num_fetched_ < num_drawn_) prefetch_lane();
        const uint32_t lane_idx = schedule_.pick_lane(running_->runnable & lanes_);
        running_->runnable &= ~(1u << lane_idx);
        return *running_->lanes[lane_idx];
    }

    /// Ends the turn of the warp that runs. Afterwards its block may go.
    void end_turn() {
        Warp& warp = *running_;
        running_ = &nobody_;
        turn_ = 0;
        warp.is_queued = false;
        running_key_ = 0;
        if (warp.runnable != 0) queue(warp);
    }

private:
    struct Ready {
        uint64_t key;  // with priorities: what `ready_` is a heap by; else the rank
        Warp* warp;
        bool operator<(const Ready& other) const { return key < other.key; }
    };

    struct Turn {
        Warp* warp;
        uint32_t lanes;  // that may take the steps
        uint64_t num_steps;
    };

    // With fewer warps their memory stays in the caches.
    static constexpr uint32_t kMany = 64;
    static constexpr uint32_t kNumAhead = 4;
    static constexpr uint32_t kStackLines = 12;

    void queue(Warp& warp) {
        warp.is_queued = true;
        if (schedule_.holds_back(warp)) {
            held_.push_back(&warp);
        } else if (schedule_.has_priorities()) {
            ready_.push_back({schedule_.key(warp), &warp});
            std::push_heap(ready_.begin(), ready_.end());
            if (ready_.front().key > running_key_) turn_ = 0;
        } else {
            ready_.push_back({warp.lanes[0]->rank_idx, &warp});
            warp.place = static_cast<uint32_t>(ready_.size());
            if (is_held_) turn_ = 0;
        }
    }

    void change_turn(uint64_t step) {
        end_turn();
        if (step >= schedule_.next_change()) {
            schedule_.change(step, ready_.empty() ? nobody_ : *ready_.front().warp);
            queue_again();
        }
        is_held_ = ready_.empty() && num_drawn_ == 0;
        if (is_held_) {
            std::swap(held_[schedule_.pick(static_cast<uint32_t>(held_.size()))], held_.back());
            start_turn(turn_of(held_.back()));
            held_.pop_back();
        } else if (schedule_.has_priorities()) {
            std::pop_heap(ready_.begin(), ready_.end());
            running_key_ = ready_.back().key;
            start_turn({ready_.back().warp, ~0u, schedule_.next_change() - step});
            ready_.pop_back();
        } else {
            while (ready_.size() >= kMany && num_drawn_ < kNumAhead) {
                drawn_[(first_ + num_drawn_++) % kNumAhead] = turn_of(draw());
            }
            start_turn(num_drawn_ > 0 ? take_drawn() : turn_of(draw()));
        }
    }

    void start_turn(Turn turn) {
        running_ = turn.warp;
        lanes_ = turn.lanes;
        turn_ = turn.num_steps;
    }

    /// Where the turn has a single step its lane is drawn already: no other one's memory is needed.
    Turn turn_of(Warp* warp) {
        const uint32_t num_steps = schedule_.turn_steps(__builtin_popcount(warp->runnable));
        return {warp, num_steps == 1 ? 1u << schedule_.pick_lane(warp->runnable) : ~0u, num_steps};
    }

    Turn take_drawn() {
        const Turn turn = drawn_[first_];
        first_ = (first_ + 1) % kNumAhead;
        --num_drawn_;
        if (num_fetched_ > 0) {
            --num_fetched_;
        } else {
            unfetched_ = 0;
        }
        return turn;
    }

    /// A warp that may run, sooner or later one of any rank. Where many are ready it is often one of the block that had
    /// the turn before, whose memory is in the caches.
    Warp* draw() {
        if (ready_.size() >= kMany && schedule_.stays_in_block()) {
            if (Warp* neighbour = neighbour_of_last()) return neighbour;
        }
        for (uint32_t attempt = 0;; ++attempt) {
            const uint32_t idx = schedule_.pick(static_cast<uint32_t>(ready_.size()));
            if (attempt == 4 || schedule_.takes_turn(static_cast<uint32_t>(ready_[idx].key))) {
                return take_ready(idx);
            }
        }
    }

    Warp* neighbour_of_last() {
        if (last_block_ == nullptr) return nullptr;
        const uint32_t num_warps = last_block_->num_threads() / kWarpLanes;
        const uint32_t first = schedule_.pick(num_warps);
        for (uint32_t idx = 0; idx < num_warps; ++idx) {
            const Warp& warp = last_block_->warps[(first + idx) % num_warps];
            if (warp.place != 0) return take_ready(warp.place - 1);
        }
        return nullptr;
    }

    Warp* take_ready(uint32_t idx) {
        Warp* warp = ready_[idx].warp;
        ready_[idx] = ready_.back();
        ready_[idx].warp->place = idx + 1;
        ready_.pop_back();
        warp->place = 0;
        last_block_ = warp->lanes[0]->block;
        return warp;
    }

    /// After a change of who goes first or is held back.
    void queue_again() {
        std::vector<Warp*> warps;
        warps.swap(held_);
        for (const Ready& ready : ready_) {
            ready.warp->place = 0;
            warps.push_back(ready.warp);
        }
        while (num_drawn_ > 0) warps.push_back(take_drawn().warp);
        ready_.clear();
        for (Warp* warp : warps) queue(*warp);
    }

    /// Brings a lane of the warps that are drawn ahead into the caches: its record, and what is in use of its stack as
    /// a rule.
    void prefetch_lane() {
        if (unfetched_ == 0) {
            const Turn& turn = drawn_[(first_ + num_fetched_) % kNumAhead];
            unfetched_ = turn.lanes & turn.warp->runnable;
        }
        const Warp& warp = *drawn_[(first_ + num_fetched_) % kNumAhead].warp;
        const auto* end = reinterpret_cast<const std::byte*>(warp.lanes[__builtin_ctz(unfetched_)] + 1);
        for (uint32_t line = 1; line <= sizeof(Fiber) / 64 + kStackLines; ++line) {
            __builtin_prefetch(end - line * 64, 1);
        }
        unfetched_ &= unfetched_ - 1;
        if (unfetched_ == 0) ++num_fetched_;
    }

    Schedule& schedule_;
    std::vector<Ready> ready_;
    std::vector<Warp*> held_;
    Warp nobody_{};
    Warp* running_ = &nobody_;
    uint64_t running_key_ = 0;
    uint32_t lanes_ = 0;  // of the turn
    uint64_t turn_ = 0;   // steps that are left of it
    bool is_held_ = false;  // only what is held back was left to run

    const Block* last_block_ = nullptr;  // that a warp was drawn from
    // Where many are ready, the next turns, so that what they need is on its way when they start.
    Turn drawn_[kNumAhead];
    uint32_t first_ = 0;
    uint32_t num_drawn_ = 0;
    uint32_t num_fetched_ = 0;  // of these
    uint32_t unfetched_ = 0;    // lanes of the one after them, where it has begun
};

}  // namespace epgen::simt
