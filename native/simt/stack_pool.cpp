#include "simt/stack_pool.hpp"

#include <sys/mman.h>

#include <new>

namespace epgen::simt {

namespace {
constexpr uint64_t kPageBytes = 4096;
constexpr uint32_t kSlotsPerChunk = 8192;
constexpr uint32_t kNumStaggers = 24;
}  // namespace

// An odd number of pages, so that the tops of neighbouring stacks fall into different cache sets.
StackPool::StackPool(uint32_t stack_bytes)
    : slot_bytes_(((stack_bytes + kPageBytes - 1) / kPageBytes | 1) * kPageBytes), num_used_(kSlotsPerChunk) {}

Fiber* StackPool::take() {
    if (free_.empty()) return take_fresh();
    Fiber* fiber = free_.back();
    free_.pop_back();
    return fiber;
}

Fiber* StackPool::take_fresh() {
    if (num_used_ == kSlotsPerChunk) {
        chunks_.emplace_back(slot_bytes_ * kSlotsPerChunk);
        // A thread touches the top of its stack only; huge pages would make all of it memory.
        madvise(chunks_.back().data(), chunks_.back().size(), MADV_NOHUGEPAGE);
        num_used_ = 0;
    }
    std::byte* low = chunks_.back().data() + num_used_ * slot_bytes_;
    std::byte* top = low + slot_bytes_ - (num_used_ % kNumStaggers) * 64 - sizeof(Fiber);
    ++num_used_;
    auto* fiber = new (top) Fiber{};
    fiber->stack_low = low;
    return fiber;
}

// Fresh memory reads as zero and reading allocates none, so that the canary costs no memory.
bool StackPool::is_intact(const Fiber* fiber) {
    const auto* words = reinterpret_cast<const uint64_t*>(fiber->stack_low);
    for (uint32_t idx = 0; idx < 8; ++idx) {
        if (words[idx] != 0) return false;
    }
    return true;
}

}  // namespace epgen::simt
