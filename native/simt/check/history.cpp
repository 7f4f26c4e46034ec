#include "simt/check/history.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace epgen::simt::check {

Histories::~Histories() {
    for (std::byte* allocation : allocations_) std::free(allocation);
}

Histories::Id Histories::take_units(uint32_t size_class) {
    if (const Id id = free_[size_class]) {
        std::memcpy(&free_[size_class], unit(id), sizeof(Id));
        return id;
    }
    const uint32_t wanted = num_units(size_class);
    if (chunks_.empty() || (wanted < kChunkUnits && wanted > end_ - next_)) {
        next_ = std::max(add_chunks(1), Id{1});  // nothing has id 0
        end_ = next_ / kChunkUnits * kChunkUnits + kChunkUnits;
    }
    if (wanted >= kChunkUnits) return add_chunks(wanted / kChunkUnits);
    return std::exchange(next_, next_ + wanted);
}

Histories::Id Histories::add_chunks(uint32_t num_chunks) {
    constexpr uint64_t kChunkBytes = uint64_t{kChunkUnits} * kUnit;
    auto* allocation = static_cast<std::byte*>(std::malloc(num_chunks * kChunkBytes));
    if (allocation == nullptr) throw std::bad_alloc();
    allocations_.push_back(allocation);
    const Id id = static_cast<Id>(chunks_.size()) * kChunkUnits;
    for (uint32_t idx = 0; idx < num_chunks; ++idx) chunks_.push_back(allocation + idx * kChunkBytes);
    return id;
}

void Histories::free(Id id, uint32_t size_class) {
    std::memcpy(unit(id), &free_[size_class], sizeof(Id));
    free_[size_class] = id;
}

Histories::Id Histories::take(uint32_t num_stamps) {
    const uint32_t size_class = num_stamps < 4 ? num_stamps : static_cast<uint32_t>(std::bit_width(num_stamps)) + 1;
    const Id id = take_units(size_class);
    header(id) = {1, 0, 0, size_class};
    return id;
}

Histories::Id Histories::take_quarters() {
    const Id id = take_units(kQuarters);
    std::memset(unit(id), 0, kUnit);
    return id;
}

}  // namespace epgen::simt::check
