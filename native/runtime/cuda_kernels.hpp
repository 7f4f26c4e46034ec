// Kernels of the runtime itself. None needs another than itself or its group's barrier to end.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace epgen {

/// Keeps a stream busy until the time has passed or the group was aborted.
struct DelayArgs {
    uint64_t ns;
    const uint32_t* abort_word;
};

/// One rank of a barrier of all devices; ends without the others at the deadline or when the group was aborted.
struct BarrierArgs {
    uint32_t* counter;  // of all ranks
    uint32_t target;    // what it reaches when the last rank has come
    uint64_t deadline_ns;
    const uint32_t* abort_word;
};

/// One thread each.
extern const void* const kDelayKernel;
extern const void* const kBarrierKernel;

}  // namespace epgen
