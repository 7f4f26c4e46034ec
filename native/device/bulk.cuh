// Bulk copies by the copy engine of the multiprocessor (the async proxy). Addresses and sizes are multiples of 16.
#pragma once

#include "device/mbarrier.cuh"

#if defined(EPGEN_CPU)
#include "device/cpu/bulk.cuh"
#else
namespace epgen {

/// `cp.async.bulk` global → shared: brings `bytes` from this rank's or a peer's memory; completion counts on `barrier`.
template <Space S, class T>
EPGEN_DEVICE void bulk_load(shared<uint8_t> to, Pointer<S, T> from, uint32_t bytes, shared<Mbarrier> barrier,
                            Place = Place::here()) {
    static_assert(S == Space::local || S == Space::peer, "bulk_load reads device memory");
    static_assert(std::is_same_v<std::remove_const_t<T>, uint8_t>, "bulk_load counts in bytes");
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                     shared_address(to)),
                 "l"(from.raw), "r"(bytes), "r"(shared_address(barrier))
                 : "memory");
}

/// `cp.async.bulk` shared → global: sends `bytes` to a peer's window. Part of this thread's current bulk group.
EPGEN_DEVICE void bulk_store(peer<uint8_t> to, shared<uint8_t> from, uint32_t bytes, Place = Place::here()) {
    asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(to.raw), "r"(shared_address(from)),
                 "r"(bytes)
                 : "memory");
}

/// `cp.async.bulk.commit_group`: closes this thread's current group of stores; an empty group is a group.
EPGEN_DEVICE void bulk_commit_group(Place = Place::here()) { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }

/// `cp.async.bulk.wait_group N`: all but this thread's N newest groups are complete, their bytes visible to it.
template <uint32_t N>
EPGEN_DEVICE void bulk_wait_group(Place = Place::here()) {
    asm volatile("cp.async.bulk.wait_group %0;" ::"n"(N) : "memory");
}

/// `cp.async.bulk.wait_group.read N`: all but the N newest groups have read their source. Their bytes may still be on
/// the way: enough to reuse shared memory, not enough to announce a row.
template <uint32_t N>
EPGEN_DEVICE void bulk_wait_group_read(Place = Place::here()) {
    asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(N) : "memory");
}

}  // namespace epgen
#endif
