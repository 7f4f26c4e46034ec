// One rank's arena: blocks of a range of addresses that is reserved once and never grows.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

namespace epgen {

/// First-fit allocator. It only keeps books: it never touches the memory. Not thread-safe.
class Arena {
public:
    static constexpr uint64_t kAlignment = 256;

    Arena(uint64_t base, uint64_t num_bytes);

    /// A block of at least `num_bytes`, aligned to kAlignment; nothing where no free range is long enough.
    std::optional<uint64_t> allocate(uint64_t num_bytes);

    /// Returns a block and merges it with its free neighbours; false where no block starts at `address`.
    bool release(uint64_t address);

    /// Whether `num_bytes` from `address` on lie within one allocated block.
    bool contains(uint64_t address, uint64_t num_bytes) const;

    uint64_t num_free_bytes() const { return num_free_bytes_; }

private:
    using Ranges = std::map<uint64_t, uint64_t>;  // start → length

    Ranges free_;
    Ranges used_;
    uint64_t num_free_bytes_;
};

}  // namespace epgen
