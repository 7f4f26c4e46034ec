// The memory of one rank, used again by every schedule.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "runtime/module.hpp"
#include "simt/reservation.hpp"

namespace epgen::verify {

/// Whole cache lines, as the runtime places records.
constexpr uint64_t record_stride(const Module& module) {
    return (module.record_bytes + 127) / 128 * 128;
}

/// `arena_bytes` and `num_records` are what the largest schedule takes. The fault record follows the count records.
struct RankMemory {
    simt::Reservation window, arena, records;
    uint64_t num_arena_bytes = 0;  // taken by this schedule

    RankMemory(const Module& module, uint64_t arena_bytes, uint32_t num_records)
        : window(module.window_bytes),
          arena(arena_bytes),
          records(num_records * record_stride(module) + sizeof(FaultRecord)) {}

    /// Memory of the arena until the next schedule.
    std::byte* take(uint64_t bytes) {
        std::byte* data = arena.data() + num_arena_bytes;
        num_arena_bytes += (bytes + 255) / 256 * 256;
        return data;
    }
    template <class T>
    std::byte* take_copy(const std::vector<T>& from) {
        std::byte* data = take(from.size() * sizeof(T));
        if (!from.empty()) std::memcpy(data, from.data(), from.size() * sizeof(T));
        return data;
    }
    CountRecord* record(const Module& module, uint32_t record_idx) const {
        return reinterpret_cast<CountRecord*>(records.data() + record_idx * record_stride(module));
    }
    FaultRecord* fault() const {
        return reinterpret_cast<FaultRecord*>(records.data() + records.size() - sizeof(FaultRecord));
    }
};

}  // namespace epgen::verify
