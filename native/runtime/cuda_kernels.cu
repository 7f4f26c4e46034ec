#include "runtime/cuda_kernels.hpp"

namespace epgen {
namespace {

__device__ uint64_t clock_ns() {
    uint64_t now;
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
    return now;
}

__device__ bool is_set(const uint32_t* word) {
    uint32_t value;
    asm volatile("ld.relaxed.sys.global.u32 %0, [%1];" : "=r"(value) : "l"(word) : "memory");
    return value != 0;
}

__global__ void __launch_bounds__(1, 1) delay(const __grid_constant__ DelayArgs args) {
    const uint64_t start = clock_ns();
    while (clock_ns() - start < args.ns && !is_set(args.abort_word)) __nanosleep(200);
}

__global__ void __launch_bounds__(1, 1) barrier(const __grid_constant__ BarrierArgs args) {
    asm volatile("red.release.sys.global.add.u32 [%0], 1;" ::"l"(args.counter) : "memory");
    const uint64_t start = clock_ns();
    while (clock_ns() - start < args.deadline_ns && !is_set(args.abort_word)) {
        uint32_t count;
        asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(count) : "l"(args.counter) : "memory");
        if (static_cast<int32_t>(count - args.target) >= 0) return;
    }
}

}  // namespace

const void* const kDelayKernel = reinterpret_cast<const void*>(&delay);
const void* const kBarrierKernel = reinterpret_cast<const void*>(&barrier);

}  // namespace epgen
