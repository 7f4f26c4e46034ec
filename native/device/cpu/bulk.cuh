// CPU body of bulk.cuh.
#pragma once

#include "simt/core.hpp"

namespace epgen {

template <Space S, class T>
void bulk_load(shared<uint8_t> to, Pointer<S, T> from, uint32_t bytes, shared<Mbarrier> barrier,
               Place place = Place::here()) {
    static_assert(S == Space::local || S == Space::peer, "bulk_load reads device memory");
    static_assert(std::is_same_v<std::remove_const_t<T>, uint8_t>, "bulk_load counts in bytes");
    simt::check_bulk("bulk_load", extent(to), extent(from), bytes, place);
    check_extent("bulk_load", barrier, sizeof(Mbarrier), alignof(Mbarrier), place);
    simt::bulk_load({to.raw, to.name}, {const_cast<uint8_t*>(from.raw), from.name}, bytes, barrier.raw, barrier.name,
                    place);
}

inline void bulk_store(peer<uint8_t> to, shared<uint8_t> from, uint32_t bytes, Place place = Place::here()) {
    simt::check_bulk("bulk_store", extent(to), extent(from), bytes, place);
    simt::bulk_store({to.raw, to.name}, {from.raw, from.name}, bytes, place);
}

inline void bulk_commit_group(Place = Place::here()) { simt::bulk_commit_group(); }

template <uint32_t N>
void bulk_wait_group(Place place = Place::here()) {
    simt::bulk_wait_group(N, false, place);
}

template <uint32_t N>
void bulk_wait_group_read(Place place = Place::here()) {
    simt::bulk_wait_group(N, true, place);
}

}  // namespace epgen
