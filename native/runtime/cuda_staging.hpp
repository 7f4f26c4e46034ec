// Pinned memory that copies between a rank and the host pass through, taken and given back in the order of the stream.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>

#include "runtime/cuda_owned.hpp"

namespace epgen {

/// One thread takes, another one gives back.
class CudaStaging {
public:
    static constexpr uint64_t kBytes = uint64_t{16} << 20;
    static constexpr uint64_t kMaxChunkBytes = kBytes / 4;

    struct Chunk {
        std::byte* data;
        uint64_t end;  // what give_back() takes
    };

    explicit CudaStaging(PinnedMemory memory) : memory_(std::move(memory)) {}

    /// `num_bytes` in one piece; nothing while they are in use.
    std::optional<Chunk> take(uint64_t num_bytes) {
        const uint64_t length = (num_bytes + kAlignment - 1) / kAlignment * kAlignment;
        uint64_t start = head_;
        if (start % kBytes + length > kBytes) start += kBytes - start % kBytes;
        if (start + length - tail_.load(std::memory_order_acquire) > kBytes) return std::nullopt;
        head_ = start + length;
        return Chunk{memory_.get() + start % kBytes, head_};
    }

    void give_back(uint64_t end) { tail_.store(end, std::memory_order_release); }

private:
    static constexpr uint64_t kAlignment = 64;

    PinnedMemory memory_;
    uint64_t head_ = 0;  // both only grow
    std::atomic<uint64_t> tail_{0};
};

}  // namespace epgen
