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
        // Stacks are dense and visited at random: with small pages the emulator mostly waits for page walks.
        madvise(chunks_.back().data(), chunks_.back().size(), MADV_HUGEPAGE);
        num_used_ = 0;
    }
    std::byte* low = chunks_.back().data() + num_used_ * slot_bytes_;
    std::byte* top = low + slot_bytes_ - (num_used_ % kNumStaggers) * 64 - sizeof(Fiber);
    ++num_used_;
    auto* fiber = new (top) Fiber{};
    fiber->stack_low = low;
    return fiber;
}

// Fresh memory reads as zero, so that the canary needs no writing.
bool StackPool::is_intact(const Fiber* fiber) {
    const auto* words = reinterpret_cast<const uint64_t*>(fiber->stack_low);
    for (uint32_t idx = 0; idx < 8; ++idx) {
        if (words[idx] != 0) return false;
    }
    return true;
}

}  // namespace epgen::simt
