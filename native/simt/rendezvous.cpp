// Threads that come together: warp votes and shuffles, warp and block barriers.
#include "simt/engine.hpp"

namespace epgen::simt {

namespace {

const char* meeting_name(Meeting meeting) {
    switch (meeting) {
        case Meeting::sync_warp: return "sync_warp";
        case Meeting::ballot: return "ballot";
        case Meeting::all: return "all";
        case Meeting::shfl: return "shfl";
    }
    return "unknown";
}

const Fiber& first_in(FiberState state, Fiber* const* fibers) {
    while ((*fibers)->state != state) ++fibers;
    return **fibers;
}

[[noreturn]] void raise_divergence(const char* what, const Fiber& other, Place place) {
    raise(FaultKind::mismatch, place, "%s while thread %u (warp %u lane %u) waits in %s at %s:%d", what,
          other.thread_idx, other.thread_idx / kWarpLanes, other.thread_idx % kWarpLanes, other.note->what,
          base_name(other.note->place.file), other.note->place.line);
}

[[noreturn]] void raise_ended(const char* what, const Fiber& ended, Place place) {
    raise(FaultKind::mismatch, place, "%s waits for a thread that has ended, thread %u (warp %u lane %u)", what,
          ended.thread_idx, ended.thread_idx / kWarpLanes, ended.thread_idx % kWarpLanes);
}

void watch_meeting(Fiber* const* lanes, Meeting meeting, Place place) {
    if (current->steering != nullptr) current->steering->meet(lanes, kWarpLanes);
    if (meeting != Meeting::sync_warp) {
        if (current->checker != nullptr) current->checker->vote(lanes, place);
        return;
    }
    if (current->checker != nullptr) current->checker->meet_warp(lanes);
    if (current->weak_memory != nullptr) current->weak_memory->meet_warp(*lanes[0]);
}

void watch_meeting(const Block& block, Place place) {
    if (current->steering != nullptr) current->steering->meet(block.fibers.data(), block.num_threads());
    if (current->checker != nullptr) current->checker->meet_block(block);
    if (current->weak_memory != nullptr) current->weak_memory->meet_block(block);
    if (current->tracer != nullptr) current->tracer->block_meets(engine().now(), *current->fiber, place);
}

/// Gives every lane its result and wakes the others.
void conclude(Fiber* const* lanes, const Fiber& last, Meeting meeting, Place place) {
    if (current->is_watched) watch_meeting(lanes, meeting, place);
    uint32_t mask = 0;
    if (meeting == Meeting::ballot || meeting == Meeting::all) {
        for (uint32_t lane = 0; lane < kWarpLanes; ++lane) mask |= (lanes[lane]->value != 0 ? 1u : 0u) << lane;
    }
    for (uint32_t lane = 0; lane < kWarpLanes; ++lane) {
        Fiber& fiber = *lanes[lane];
        switch (meeting) {
            case Meeting::sync_warp: break;
            case Meeting::ballot: fiber.result = mask; break;
            case Meeting::all: fiber.result = mask == 0xffffffffu; break;
            case Meeting::shfl: fiber.result = lanes[fiber.source % kWarpLanes]->value; break;
        }
        if (&fiber != &last) engine().make_runnable(fiber);
    }
}

}  // namespace

uint32_t meet_warp(Meeting meeting, uint32_t value, uint32_t source, Place place) {
    Fiber& self = *current->fiber;
    Block& block = *self.block;
    Warp& warp = block.warp_of(self);
    Fiber** lanes = block.lanes_of(self);
    const char* what = meeting_name(meeting);
    if (warp.num_ended > 0) raise_ended(what, first_in(FiberState::ended, lanes), place);
    if (warp.num_at_block > 0) raise_divergence(what, first_in(FiberState::at_block, lanes), place);
    if (warp.num_arrived > 0 && warp.meeting != meeting) {
        raise_divergence(what, first_in(FiberState::at_warp, lanes), place);
    }
    self.value = value;
    self.source = source;
    warp.meeting = meeting;
    if (++warp.num_arrived == kWarpLanes) {
        warp.num_arrived = 0;
        conclude(lanes, self, meeting, place);
        yield();
    } else {
        self.state = FiberState::at_warp;
        const WaitNote note = plain_note(what, place);
        self.note = &note;
        engine().park_fiber();
    }
    return self.result;
}

void meet_block(Place place) {
    Fiber& self = *current->fiber;
    Block& block = *self.block;
    Warp& warp = block.warp_of(self);
    if (block.num_ended > 0) raise_ended("sync_block", first_in(FiberState::ended, block.fibers.data()), place);
    if (warp.num_arrived > 0) {
        raise_divergence("sync_block", first_in(FiberState::at_warp, block.lanes_of(self)), place);
    }
    if (++block.num_at_block == block.num_threads()) {
        block.num_at_block = 0;
        if (current->is_watched) watch_meeting(block, place);
        for (Fiber* fiber : block.fibers) {
            block.warp_of(*fiber).num_at_block = 0;
            if (fiber != &self) engine().make_runnable(*fiber);
        }
        yield();
    } else {
        ++warp.num_at_block;
        self.state = FiberState::at_block;
        const WaitNote note = plain_note("sync_block", place);
        self.note = &note;
        engine().park_fiber();
    }
}

}  // namespace epgen::simt
