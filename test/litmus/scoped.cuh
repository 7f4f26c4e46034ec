// Single accesses that the product doesn't offer: loads that wait for nothing, and words of gpu scope.
#pragma once

#include "device/device.cuh"

namespace epgen::litmus {

/// Which wait this is, for the record of one that gives up.
constexpr Site kSite{Phase::arrivals, -1, -1};

/// Any value will do: a wait for it is a single load.
template <class T>
struct Anything {
    using Word = T;
    EPGEN_DEVICE bool holds(T) const { return true; }
    EPGEN_DEVICE uint64_t expected() const { return 0; }
    EPGEN_DEVICE uint64_t seen(T word) const { return word; }
};

#if defined(EPGEN_CPU)
template <class T>
T ld_relaxed_gpu(const Call& call, local<T> word, Place place) {
    return cpu::wait_word("ld_relaxed_gpu", simt::Order::relaxed, simt::Scope::gpu, call, kSite, word, Anything<T>{},
                          place)
        .value;
}
template <class T>
T ld_acquire_gpu(const Call& call, local<T> word, Place place) {
    return cpu::wait_word("ld_acquire_gpu", simt::Order::acquire, simt::Scope::gpu, call, kSite, word, Anything<T>{},
                          place)
        .value;
}
inline void st_relaxed_gpu(peer<uint64_t> word, uint64_t value, Place place) {
    cpu::store_word("st_relaxed_gpu", simt::Order::relaxed, simt::Scope::gpu, word, value, place);
}
inline void st_release_gpu(peer<uint64_t> word, uint64_t value, Place place) {
    cpu::store_word("st_release_gpu", simt::Order::release, simt::Scope::gpu, word, value, place);
}
inline void red_add_release_gpu(peer<uint32_t> word, uint32_t value, Place place) {
    cpu::update("red_add_release_gpu", simt::Order::release, simt::Scope::gpu, word, simt::Update::add, value, place);
}
#else
template <class T>
EPGEN_DEVICE T ld_relaxed_gpu(const Call&, local<T> word, Place) {
    static_assert(sizeof(T) == 8);
    T value;
    asm volatile("ld.relaxed.gpu.global.u64 %0, [%1];" : "=l"(value) : "l"(word.raw) : "memory");
    return value;
}
EPGEN_DEVICE uint64_t ld_acquire_gpu(const Call&, local<uint64_t> word, Place) {
    uint64_t value;
    asm volatile("ld.acquire.gpu.global.u64 %0, [%1];" : "=l"(value) : "l"(word.raw) : "memory");
    return value;
}
EPGEN_DEVICE uint32_t ld_acquire_gpu(const Call&, local<uint32_t> word, Place) {
    uint32_t value;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(word.raw) : "memory");
    return value;
}
EPGEN_DEVICE void st_relaxed_gpu(peer<uint64_t> word, uint64_t value, Place) {
    asm volatile("st.relaxed.gpu.global.u64 [%0], %1;" ::"l"(word.raw), "l"(value) : "memory");
}
EPGEN_DEVICE void st_release_gpu(peer<uint64_t> word, uint64_t value, Place) {
    asm volatile("st.release.gpu.global.u64 [%0], %1;" ::"l"(word.raw), "l"(value) : "memory");
}
EPGEN_DEVICE void red_add_release_gpu(peer<uint32_t> word, uint32_t value, Place) {
    asm volatile("red.release.gpu.global.add.u32 [%0], %1;" ::"l"(word.raw), "r"(value) : "memory");
}
#endif

/// Relaxed, or the ordered variant: a load acquires, a store releases.
enum class Order { relaxed, ordered };
enum class Reach { gpu, sys };

/// How a thread accesses a word.
struct Mode {
    Order order;
    Reach reach;
};
constexpr Mode kRelaxedSys{Order::relaxed, Reach::sys};
constexpr Mode kOrderedSys{Order::ordered, Reach::sys};
constexpr Mode kRelaxedGpu{Order::relaxed, Reach::gpu};
constexpr Mode kOrderedGpu{Order::ordered, Reach::gpu};

template <Mode kMode, class T>
EPGEN_DEVICE T load(const Call& call, local<T> word, Place place = Place::here()) {
    if constexpr (kMode.reach == Reach::sys) {
        if constexpr (kMode.order == Order::ordered) {
            return wait_acquire_sys(call, kSite, word, Anything<T>{}, place).value;
        } else {
            return wait_relaxed_sys(call, kSite, word, Anything<T>{}, place).value;
        }
    } else if constexpr (kMode.order == Order::ordered) {
        return ld_acquire_gpu(call, word, place);
    } else {
        return ld_relaxed_gpu(call, word, place);
    }
}

template <Mode kMode>
EPGEN_DEVICE void store(peer<uint64_t> word, uint64_t value, Place place = Place::here()) {
    if constexpr (kMode.reach == Reach::sys) {
        if constexpr (kMode.order == Order::ordered) {
            st_release_sys(word, value, place);
        } else {
            st_relaxed_sys(word, value, place);
        }
    } else if constexpr (kMode.order == Order::ordered) {
        st_release_gpu(word, value, place);
    } else {
        st_relaxed_gpu(word, value, place);
    }
}

/// An addition with release.
template <Reach kReach>
EPGEN_DEVICE void add(peer<uint32_t> word, uint32_t value, Place place = Place::here()) {
    if constexpr (kReach == Reach::sys) {
        red_add_release_sys(word, value, place);
    } else {
        red_add_release_gpu(word, value, place);
    }
}

}  // namespace epgen::litmus
