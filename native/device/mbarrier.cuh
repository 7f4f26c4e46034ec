// mbarriers: a phase ends when the expected arrivals and the expected bytes have come. Waiting is in wait.cuh.
#pragma once

#include "device/pointer.cuh"

namespace epgen {

/// An mbarrier object in shared memory.
struct alignas(8) Mbarrier {
    uint64_t state;
};

}  // namespace epgen

#if defined(EPGEN_CPU)
#include "device/cpu/mbarrier.cuh"
#else
namespace epgen {

/// Address of a shared-memory object as PTX instructions on shared memory take it.
template <class T>
EPGEN_DEVICE uint32_t shared_address(shared<T> pointer) {
    return static_cast<uint32_t>(__cvta_generic_to_shared(pointer.raw));
}

/// `mbarrier.init`: `num_arrivals` per phase. One thread, then fence_mbarrier_init and a block barrier.
EPGEN_DEVICE void mbarrier_init(shared<Mbarrier> barrier, uint32_t num_arrivals, Place = Place::here()) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(num_arrivals)
                 : "memory");
}

/// `fence.mbarrier_init`: makes the initialisations of this thread visible to the async proxy.
EPGEN_DEVICE void fence_mbarrier_init(Place = Place::here()) {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

/// `mbarrier.arrive` (release at block scope): one arrival.
EPGEN_DEVICE void mbarrier_arrive(shared<Mbarrier> barrier, Place = Place::here()) {
    asm volatile("mbarrier.arrive.release.cta.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}

/// `mbarrier.arrive.expect_tx`: one arrival, and `bytes` more that bulk loads of this phase will bring.
EPGEN_DEVICE void mbarrier_arrive_expect_tx(shared<Mbarrier> barrier, uint32_t bytes, Place = Place::here()) {
    asm volatile("mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
                 "r"(bytes)
                 : "memory");
}

}  // namespace epgen
#endif
