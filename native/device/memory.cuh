// Loads, stores and atomics. Names say the order and the scope; a name without either is a weak access.
#pragma once

#include "device/pointer.cuh"

namespace epgen {

/// Sixteen bytes that move together.
struct alignas(16) Vec16 {
    uint32_t word[4];
};

}  // namespace epgen

#if defined(EPGEN_CPU)
#include "device/cpu/memory.cuh"
#else
namespace epgen {

/// Weak load from this rank's memory, the block's shared memory or mapped host memory. For words that another rank
/// or block writes during the kernel use the waits of wait.cuh.
template <Space S, class T>
EPGEN_DEVICE std::remove_const_t<T> ld(Pointer<S, T> pointer, Place = Place::here()) {
    static_assert(S == Space::local || S == Space::shared, "rows of a peer are read by bulk_load only");
    return *pointer.raw;
}

/// Weak store to any space. A reader elsewhere needs a release after it: st_release_sys or red_add_release_sys.
template <Space S, class T>
EPGEN_DEVICE void st(Pointer<S, T> pointer, std::type_identity_t<T> value, Place = Place::here()) {
    *pointer.raw = value;
}

/// Weak load of sixteen bytes; the address is a multiple of 16.
template <Space S, class T>
EPGEN_DEVICE Vec16 ld_vec16(Pointer<S, T> pointer, Place = Place::here()) {
    static_assert(S == Space::local || S == Space::shared, "rows of a peer are read by bulk_load only");
    static_assert(sizeof(T) == 1, "byte pointers only: extents are counted in bytes");
    return *reinterpret_cast<const Vec16*>(pointer.raw);
}

/// Weak store of sixteen bytes; the address is a multiple of 16.
template <Space S, class T>
EPGEN_DEVICE void st_vec16(Pointer<S, T> pointer, Vec16 value, Place = Place::here()) {
    static_assert(sizeof(T) == 1, "byte pointers only: extents are counted in bytes");
    *reinterpret_cast<Vec16*>(pointer.raw) = value;
}

/// `st.relaxed.sys`: for words that validate themselves. Orders nothing else.
EPGEN_DEVICE void st_relaxed_sys(peer<uint64_t> pointer, uint64_t value, Place = Place::here()) {
    asm volatile("st.relaxed.sys.global.u64 [%0], %1;" ::"l"(pointer.raw), "l"(value) : "memory");
}

/// `st.release.sys`: everything that happened before it, in this thread or ordered before it by barriers and kernel
/// ends, is visible to whoever acquires the value.
EPGEN_DEVICE void st_release_sys(peer<uint64_t> pointer, uint64_t value, Place = Place::here()) {
    asm volatile("st.release.sys.global.u64 [%0], %1;" ::"l"(pointer.raw), "l"(value) : "memory");
}
EPGEN_DEVICE void st_release_sys(host<uint32_t> pointer, uint32_t value, Place = Place::here()) {
    asm volatile("st.release.sys.global.u32 [%0], %1;" ::"l"(pointer.raw), "r"(value) : "memory");
}

/// `red.release.sys.add`: as st_release_sys, and extends the release sequence of earlier additions, so one acquire
/// of the sum synchronises with every addition in it.
EPGEN_DEVICE void red_add_release_sys(peer<uint32_t> pointer, uint32_t value, Place = Place::here()) {
    asm volatile("red.release.sys.global.add.u32 [%0], %1;" ::"l"(pointer.raw), "r"(value) : "memory");
}

/// `atom.relaxed.gpu.add`: takes a ticket among the blocks of this device; returns the value before. Orders nothing.
EPGEN_DEVICE uint32_t atom_add_relaxed_gpu(local<uint32_t> pointer, uint32_t value, Place = Place::here()) {
    uint32_t before;
    asm volatile("atom.relaxed.gpu.global.add.u32 %0, [%1], %2;"
                 : "=r"(before)
                 : "l"(pointer.raw), "r"(value)
                 : "memory");
    return before;
}

/// Atomic addition and minimum in shared memory, relaxed; a barrier orders them.
EPGEN_DEVICE void red_add_shared(shared<uint32_t> pointer, uint32_t value, Place = Place::here()) {
    atomicAdd(pointer.raw, value);
}
EPGEN_DEVICE void red_min_shared(shared<uint32_t> pointer, uint32_t value, Place = Place::here()) {
    atomicMin(pointer.raw, value);
}

/// `fence.proxy.async`: orders this thread's generic accesses, and what it has acquired, before its later bulk
/// copies, and completed bulk copies before its later releases.
EPGEN_DEVICE void fence_proxy_async(Place = Place::here()) { asm volatile("fence.proxy.async;" ::: "memory"); }

/// `fence.proxy.async.shared::cta`: the same for shared memory of this block only.
EPGEN_DEVICE void fence_proxy_async_shared(Place = Place::here()) {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

}  // namespace epgen
#endif
