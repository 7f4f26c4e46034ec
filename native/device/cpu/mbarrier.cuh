// CPU body of mbarrier.cuh.
#pragma once

#include "simt/core.hpp"

namespace epgen {

inline void mbarrier_init(shared<Mbarrier> barrier, uint32_t num_arrivals, Place place = Place::here()) {
    check_extent("mbarrier_init", barrier, sizeof(Mbarrier), alignof(Mbarrier), place);
    simt::mbarrier_init(barrier.raw, num_arrivals, barrier.name, place);
}

inline void fence_mbarrier_init(Place place = Place::here()) { simt::mbarrier_fence_init(place); }

inline void mbarrier_arrive(shared<Mbarrier> barrier, Place place = Place::here()) {
    check_extent("mbarrier_arrive", barrier, sizeof(Mbarrier), alignof(Mbarrier), place);
    simt::mbarrier_arrive(barrier.raw, 0, barrier.name, place);
}

inline void mbarrier_arrive_expect_tx(shared<Mbarrier> barrier, uint32_t bytes, Place place = Place::here()) {
    check_extent("mbarrier_arrive_expect_tx", barrier, sizeof(Mbarrier), alignof(Mbarrier), place);
    simt::mbarrier_arrive(barrier.raw, bytes, barrier.name, place);
}

}  // namespace epgen
