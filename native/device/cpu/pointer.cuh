// CPU body of pointer.cuh: pointers know the object that they point into.
#pragma once

#include "simt/core.hpp"

namespace epgen {

/// A typed address in memory space `S`, inside the object [begin, end) called `name`.
template <Space S, class T>
struct Pointer {
    using value_type = T;
    static constexpr Space space = S;
    T* raw;
    T* begin;
    T* end;
    const char* name;

    Pointer operator+(uint64_t count) const { return {raw + count, begin, end, name}; }
};

constexpr const char* space_name(Space space) {
    switch (space) {
        case Space::local: return "local";
        case Space::peer: return "peer";
        case Space::shared: return "shared";
        case Space::host: return "host";
    }
    return "unknown";
}

/// The pointer as reports show it.
template <Space S, class T>
simt::Extent extent(Pointer<S, T> pointer) {
    return {space_name(S), pointer.name, pointer.raw, pointer.begin, pointer.end, sizeof(T)};
}

/// A fault unless the `bytes` bytes at `pointer` lie in its object, at a multiple of `alignment`.
template <Space S, class T>
void check_extent(const char* what, Pointer<S, T> pointer, uint64_t bytes, uint64_t alignment, Place place) {
    const auto address = reinterpret_cast<uintptr_t>(pointer.raw);
    const auto begin = reinterpret_cast<uintptr_t>(pointer.begin);
    const auto end = reinterpret_cast<uintptr_t>(pointer.end);
    if (address < begin || address + bytes > end || address % alignment != 0) [[unlikely]] {
        simt::raise_extent(what, extent(pointer), bytes, alignment, place);
    }
}

template <Space S, class T>
Pointer<S, T> make_pointer(T* data, uint64_t count, const char* name) {
    return {data, data, data + count, name};
}

template <Space S, class T>
auto as_bytes(Pointer<S, T> pointer) {
    using Byte = std::conditional_t<std::is_const_v<T>, const uint8_t, uint8_t>;
    return Pointer<S, Byte>{reinterpret_cast<Byte*>(pointer.raw), reinterpret_cast<Byte*>(pointer.begin),
                            reinterpret_cast<Byte*>(pointer.end), pointer.name};
}

template <class Element, Space S>
Pointer<S, Element> as(Pointer<S, uint8_t> pointer) {
    return {reinterpret_cast<Element*>(pointer.raw), reinterpret_cast<Element*>(pointer.begin),
            reinterpret_cast<Element*>(pointer.end), pointer.name};
}

/// A member of a record that lies outside its object has no elements.
template <Space S, class Record, class Member>
auto member(Pointer<S, Record> record, Member std::remove_const_t<Record>::*field, const char* name) {
    using Element = std::remove_all_extents_t<Member>;
    using Qualified = std::conditional_t<std::is_const_v<Record>, const Element, Element>;
    auto* data = reinterpret_cast<Qualified*>(&(record.raw->*field));
    const bool is_inside = record.raw >= record.begin && record.raw < record.end;
    return Pointer<S, Qualified>{data, data, data + (is_inside ? sizeof(Member) / sizeof(Element) : 0), name};
}

}  // namespace epgen
