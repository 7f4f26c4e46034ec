// Who a thread is.
#pragma once

#include "device/place.cuh"

#if defined(EPGEN_CPU)
#include "device/cpu/thread.cuh"
#else
namespace epgen {

/// Index of the thread in its block.
EPGEN_DEVICE uint32_t thread_idx() { return threadIdx.x; }
/// Number of threads in the block.
EPGEN_DEVICE uint32_t num_threads() { return blockDim.x; }
/// Index of the block in the launch.
EPGEN_DEVICE uint32_t block_idx() { return blockIdx.x; }
/// Number of blocks in the launch.
EPGEN_DEVICE uint32_t num_blocks() { return gridDim.x; }

}  // namespace epgen
#endif

namespace epgen {

constexpr uint32_t kWarpSize = 32;

/// Index of the thread in its warp.
EPGEN_DEVICE uint32_t lane_idx() { return thread_idx() % kWarpSize; }
/// Index of the warp in its block.
EPGEN_DEVICE uint32_t warp_idx() { return thread_idx() / kWarpSize; }

}  // namespace epgen
