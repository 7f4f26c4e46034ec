// Every random decision of a machine: who runs next, how fast ranks are, how copies are cut and delayed.
#pragma once

#include <cstdint>
#include <vector>

#include "simt/fiber.hpp"
#include "simt/random.hpp"

namespace epgen::simt {

/// Runnable fibers in no order, each tagged with its rank in the low bits of its (64-byte aligned) address.
class Runnable {
public:
    static constexpr uintptr_t kRankMask = 63;

    bool empty() const { return entries_.empty(); }
    uint32_t size() const { return static_cast<uint32_t>(entries_.size()); }
    void clear() { entries_.clear(); }
    void add(Fiber* fiber) { entries_.push_back(reinterpret_cast<uintptr_t>(fiber) | fiber->rank_idx); }
    uint32_t rank_idx(uint32_t idx) const { return entries_[idx] & kRankMask; }
    Fiber* take(uint32_t idx) {
        auto* fiber = reinterpret_cast<Fiber*>(entries_[idx] & ~kRankMask);
        entries_[idx] = entries_.back();
        entries_.pop_back();
        return fiber;
    }

private:
    std::vector<uintptr_t> entries_;
};

/// Uniform over runnable threads; with skew, over threads weighted by the speed of their rank.
class Schedule {
public:
    Schedule(uint64_t seed, uint32_t weak_yield_one_in, bool rank_skew)
        : random_(seed), weak_yield_one_in_(weak_yield_one_in), rank_skew_(rank_skew) {
        for (uint32_t& speed : speed_) speed = kFullSpeed;
    }

    /// Index of the thread that runs next; there is one.
    uint32_t pick(const Runnable& runnable) {
        const uint32_t count = runnable.size();
        for (uint32_t attempt = 0;; ++attempt) {
            const uint64_t bits = random_.next();
            const auto idx = static_cast<uint32_t>((bits >> 32) * count >> 32);
            if (!rank_skew_ || attempt == 4 || (bits & (kFullSpeed - 1)) < speed_[runnable.rank_idx(idx)]) return idx;
        }
    }

    /// Now and then gives a rank another speed.
    void drift(uint32_t num_ranks) {
        if (!rank_skew_ || random_.below(8) != 0) return;
        static constexpr uint32_t kSpeeds[] = {kFullSpeed, kFullSpeed, kFullSpeed / 2, kFullSpeed / 8, kFullSpeed / 64};
        speed_[random_.below(num_ranks)] = kSpeeds[random_.below(5)];
    }

    /// Virtual time between a kernel's turn and its start.
    uint64_t start_delay_ns() { return rank_skew_ && random_.below(2) == 0 ? random_.below(20'000) : 0; }
    /// Whether a kernel's blocks start one by one instead of at once.
    bool trickles() { return rank_skew_ && random_.below(4) == 0; }

    uint32_t weak_accesses_to_yield() { return 1 + random_.below(2 * weak_yield_one_in_); }
    uint32_t steps_to_copy_event() { return 1 + random_.below(8); }
    uint32_t num_pieces(uint32_t max_pieces) { return 1 + random_.below(max_pieces); }
    /// How often a copy is passed over before it moves; a few are slow.
    uint32_t copy_patience() {
        const uint32_t draw = random_.below(16);
        return draw < 10 ? 0 : draw < 15 ? random_.below(4) : random_.below(32);
    }
    uint32_t below(uint32_t bound) { return random_.below(bound); }
    template <class T>
    void shuffle(std::vector<T>& items) {
        for (uint32_t idx = static_cast<uint32_t>(items.size()); idx > 1; --idx) {
            std::swap(items[idx - 1], items[random_.below(idx)]);
        }
    }

private:
    static constexpr uint32_t kFullSpeed = 256;
    Random random_;
    uint32_t weak_yield_one_in_;
    bool rank_skew_;
    uint32_t speed_[Runnable::kRankMask + 1];
};

}  // namespace epgen::simt
