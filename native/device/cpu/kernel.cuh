// CPU body of kernel.cuh.
#pragma once

#include <type_traits>

#include "simt/core.hpp"

namespace epgen {

template <class Record>
shared<Record> shared_memory(Place place = Place::here()) {
    return make_pointer<Space::shared>(static_cast<Record*>(simt::shared_data(sizeof(Record), place)), 1,
                                       "shared memory");
}

}  // namespace epgen

/// Defines `<name>_entry`: a launch of `body(const Args&)` with `kNumThreads` threads and a `Shared` record per block.
#define EPGEN_KERNEL(name, Args, body, kNumThreads, Shared)                                                    \
    static_assert(std::is_trivially_copyable_v<Args> && alignof(Args) <= 16, "arguments are copied as bytes"); \
    static void name##_body(const void* args) { body(*static_cast<const Args*>(args)); }                       \
    extern const ::epgen::KernelEntry name##_entry;                                                            \
    const ::epgen::KernelEntry name##_entry{#name, kNumThreads, sizeof(Shared), &name##_body};
