#include "runtime/arena.hpp"

#include <algorithm>
#include <iterator>

namespace epgen {

Arena::Arena(uint64_t base, uint64_t num_bytes) : num_free_bytes_(num_bytes) {
    free_.emplace(base, num_bytes);
}

std::optional<uint64_t> Arena::allocate(uint64_t num_bytes) {
    if (num_bytes > num_free_bytes_) return std::nullopt;  // also keeps the rounding below from overflowing
    const uint64_t length = (std::max<uint64_t>(num_bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
    const auto range = std::ranges::find_if(free_, [&](const auto& entry) { return entry.second >= length; });
    if (range == free_.end()) return std::nullopt;
    const auto [start, available] = *range;
    free_.erase(range);
    if (available > length) free_.emplace(start + length, available - length);
    used_.emplace(start, length);
    num_free_bytes_ -= length;
    return start;
}

bool Arena::release(uint64_t address) {
    const auto block = used_.find(address);
    if (block == used_.end()) return false;
    auto [start, length] = *block;
    used_.erase(block);
    num_free_bytes_ += length;

    const auto next = free_.find(start + length);
    if (next != free_.end()) {
        length += next->second;
        free_.erase(next);
    }
    const auto after = free_.lower_bound(start);
    if (after != free_.begin()) {
        const auto before = std::prev(after);
        if (before->first + before->second == start) {
            before->second += length;
            return true;
        }
    }
    free_.emplace(start, length);
    return true;
}

bool Arena::contains(uint64_t address, uint64_t num_bytes) const {
    const auto after = used_.upper_bound(address);
    if (after == used_.begin()) return false;
    const auto [start, length] = *std::prev(after);
    const uint64_t offset = address - start;
    return offset < length && num_bytes <= length - offset;
}

}  // namespace epgen
