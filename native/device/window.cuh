// The symmetric window: one allocation per rank, the same layout on all of them.
#pragma once

#include <cstddef>

#include "device/pointer.cuh"
#include "device/record.cuh"

namespace epgen {

/// A region of the window: `num_buffers` times `count` elements, `stride_bytes` apart, from `offset_bytes` on.
template <class T>
struct Region {
    uint64_t offset_bytes;
    uint64_t count;
    uint64_t stride_bytes;
    uint32_t num_buffers;
    const char* name;
};

/// Offsets that travel in a word are counted in units of this many bytes.
constexpr uint64_t kReadyUnit = 128;

/// Every rank's window as this rank's device addresses it.
struct Windows {
    std::byte* base[kMaxRanks];
};

/// Buffer `buffer_idx` of a region in this rank's own window.
template <class T>
EPGEN_DEVICE local<T> local_region(const Windows& windows, uint32_t rank_idx, Region<T> region,
                                   uint32_t buffer_idx = 0) {
    std::byte* data = windows.base[rank_idx] + region.offset_bytes + buffer_idx * region.stride_bytes;
    return make_pointer<Space::local>(reinterpret_cast<T*>(data), region.count, region.name);
}

/// Buffer `buffer_idx` of a region in the window of rank `peer_idx`.
template <class T>
EPGEN_DEVICE peer<T> peer_region(const Windows& windows, uint32_t peer_idx, Region<T> region,
                                 uint32_t buffer_idx = 0) {
    std::byte* data = windows.base[peer_idx] + region.offset_bytes + buffer_idx * region.stride_bytes;
    return make_pointer<Space::peer>(reinterpret_cast<T*>(data), region.count, region.name);
}

/// `num_bytes` bytes at `offset_bytes` in the window of rank `peer_idx`, to read from.
EPGEN_DEVICE peer<const uint8_t> peer_bytes(const Windows& windows, uint32_t peer_idx, uint64_t offset_bytes,
                                            uint64_t num_bytes, const char* name) {
    const std::byte* data = windows.base[peer_idx] + offset_bytes;
    return make_pointer<Space::peer>(reinterpret_cast<const uint8_t*>(data), num_bytes, name);
}

}  // namespace epgen
