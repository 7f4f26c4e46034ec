// One access as the shadow of its bytes remembers it.
#pragma once

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
        : bits(static_cast<uint32_t>(plane) << 30 | position.rank_idx << 24 | position.block_idx << 10 |
               position.thread_idx) {}
    Plane plane() const { return static_cast<Plane>(bits >> 30); }
    Position position() const { return {bits >> 24 & 63, bits >> 10 & 0x3fff, bits & 1023}; }
    bool is_async() const { return plane() != Plane::thread; }
    bool operator==(const Component&) const = default;
};

struct Stamp {
    Component component;
    uint32_t number;
    uint32_t site;  // what and where, see Sites
    uint16_t thread_idx;  // of the thread that issued it
    Scope scope;  // none: a weak access
    bool is_write;

    bool is_strong() const { return scope != Scope::none; }
    bool operator==(const Stamp&) const = default;
};
static_assert(sizeof(Stamp) == 16);

/// Whether a strong access of this scope, made at `from`, reaches threads at `to`.
inline bool reaches(Scope scope, Position from, Position to) {
    switch (scope) {
        case Scope::none: return false;
        case Scope::block: return from.rank_idx == to.rank_idx && from.block_idx == to.block_idx;
        case Scope::gpu: return from.rank_idx == to.rank_idx;
        case Scope::sys: return true;
    }
    return false;
}

/// Strong on both sides, each in the scope of the other.
inline bool are_strong(const Stamp& a, const Stamp& b) {
    const Position of_a = a.component.position();
    const Position of_b = b.component.position();
    return reaches(a.scope, of_a, of_b) && reaches(b.scope, of_b, of_a);
}

}  // namespace epgen::simt::check
