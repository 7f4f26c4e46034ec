// Bytes that threads have written and the async proxy may not see yet.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "simt/model/origin.hpp"
#include "simt/random.hpp"

namespace epgen::simt {

/// What up to 16 bytes were before a write.
struct OldBytes {
    WriteOrigin origin;
    const std::byte* address;
    uint32_t bytes;
    std::byte value[16];

    bool overlaps(const std::byte* data, uint64_t num_bytes) const {
        return address < data + num_bytes && data < address + bytes;
    }
};

/// The newest writes to one memory, oldest first. Forgets the older half of too many: those count as seen.
class OldByteList {
public:
    bool empty() const { return entries_.empty(); }
    void clear() { entries_.clear(); }

    void add(const WriteOrigin& origin, const std::byte* address, uint32_t bytes) {
        if (entries_.size() == kMaxEntries) entries_.erase(entries_.begin(), entries_.begin() + kMaxEntries / 2);
        entries_.push_back({origin, address, bytes, {}});
        std::memcpy(entries_.back().value, address, bytes);
    }

    template <class Predicate>
    void forget_if(Predicate predicate) {
        std::erase_if(entries_, predicate);
    }

    template <class Visit>
    void for_each_origin(Visit visit) {
        for (OldBytes& old : entries_) visit(old.origin);
    }

    /// Puts back, by chance, what bytes of [data, data + bytes) were; `copy` holds what they are.
    void restore(const std::byte* data, uint64_t bytes, std::byte* copy, Random& random) const {
        for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
            if (!entry->overlaps(data, bytes) || random.below(2) == 0) continue;
            const std::byte* begin = std::max(entry->address, data);
            const std::byte* end = std::min(entry->address + entry->bytes, data + bytes);
            std::memcpy(copy + (begin - data), entry->value + (begin - entry->address), end - begin);
        }
    }

private:
    static constexpr std::size_t kMaxEntries = 1024;
    std::vector<OldBytes> entries_;
};

}  // namespace epgen::simt
