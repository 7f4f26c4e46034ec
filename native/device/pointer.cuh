// Four distinct pointer types, so that an operation of the wrong scope or direction doesn't compile.
//
//   local<T>   memory of this rank's own device: its arena and its window
//   peer<T>    a rank's window as other ranks reach it (also one's own, through the same mapping)
//   shared<T>  shared memory of this block
//   host<T>    host memory mapped into the device
//
// None can be dereferenced: access goes through the primitives of memory.cuh, mbarrier.cuh, bulk.cuh and wait.cuh.
// On the CPU backend a pointer carries the extent and name of the object that it was made from, arithmetic keeps
// them, and every access is checked against them.
#pragma once

#include <cstddef>
#include <type_traits>

#include "device/place.cuh"

namespace epgen {

enum class Space { local, peer, shared, host };

}  // namespace epgen

#if defined(EPGEN_CPU)
#include "device/cpu/pointer.cuh"
#else
namespace epgen {

/// A typed address in memory space `S`.
template <Space S, class T>
struct Pointer {
    using value_type = T;
    static constexpr Space space = S;
    T* raw;

    EPGEN_DEVICE Pointer operator+(uint64_t count) const { return {raw + count}; }
};

/// `count` elements at `data`, called `name` in reports.
template <Space S, class T>
EPGEN_DEVICE Pointer<S, T> make_pointer(T* data, uint64_t /*count*/, const char* /*name*/) {
    return {data};
}

/// The same address as bytes.
template <Space S, class T>
EPGEN_DEVICE auto as_bytes(Pointer<S, T> pointer) {
    using Byte = std::conditional_t<std::is_const_v<T>, const uint8_t, uint8_t>;
    return Pointer<S, Byte>{reinterpret_cast<Byte*>(pointer.raw)};
}

/// Bytes as elements of `Element`: for scales that lie behind the bytes of their row.
template <class Element, Space S>
EPGEN_DEVICE Pointer<S, Element> as(Pointer<S, uint8_t> pointer) {
    return {reinterpret_cast<Element*>(pointer.raw)};
}

/// Pointer to a member of the record at `record`; an array member decays to its first element and keeps its extent.
template <Space S, class Record, class Member>
EPGEN_DEVICE auto member(Pointer<S, Record> record, Member std::remove_const_t<Record>::* field, const char* /*name*/) {
    using Element = std::remove_all_extents_t<Member>;
    using Qualified = std::conditional_t<std::is_const_v<Record>, const Element, Element>;
    return Pointer<S, Qualified>{reinterpret_cast<Qualified*>(&(record.raw->*field))};
}

}  // namespace epgen
#endif

namespace epgen {

template <class T>
using local = Pointer<Space::local, T>;
template <class T>
using peer = Pointer<Space::peer, T>;
template <class T>
using shared = Pointer<Space::shared, T>;
template <class T>
using host = Pointer<Space::host, T>;

/// `count` elements of this rank's own memory at `data`.
template <class T>
EPGEN_DEVICE local<T> make_local(T* data, uint64_t count, const char* name) {
    return make_pointer<Space::local>(data, count, name);
}

/// `count` elements of mapped host memory at `data`.
template <class T>
EPGEN_DEVICE host<T> make_host(T* data, uint64_t count, const char* name) {
    return make_pointer<Space::host>(data, count, name);
}

}  // namespace epgen

/// Pointer to `field` of the record that `record` points to, named "record.field" in reports.
#define EPGEN_FIELD(record, field)                                                                           \
    ::epgen::member((record), &std::remove_const_t<typename std::decay_t<decltype(record)>::value_type>::field, \
                    #record "." #field)
