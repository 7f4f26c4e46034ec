// Entries: how the runtime sees a kernel.
#pragma once

#include <cstdint>

#include "device/pointer.cuh"

namespace epgen {

/// A compiled kernel: what a launch needs to know.
struct KernelEntry {
    const char* name;
    uint32_t num_threads;
    uint32_t shared_bytes;
#if defined(EPGEN_CPU)
    void (*body)(const void* args);  // run by every thread of the launch
#else
    const void* function;           // (const Args): one rank
    const void* loopback_function;  // (const Args*): every rank, rank r in the blocks of blockIdx.y == r
#endif
};

/// The record of kernels that keep nothing in shared memory.
struct NoShared {};

}  // namespace epgen

#if defined(EPGEN_CPU)
#include "device/cpu/kernel.cuh"
#else
namespace epgen {

/// The block's shared memory, laid out as `Record`.
template <class Record>
EPGEN_DEVICE shared<Record> shared_memory() {
    extern __shared__ __align__(128) unsigned char epgen_shared_memory[];
    return {reinterpret_cast<Record*>(epgen_shared_memory)};
}

}  // namespace epgen

/// Defines `<name>_entry`: a launch of `body(const Args&)` with `kNumThreads` threads and a `Shared` record per block.
/// Beside the product's kernel stands `<name>_loopback`: all ranks on one GPU, for tests, sanitizers and profilers. It
/// is launched cooperatively, since ranks wait for each other, with the Args of rank r in `args[r]`.
#define EPGEN_KERNEL(name, Args, body, kNumThreads, Shared)                                                   \
    __global__ void __launch_bounds__(kNumThreads, 1) name(const __grid_constant__ Args args) { body(args); } \
    __global__ void __launch_bounds__(kNumThreads, 1) name##_loopback(const Args* args) {                     \
        body(args[blockIdx.y]);                                                                               \
    }                                                                                                         \
    extern const ::epgen::KernelEntry name##_entry;                                                           \
    const ::epgen::KernelEntry name##_entry{#name, kNumThreads, sizeof(Shared),                               \
                                            reinterpret_cast<const void*>(&name),                             \
                                            reinterpret_cast<const void*>(&name##_loopback)};
#endif
