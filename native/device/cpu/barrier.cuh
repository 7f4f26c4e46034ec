// CPU body of barrier.cuh.
#pragma once

#include "simt/core.hpp"

namespace epgen {

inline void sync_block(Place place = Place::here()) { simt::meet_block(place); }

inline void sync_warp(Place place = Place::here()) { simt::meet_warp(simt::Meeting::sync_warp, 0, 0, place); }

inline uint32_t ballot(bool predicate, Place place = Place::here()) {
    return simt::meet_warp(simt::Meeting::ballot, predicate, 0, place);
}

inline bool all(bool predicate, Place place = Place::here()) {
    return simt::meet_warp(simt::Meeting::all, predicate, 0, place) != 0;
}

inline uint32_t shfl(uint32_t value, uint32_t source, Place place = Place::here()) {
    return simt::meet_warp(simt::Meeting::shfl, value, source, place);
}

}  // namespace epgen
