// CPU body of memory.cuh: each access is checked, announced to the emulator, performed, and told to who waits for it.
// What order and scope a primitive has is said once, in its body.
#pragma once

#include "simt/core.hpp"

namespace epgen {

namespace cpu {

using simt::AccessKind;
using simt::Order;
using simt::Scope;
using simt::Update;

/// An access that is about to happen, as the emulator is told of it.
template <Space S, class T>
simt::Access access_to(Pointer<S, T> pointer, uint32_t bytes, AccessKind kind, Order order, Scope scope,
                       const char* what, Place place) {
    return {kind, order, scope, S, what, pointer.name, pointer.raw, bytes, place};
}

/// Words that threads wait for lie in windows, never in shared memory.
template <Space S, class T>
void end_store(Pointer<S, T> pointer, uint32_t bytes) {
    if constexpr (S == Space::local || S == Space::peer) simt::notify(pointer.raw, bytes);
}

template <class Value, Space S, class T>
EPGEN_ANNOUNCED Value load(const char* what, Order order, Scope scope, Pointer<S, T> pointer, Place place) {
    check_extent(what, pointer, sizeof(Value), alignof(Value), place);
    Value value;
    if (simt::begins_watched(order)) [[unlikely]] {
        simt::watched_load(access_to(pointer, sizeof value, AccessKind::load, order, scope, what, place), &value);
    } else {
        __builtin_memcpy(&value, pointer.raw, sizeof value);
    }
    return value;
}

template <Space S, class T, class Value>
EPGEN_ANNOUNCED void store(const char* what, Order order, Scope scope, Pointer<S, T> pointer, const Value& value,
                           Place place) {
    check_extent(what, pointer, sizeof value, alignof(Value), place);
    if (simt::begins_watched(order)) [[unlikely]] {
        simt::watched_store(access_to(pointer, sizeof value, AccessKind::store, order, scope, what, place), &value);
        return;
    }
    __builtin_memcpy(pointer.raw, &value, sizeof value);
    end_store(pointer, sizeof value);
}

/// Of a word that threads of the host may look at.
template <Space S, class T>
EPGEN_ANNOUNCED void store_word(const char* what, Order order, Scope scope, Pointer<S, T> pointer, T value,
                                Place place) {
    check_extent(what, pointer, sizeof value, alignof(T), place);
    if (simt::begins_watched(order)) [[unlikely]] {
        simt::watched_store(access_to(pointer, sizeof value, AccessKind::store, order, scope, what, place), &value);
        return;
    }
    __atomic_store_n(pointer.raw, value, __ATOMIC_RELEASE);
    end_store(pointer, sizeof value);
}

/// Returns the word before the update.
template <Space S>
EPGEN_ANNOUNCED uint32_t update(const char* what, Order order, Scope scope, Pointer<S, uint32_t> pointer,
                                Update update, uint32_t operand, Place place) {
    check_extent(what, pointer, sizeof(uint32_t), alignof(uint32_t), place);
    if (simt::begins_watched(order)) [[unlikely]] {
        return simt::watched_update(
            access_to(pointer, sizeof(uint32_t), AccessKind::read_modify_write, order, scope, what, place), update,
            operand);
    }
    const uint32_t before = *pointer.raw;
    *pointer.raw = simt::updated(update, before, operand);
    end_store(pointer, sizeof(uint32_t));
    return before;
}

}  // namespace cpu

template <Space S, class T>
std::remove_const_t<T> ld(Pointer<S, T> pointer, Place place = Place::here()) {
    static_assert(S == Space::local || S == Space::shared, "rows of a peer are read by bulk_load only");
    return cpu::load<std::remove_const_t<T>>("ld", cpu::Order::weak, cpu::Scope::none, pointer, place);
}

template <Space S, class T>
void st(Pointer<S, T> pointer, std::type_identity_t<T> value, Place place = Place::here()) {
    cpu::store("st", cpu::Order::weak, cpu::Scope::none, pointer, value, place);
}

template <Space S, class T>
Vec16 ld_vec16(Pointer<S, T> pointer, Place place = Place::here()) {
    static_assert(S == Space::local || S == Space::shared, "rows of a peer are read by bulk_load only");
    static_assert(sizeof(T) == 1, "byte pointers only: extents are counted in bytes");
    return cpu::load<Vec16>("ld_vec16", cpu::Order::weak, cpu::Scope::none, pointer, place);
}

template <Space S, class T>
void st_vec16(Pointer<S, T> pointer, Vec16 value, Place place = Place::here()) {
    static_assert(sizeof(T) == 1, "byte pointers only: extents are counted in bytes");
    cpu::store("st_vec16", cpu::Order::weak, cpu::Scope::none, pointer, value, place);
}

inline void st_relaxed_sys(peer<uint64_t> pointer, uint64_t value, Place place = Place::here()) {
    cpu::store_word("st_relaxed_sys", cpu::Order::relaxed, cpu::Scope::sys, pointer, value, place);
}

inline void st_release_sys(peer<uint64_t> pointer, uint64_t value, Place place = Place::here()) {
    cpu::store_word("st_release_sys", cpu::Order::release, cpu::Scope::sys, pointer, value, place);
}
inline void st_release_sys(host<uint32_t> pointer, uint32_t value, Place place = Place::here()) {
    cpu::store_word("st_release_sys", cpu::Order::release, cpu::Scope::sys, pointer, value, place);
    simt::report_host_store(pointer.raw);
}

inline void red_add_release_sys(peer<uint32_t> pointer, uint32_t value, Place place = Place::here()) {
    cpu::update("red_add_release_sys", cpu::Order::release, cpu::Scope::sys, pointer, cpu::Update::add, value, place);
}

inline uint32_t atom_add_relaxed_gpu(local<uint32_t> pointer, uint32_t value, Place place = Place::here()) {
    return cpu::update("atom_add_relaxed_gpu", cpu::Order::relaxed, cpu::Scope::gpu, pointer, cpu::Update::add, value,
                       place);
}

inline void red_add_shared(shared<uint32_t> pointer, uint32_t value, Place place = Place::here()) {
    cpu::update("red_add_shared", cpu::Order::relaxed, cpu::Scope::gpu, pointer, cpu::Update::add, value, place);
}
inline void red_min_shared(shared<uint32_t> pointer, uint32_t value, Place place = Place::here()) {
    cpu::update("red_min_shared", cpu::Order::relaxed, cpu::Scope::gpu, pointer, cpu::Update::min, value, place);
}

inline void fence_proxy_async(Place place = Place::here()) { simt::fence_proxy_async(/*shared_only=*/false, place); }
inline void fence_proxy_async_shared(Place place = Place::here()) {
    simt::fence_proxy_async(/*shared_only=*/true, place);
}

}  // namespace epgen
