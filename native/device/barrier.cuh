// Rendezvous of a block or a warp, votes and shuffles. All threads of the group must come.
#pragma once

#include "device/place.cuh"

#if defined(EPGEN_CPU)
#include "device/cpu/barrier.cuh"
#else
namespace epgen {

/// `bar.sync 0`: all threads of the block; orders what they did before it before what they do after it.
EPGEN_DEVICE void sync_block(Place = Place::here()) { __syncthreads(); }

/// `bar.warp.sync`: all 32 lanes; orders as sync_block does, for the warp.
EPGEN_DEVICE void sync_warp(Place = Place::here()) { __syncwarp(); }

/// Mask of the lanes whose `predicate` holds. All 32 lanes vote.
EPGEN_DEVICE uint32_t ballot(bool predicate, Place = Place::here()) { return __ballot_sync(0xffffffffu, predicate); }

/// Whether `predicate` holds in all 32 lanes.
EPGEN_DEVICE bool all(bool predicate, Place = Place::here()) { return __all_sync(0xffffffffu, predicate); }

/// `value` of lane `source`. All 32 lanes take part.
EPGEN_DEVICE uint32_t shfl(uint32_t value, uint32_t source, Place = Place::here()) {
    return __shfl_sync(0xffffffffu, value, source);
}

}  // namespace epgen
#endif
