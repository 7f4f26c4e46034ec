#include "simt/stack_pool.hpp"

#include <sys/mman.h>

#include <cstring>
#include <mutex>
#include <new>
#include <utility>

namespace epgen::simt {

namespace {
constexpr uint64_t kPageBytes = 4096;
constexpr uint32_t kSlotsPerChunk = 1024;
constexpr uint32_t kNumStaggers = 24;
constexpr uint32_t kCanaryBytes = 64;
constexpr std::size_t kMostSpareChunks = 8;

/// Chunks that machines have left. All of their canaries are intact.
struct SpareChunks {
    std::mutex mutex;
    std::vector<std::pair<uint64_t, Reservation>> chunks;  // with the size of their slots

    bool take(uint64_t slot_bytes, std::vector<Reservation>& to) {
        const std::lock_guard lock(mutex);
        if (chunks.empty() || chunks.back().first != slot_bytes) return false;
        to.push_back(std::move(chunks.back().second));
        chunks.pop_back();
        return true;
    }
    void leave(uint64_t slot_bytes, Reservation chunk) {
        const std::lock_guard lock(mutex);
        if (chunks.size() < kMostSpareChunks) chunks.emplace_back(slot_bytes, std::move(chunk));
    }
};

SpareChunks& spare_chunks() {
    static SpareChunks spare;
    return spare;
}

}  // namespace

// An odd number of pages, so that the tops of neighbouring stacks fall into different cache sets.
StackPool::StackPool(uint32_t stack_bytes)
    : slot_bytes_(((stack_bytes + kPageBytes - 1) / kPageBytes | 1) * kPageBytes), num_used_(kSlotsPerChunk) {}

StackPool::~StackPool() {
    for (Reservation& chunk : chunks_) spare_chunks().leave(slot_bytes_, std::move(chunk));
}

Fiber* StackPool::take() {
    if (free_.empty()) return take_fresh();
    Fiber* fiber = free_.back();
    free_.pop_back();
    return fiber;
}

Fiber* StackPool::take_fresh() {
    if (num_used_ == kSlotsPerChunk) {
        if (!spare_chunks().take(slot_bytes_, chunks_)) {
            chunks_.emplace_back(slot_bytes_ * kSlotsPerChunk);
            // A thread touches the top of its stack only; huge pages would make all of it memory.
            madvise(chunks_.back().data(), chunks_.back().size(), MADV_NOHUGEPAGE);
        }
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
    for (uint32_t idx = 0; idx < kCanaryBytes / sizeof(uint64_t); ++idx) {
        if (words[idx] != 0) return false;
    }
    return true;
}

void StackPool::mend(Fiber* fiber) { std::memset(fiber->stack_low, 0, kCanaryBytes); }

}  // namespace epgen::simt
