// One access as the shadow of its bytes remembers it.
#pragma once

#include <bit>
#include <cstdint>

#include "simt/access.hpp"
#include "simt/check/knowledge.hpp"

namespace epgen::simt::check {

/// What counts an access: the plane, and whose number in it. Bulk loads have the index of their mbarrier for a thread.
struct Component {
    static constexpr uint32_t kMaxBlocks = kStreamBlock;
    uint32_t bits = 0;

    Component() = default;
    Component(Plane plane, Position position)
        : bits(static_cast<uint32_t>(plane) << 30 | position.queue_idx << 24 | position.block_idx << 10 |
               position.thread_idx) {}
    Plane plane() const { return static_cast<Plane>(bits >> 30); }
    Position position() const { return {bits >> 24 & 63, bits >> 10 & 0x3fff, bits & 1023}; }
    bool is_async() const { return plane() != Plane::thread; }
    bool operator==(const Component&) const = default;
};

/// Which bytes of sixteen a strong access covers: those of two strong ones have to be the same. Weak ones, for whom it
/// doesn't matter, are alike everywhere.
constexpr uint8_t kAnyExtent = 0;
inline uint8_t extent_of(Scope scope, const void* address, uint32_t bytes) {
    if (scope == Scope::none) return kAnyExtent;
    return static_cast<uint8_t>((reinterpret_cast<uintptr_t>(address) & 15) << 3 | std::bit_width(bytes));
}

struct Stamp {
    Component component;
    uint32_t number;
    uint32_t site;  // what and where, see Sites
    uint16_t thread_idx : 15;  // of the thread that issued it
    uint16_t is_write : 1;
    Scope scope;  // none: a weak access
    uint8_t extent;

    bool is_strong() const { return scope != Scope::none; }
    bool operator==(const Stamp&) const = default;
};
static_assert(sizeof(Stamp) == 16);

/// Whether a strong access of this scope, made at `from`, reaches threads at `to`.
inline bool reaches(Scope scope, Position from, Position to) {
    switch (scope) {
        case Scope::none: return false;
        case Scope::block: return from.queue_idx == to.queue_idx && from.block_idx == to.block_idx;
        case Scope::gpu: return rank_of(from.queue_idx) == rank_of(to.queue_idx);
        case Scope::sys: return true;
    }
    return false;
}

inline bool is_of_same_block(const Stamp& a, const Stamp& b) {
    return reaches(Scope::block, a.component.position(), b.component.position());
}

/// Strong on both sides, each in the scope of the other, and of the same bytes.
inline bool are_strong(const Stamp& a, const Stamp& b) {
    if (a.extent != b.extent && a.extent != kAnyExtent && b.extent != kAnyExtent) return false;
    const Position of_a = a.component.position();
    const Position of_b = b.component.position();
    return reaches(a.scope, of_a, of_b) && reaches(b.scope, of_b, of_a);
}

}  // namespace epgen::simt::check
