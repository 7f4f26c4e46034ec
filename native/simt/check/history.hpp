// What is remembered of some bytes: their newest accesses, writes first. Shared by all bytes that were accessed alike.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "simt/check/stamp.hpp"

namespace epgen::simt::check {

class Histories {
public:
    using Id = uint32_t;  // below 2^31; 0 is the empty one, which isn't counted
    /// All threads of eight ranks with sixteen blocks twice over. A history that would need more is a fault.
    static constexpr uint32_t kMaxStamps = (1 << 18) - 1;

    Histories() = default;
    ~Histories();
    Histories(const Histories&) = delete;
    Histories& operator=(const Histories&) = delete;

    std::span<const Stamp> stamps(Id id) const { return {first(id), header(id).count}; }
    uint32_t num_writes(Id id) const { return header(id).num_writes; }
    bool is_shared(Id id) const { return header(id).num_refs > 1; }
    bool is_full(Id id) const { return header(id).count == capacity(header(id).size_class); }

    void share(Id id) {
        if (id != 0) ++header(id).num_refs;
    }
    void drop(Id id) {
        if (id != 0 && --header(id).num_refs == 0) free(id, header(id).size_class);
    }
    /// A new one with room for at least `num_stamps`.
    Id take(uint32_t num_stamps);
    /// At its end; for reads, or for writes while it has no reads. There is room and nobody shares it.
    void append(Id id, const Stamp& stamp) {
        Header& it = header(id);
        first(id)[it.count++] = stamp;
        it.num_writes += stamp.is_write;
    }
    /// Puts `stamp` in the place of read `idx`.
    void replace(Id id, uint32_t idx, const Stamp& stamp) { first(id)[idx] = stamp; }

    /// Four words, for bytes that were accessed in parts; zeroed.
    uint32_t* quarters(Id id) const { return reinterpret_cast<uint32_t*>(unit(id)); }
    Id take_quarters();
    void give_back_quarters(Id id) { free(id, kQuarters); }

    uint64_t num_bytes() const { return chunks_.size() * uint64_t{kChunkUnits} * kUnit; }

private:
    static constexpr uint32_t kUnit = 16;
    static constexpr uint32_t kChunkUnits = 1 << 14;
    static constexpr uint32_t kQuarters = 0;  // size class of one unit
    static constexpr uint32_t kNumClasses = 20;

    struct Header {
        uint32_t num_refs;
        uint32_t count;
        uint32_t num_writes;
        uint32_t size_class;
    };
    static_assert(sizeof(Header) == kUnit && sizeof(Stamp) == kUnit);

    /// 1, 2, 3, 4, 8, 16, ...: most histories have a write and a read.
    static uint32_t num_units(uint32_t size_class) { return size_class < 4 ? size_class + 1 : 1u << (size_class - 1); }
    static uint32_t capacity(uint32_t size_class) { return num_units(size_class) - 1; }
    std::byte* unit(Id id) const { return chunks_[id / kChunkUnits] + id % kChunkUnits * kUnit; }
    Header& header(Id id) const { return *reinterpret_cast<Header*>(unit(id)); }
    Stamp* first(Id id) const { return reinterpret_cast<Stamp*>(unit(id) + kUnit); }
    Id take_units(uint32_t size_class);
    /// The first unit of as many chunks in a row.
    Id add_chunks(uint32_t num_chunks);
    void free(Id id, uint32_t size_class);

    std::vector<std::byte*> chunks_;
    std::vector<std::byte*> allocations_;  // of one or more chunks
    Id next_ = 0;  // unused units of the newest single chunk
    Id end_ = 0;
    Id free_[kNumClasses] = {};
};

}  // namespace epgen::simt::check
