// The threads that can run, and the next of them.
#pragma once

#include <cstdint>

#include "simt/schedule.hpp"

namespace epgen::simt {

/// While many threads are runnable, more than caches hold, the next few are drawn ahead so that their memory is on its
/// way when they run. While few are, a thread that has just been woken may be the very next.
class RunQueue {
public:
    bool empty() const { return runnable_.empty() && num_drawn_ == 0; }
    void add(Fiber* fiber) { runnable_.add(fiber); }
    void clear() {
        runnable_.clear();
        num_drawn_ = 0;
    }

    /// There is one.
    Fiber& next(Schedule& schedule) {
        if (runnable_.size() >= kMany) {
            while (num_drawn_ < kNumAhead) draw(schedule);
        } else if (num_drawn_ == 0) {
            return *runnable_.take(schedule.pick(runnable_));
        }
        Fiber& next = *drawn_[first_];
        first_ = (first_ + 1) % kNumAhead;
        --num_drawn_;
        if (num_drawn_ >= kNumAhead / 2) {
            const auto* top = static_cast<const std::byte*>(drawn_[(first_ + kNumAhead / 2 - 1) % kNumAhead]->context);
            for (uint32_t line = 0; line < 6; ++line) __builtin_prefetch(top + line * 64, 1);
        }
        return next;
    }

private:
    static constexpr uint32_t kMany = 1024;
    static constexpr uint32_t kNumAhead = 8;

    void draw(Schedule& schedule) {
        Fiber* fiber = runnable_.take(schedule.pick(runnable_));
        for (uint32_t line = 0; line < sizeof(Fiber) / 64; ++line) {
            __builtin_prefetch(reinterpret_cast<const std::byte*>(fiber) + line * 64, 1);
        }
        drawn_[(first_ + num_drawn_++) % kNumAhead] = fiber;
    }

    Runnable runnable_;
    Fiber* drawn_[kNumAhead];
    uint32_t first_ = 0;
    uint32_t num_drawn_ = 0;
};

}  // namespace epgen::simt
