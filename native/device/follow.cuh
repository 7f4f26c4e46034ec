// Waits of kernels that are no calls: they run beside a call, on a stream of their own, and use what it has delivered
// so far. They have no deadline and leave no record, since the call that they follow has both: when it gives up, they do.
#pragma once

#include "device/wait.cuh"

#if defined(EPGEN_CPU)
#include "device/cpu/follow.cuh"
#else
#include "device/cuda/follow.cuh"
#endif
