// CPU body of thread.cuh.
#pragma once

#include "simt/core.hpp"

namespace epgen {

inline uint32_t thread_idx() { return simt::current->fiber->thread_idx; }
inline uint32_t num_threads() { return simt::current->fiber->num_threads; }
inline uint32_t block_idx() { return simt::current->fiber->block_idx; }
inline uint32_t num_blocks() { return simt::current->fiber->num_blocks; }

}  // namespace epgen
