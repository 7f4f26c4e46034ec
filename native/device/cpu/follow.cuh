// CPU bodies of follow.cuh: a wait parks its thread until its word changes or the group gives up.
#pragma once

#include "simt/core.hpp"

namespace epgen {

namespace cpu {

inline simt::Access followed(const char* what, local<const uint32_t> counter, Place place) {
    check_extent(what, counter, sizeof(uint32_t), alignof(uint32_t), place);
    return {simt::AccessKind::load, simt::Order::acquire, simt::Scope::sys, Space::local, what,
            counter.name,           counter.raw,          sizeof(uint32_t), place};
}

EPGEN_ANNOUNCED inline bool is_aborted(local<const uint32_t> abort_word) {
    return simt::current->aborting || __atomic_load_n(abort_word.raw, __ATOMIC_RELAXED) != 0;
}

}  // namespace cpu

inline bool has_reached_acquire_sys(local<const uint32_t> counter, uint32_t count, Place place = Place::here()) {
    const simt::Access access = cpu::followed("has_reached_acquire_sys", counter, place);
    simt::access(access);
    const auto value = cpu::poll<uint32_t>(access);
    if (!reached(value, count)) return false;
    if (simt::current->is_watched) [[unlikely]] simt::watched_wait_end(access, value);
    return true;
}

inline bool follow_acquire_sys(local<const uint32_t> counter, uint32_t count, local<const uint32_t> abort_word,
                               Place place = Place::here()) {
    const simt::Access access = cpu::followed("follow_acquire_sys", counter, place);
    simt::access(access);
    simt::Fiber& fiber = *simt::current->fiber;
    simt::WaitNote note = simt::plain_note("follow_acquire_sys", place);
    for (;;) {
        const auto value = cpu::poll<uint32_t>(access);
        if (reached(value, count)) {
            if (simt::current->is_watched) [[unlikely]] simt::watched_wait_end(access, value);
            return true;
        }
        if (cpu::is_aborted(abort_word)) return false;
        fiber.deadline_ns = simt::kNoDeadline;
        fiber.note = &note;
        simt::park_on(counter.raw);
    }
}

}  // namespace epgen
