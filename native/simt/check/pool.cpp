#include "simt/check/pool.hpp"

#include <cstdlib>
#include <new>

namespace epgen::simt::check {

Pool::~Pool() {
    for (Chunk* chunk : chunks_) std::free(chunk);
}

void* Pool::take(uint32_t bytes) {
    if (bytes > kMaxBytes) return ::operator new(bytes);
    const uint32_t num_units = (bytes + kUnit - 1) / kUnit;
    if (Free* free = free_[num_units]) {
        free_[num_units] = free->next;
        return free;
    }
    const uint32_t size = num_units * kUnit;
    if (static_cast<std::size_t>(end_ - unused_) < size) {
        auto* chunk = static_cast<Chunk*>(std::aligned_alloc(kChunkBytes, kChunkBytes));
        if (chunk == nullptr) throw std::bad_alloc();
        chunk->owner = this;
        chunks_.push_back(chunk);
        unused_ = reinterpret_cast<std::byte*>(chunk) + kUnit;
        end_ = reinterpret_cast<std::byte*>(chunk) + kChunkBytes;
    }
    void* taken = unused_;
    unused_ += size;
    return taken;
}

void Pool::give_back(void* data, uint32_t bytes) {
    if (bytes > kMaxBytes) return ::operator delete(data);
    auto* chunk = reinterpret_cast<Chunk*>(reinterpret_cast<uintptr_t>(data) & ~(kChunkBytes - 1));
    Free*& first = chunk->owner->free_[(bytes + kUnit - 1) / kUnit];
    first = new (data) Free{first};
}

}  // namespace epgen::simt::check
