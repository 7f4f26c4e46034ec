#include "simt/check/history.hpp"

#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>

namespace epgen::simt::check {

Histories::~Histories() {
    for (std::byte* chunk : chunks_) std::free(chunk);
}

Histories::Id Histories::take_units(uint32_t size_class) {
    if (const Id id = free_[size_class]) {
        std::memcpy(&free_[size_class], unit(id), sizeof(Id));
        return id;
    }
    if (num_used_ + num_units(size_class) > kChunkUnits) {
        auto* chunk = static_cast<std::byte*>(std::malloc(uint64_t{kChunkUnits} * kUnit));
        if (chunk == nullptr) throw std::bad_alloc();
        num_used_ = chunks_.empty() ? 1 : 0;  // nothing has id 0
        chunks_.push_back(chunk);
    }
    const Id id = static_cast<Id>(chunks_.size() - 1) * kChunkUnits + num_used_;
    num_used_ += num_units(size_class);
    return id;
}

void Histories::free(Id id, uint32_t size_class) {
    std::memcpy(unit(id), &free_[size_class], sizeof(Id));
    free_[size_class] = id;
}

Histories::Id Histories::take(uint32_t num_stamps) {
    const uint32_t size_class = num_stamps < 4 ? num_stamps : static_cast<uint32_t>(std::bit_width(num_stamps)) + 1;
    const Id id = take_units(size_class);
    header(id) = {1, 0, 0, size_class, 0};
    return id;
}

Histories::Id Histories::take_quarters() {
    const Id id = take_units(kQuarters);
    std::memset(unit(id), 0, kUnit);
    return id;
}

}  // namespace epgen::simt::check
