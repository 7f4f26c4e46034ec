// CPU body of memory.cuh: each access is checked, announced to the emulator, performed, and told to who waits for it.
#pragma once

#include "simt/core.hpp"

namespace epgen {

namespace cpu {

using simt::AccessKind;
using simt::Order;
using simt::Scope;

template <Space S, class T>
void begin_access(const char* what, AccessKind kind, Order order, Scope scope, Pointer<S, T> pointer, uint32_t bytes,
                  uint64_t alignment, Place place) {
    check_extent(what, pointer, bytes, alignment, place);
    simt::access({kind, order, scope, S, pointer.raw, bytes, place});
}

/// Words that threads wait for lie in windows, never in shared memory.
template <Space S, class T>
void end_store(Pointer<S, T> pointer, uint32_t bytes) {
    if constexpr (S == Space::local || S == Space::peer) simt::notify(pointer.raw, bytes);
}

template <class T, Space S>
void store_ordered(const char* what, Order order, Pointer<S, T> pointer, T value, Place place) {
    begin_access(what, AccessKind::store, order, Scope::sys, pointer, sizeof(T), alignof(T), place);
    __atomic_store_n(pointer.raw, value, __ATOMIC_RELEASE);  // threads of the host may look
    end_store(pointer, sizeof(T));
}

}  // namespace cpu

template <Space S, class T>
std::remove_const_t<T> ld(Pointer<S, T> pointer, Place place = Place::here()) {
    static_assert(S == Space::local || S == Space::shared, "rows of a peer are read by bulk_load only");
    cpu::begin_access("ld", cpu::AccessKind::load, cpu::Order::weak, cpu::Scope::none, pointer, sizeof(T), alignof(T),
                      place);
    return *pointer.raw;
}

template <Space S, class T>
void st(Pointer<S, T> pointer, std::type_identity_t<T> value, Place place = Place::here()) {
    cpu::begin_access("st", cpu::AccessKind::store, cpu::Order::weak, cpu::Scope::none, pointer, sizeof(T), alignof(T),
                      place);
    *pointer.raw = value;
    cpu::end_store(pointer, sizeof(T));
}

template <Space S, class T>
Vec16 ld_vec16(Pointer<S, T> pointer, Place place = Place::here()) {
    static_assert(S == Space::local || S == Space::shared, "rows of a peer are read by bulk_load only");
    static_assert(sizeof(T) == 1, "byte pointers only: extents are counted in bytes");
    cpu::begin_access("ld_vec16", cpu::AccessKind::load, cpu::Order::weak, cpu::Scope::none, pointer, 16, 16, place);
    Vec16 value;
    __builtin_memcpy(&value, pointer.raw, 16);
    return value;
}

template <Space S, class T>
void st_vec16(Pointer<S, T> pointer, Vec16 value, Place place = Place::here()) {
    static_assert(sizeof(T) == 1, "byte pointers only: extents are counted in bytes");
    cpu::begin_access("st_vec16", cpu::AccessKind::store, cpu::Order::weak, cpu::Scope::none, pointer, 16, 16, place);
    __builtin_memcpy(pointer.raw, &value, 16);
    cpu::end_store(pointer, 16);
}

inline void st_relaxed_sys(peer<uint64_t> pointer, uint64_t value, Place place = Place::here()) {
    cpu::store_ordered("st_relaxed_sys", cpu::Order::relaxed, pointer, value, place);
}

inline void st_release_sys(peer<uint64_t> pointer, uint64_t value, Place place = Place::here()) {
    cpu::store_ordered("st_release_sys", cpu::Order::release, pointer, value, place);
}
inline void st_release_sys(host<uint32_t> pointer, uint32_t value, Place place = Place::here()) {
    cpu::store_ordered("st_release_sys", cpu::Order::release, pointer, value, place);
    simt::report_host_store(pointer.raw);
}

inline void red_add_release_sys(peer<uint32_t> pointer, uint32_t value, Place place = Place::here()) {
    cpu::begin_access("red_add_release_sys", cpu::AccessKind::read_modify_write, cpu::Order::release, cpu::Scope::sys,
                      pointer, sizeof(uint32_t), alignof(uint32_t), place);
    *pointer.raw += value;
    cpu::end_store(pointer, sizeof(uint32_t));
}

inline uint32_t atom_add_relaxed_gpu(local<uint32_t> pointer, uint32_t value, Place place = Place::here()) {
    cpu::begin_access("atom_add_relaxed_gpu", cpu::AccessKind::read_modify_write, cpu::Order::relaxed, cpu::Scope::gpu,
                      pointer, sizeof(uint32_t), alignof(uint32_t), place);
    const uint32_t before = *pointer.raw;
    *pointer.raw = before + value;
    cpu::end_store(pointer, sizeof(uint32_t));
    return before;
}

inline void red_add_shared(shared<uint32_t> pointer, uint32_t value, Place place = Place::here()) {
    cpu::begin_access("red_add_shared", cpu::AccessKind::read_modify_write, cpu::Order::relaxed, cpu::Scope::block,
                      pointer, sizeof(uint32_t), alignof(uint32_t), place);
    *pointer.raw += value;
}
inline void red_min_shared(shared<uint32_t> pointer, uint32_t value, Place place = Place::here()) {
    cpu::begin_access("red_min_shared", cpu::AccessKind::read_modify_write, cpu::Order::relaxed, cpu::Scope::block,
                      pointer, sizeof(uint32_t), alignof(uint32_t), place);
    if (value < *pointer.raw) *pointer.raw = value;
}

// Stores are visible and bulk copies read the newest bytes at once, so that these fences only let others run.
inline void fence_proxy_async(Place = Place::here()) { simt::yield(); }
inline void fence_proxy_async_shared(Place = Place::here()) { simt::yield(); }

}  // namespace epgen
