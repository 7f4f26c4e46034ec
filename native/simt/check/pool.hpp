// Memory for the small, short-lived nodes of clocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace epgen::simt::check {

/// Free lists by size. What is taken goes back to the pool that it came from; the pool outlives it.
class Pool {
public:
    Pool() = default;
    ~Pool();
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    void* take(uint32_t bytes);
    static void give_back(void* data, uint32_t bytes);

private:
    static constexpr uint32_t kUnit = 16;
    static constexpr uint32_t kMaxBytes = 1024;  // more than that is left to the heap
    static constexpr uintptr_t kChunkBytes = 64 * 1024;

    struct Free {
        Free* next;
    };
    struct Chunk {
        Pool* owner;
    };

    std::vector<Chunk*> chunks_;
    std::byte* unused_ = nullptr;
    std::byte* end_ = nullptr;
    Free* free_[kMaxBytes / kUnit + 1] = {};
};

}  // namespace epgen::simt::check
