#include "simt/mbarrier.hpp"

#include <cstring>

#include "simt/engine.hpp"

namespace epgen::simt {

namespace {

constexpr uint32_t kBodyBits = 45;  // phase 1, pending 11, arrivals 11, bytes 22
constexpr int32_t kByteBias = 1 << 21;

constexpr uint64_t kPoisonWord = 0x0101010101010101u * kSharedPoison;

uint64_t check_of(uint64_t body, const void* mbarrier) {
    return ((body ^ reinterpret_cast<uintptr_t>(mbarrier)) + 1) * 0x9e3779b97f4a7c15u >> kBodyBits;
}

MbarrierState valid_state(const void* mbarrier, const char* what, const char* name, Place place) {
    MbarrierState state;
    if (!MbarrierState::read(mbarrier, state)) {
        raise(FaultKind::barrier, place, "%s on \"%s\", which was not initialised or was overwritten", what, name);
    }
    return state;
}

void watch_arrival(const void* mbarrier, uint32_t expected_bytes, const char* name, Place place) {
    Fiber& self = *current->fiber;
    if (current->checker != nullptr) current->checker->mbarrier_arrive(self, mbarrier, name, place);
    if (current->weak_memory != nullptr) current->weak_memory->arrive(self);
    if (current->steering != nullptr) current->steering->mbarrier_arrive(self, mbarrier);
    if (current->tracer != nullptr) {
        current->tracer->mbarrier_arrives(engine().now(), self, mbarrier, name, expected_bytes, place);
    }
}

}  // namespace

bool MbarrierState::read(const void* mbarrier, MbarrierState& state) {
    uint64_t word;
    std::memcpy(&word, mbarrier, sizeof word);
    // The check has 19 bits: among millions of fresh barriers, poison would pass it now and then.
    if (word == kPoisonWord) return false;
    const uint64_t body = word & ((uint64_t{1} << kBodyBits) - 1);
    if (word >> kBodyBits != check_of(body, mbarrier)) return false;
    state.phase = body & 1;
    state.num_pending = body >> 1 & 2047;
    state.num_arrivals = body >> 12 & 2047;
    state.num_bytes = static_cast<int32_t>(body >> 23) - kByteBias;
    return true;
}

void MbarrierState::write(void* mbarrier) const {
    const uint64_t body = static_cast<uint64_t>(num_bytes + kByteBias) << 23 |
                          static_cast<uint64_t>(num_arrivals) << 12 | num_pending << 1 | phase;
    const uint64_t word = check_of(body, mbarrier) << kBodyBits | body;
    std::memcpy(mbarrier, &word, sizeof word);
}

bool MbarrierState::try_end_phase() {
    if (num_pending != 0 || num_bytes != 0) return false;
    phase ^= 1;
    num_pending = num_arrivals;
    return true;
}

void mbarrier_init(void* mbarrier, uint32_t num_arrivals, const char* name, Place place) {
    yield();
    MbarrierState state;
    if (MbarrierState::read(mbarrier, state)) {
        raise(FaultKind::barrier, place, "mbarrier_init on \"%s\", which is an mbarrier already", name);
    }
    if (num_arrivals == 0 || num_arrivals > MbarrierState::kMaxArrivals) {
        raise(FaultKind::barrier, place, "mbarrier_init on \"%s\" with %u arrivals", name, num_arrivals);
    }
    MbarrierState{0, num_arrivals, num_arrivals, 0}.write(mbarrier);
    Block& block = *current->fiber->block;
    ++block.num_phases_of(mbarrier);  // where one was overwritten, its loads are of an earlier phase
    ++block.num_unfenced_mbarriers;
    ++current->fiber->num_unfenced_mbarriers;
    if (!current->is_watched) return;
    Fiber& self = *current->fiber;
    if (current->checker != nullptr) current->checker->mbarrier_init(self, mbarrier, name, place);
    if (current->tracer != nullptr) current->tracer->mbarrier_init(engine().now(), self, mbarrier, name, place);
}

void mbarrier_fence_init(Place place) {
    Fiber& self = *current->fiber;
    self.block->num_unfenced_mbarriers -= self.num_unfenced_mbarriers;
    self.num_unfenced_mbarriers = 0;
    if (current->tracer != nullptr) current->tracer->fence(engine().now(), self, "fence_mbarrier_init", place);
}

void mbarrier_arrive(void* mbarrier, uint32_t expected_bytes, const char* name, Place place) {
    yield();
    const char* what = expected_bytes == 0 ? "mbarrier_arrive" : "mbarrier_arrive_expect_tx";
    MbarrierState state = valid_state(mbarrier, what, name, place);
    if (state.num_pending == 0) {
        raise(FaultKind::barrier, place, "%s on \"%s\": arrival %u of %u in one phase", what, name,
              state.num_arrivals + 1, state.num_arrivals);
    }
    --state.num_pending;
    const int64_t num_bytes = int64_t{state.num_bytes} + expected_bytes;
    if (num_bytes > MbarrierState::kMaxBytes) {
        raise(FaultKind::barrier, place, "%s on \"%s\": %lld bytes expected in one phase, at most %d can be", what,
              name, static_cast<long long>(num_bytes), MbarrierState::kMaxBytes);
    }
    state.num_bytes = static_cast<int32_t>(num_bytes);
    if (state.num_pending == 0 && state.num_bytes < 0) {
        raise(FaultKind::barrier, place, "%s on \"%s\": %d bytes more came than were expected", what, name,
              -state.num_bytes);
    }
    if (current->is_watched) watch_arrival(mbarrier, expected_bytes, name, place);
    const bool is_over = state.try_end_phase();
    state.write(mbarrier);
    if (is_over) mbarrier_phase_ends(*current->fiber->block, mbarrier);
}

void mbarrier_phase_ends(Block& block, const void* mbarrier) {
    ++block.num_phases_of(mbarrier);
    if (current->checker != nullptr) current->checker->mbarrier_phase_ends(block, mbarrier);
    if (current->steering != nullptr) current->steering->mbarrier_phase_ends(mbarrier);
    if (current->tracer != nullptr) current->tracer->mbarrier_phase_ends(engine().now(), mbarrier);
    notify(mbarrier, sizeof(uint64_t));
}

bool mbarrier_test(const void* mbarrier, uint32_t parity, const char* name, Place place) {
    return valid_state(mbarrier, "wait_mbarrier", name, place).phase != (parity & 1);
}

void mbarrier_acquire(const char* what, const void* mbarrier, uint32_t parity, const char* name, Place place) {
    if (!current->is_watched) return;
    Fiber& self = *current->fiber;
    if (current->checker != nullptr) current->checker->mbarrier_acquire(self, mbarrier, parity, what, name, place);
    if (current->steering != nullptr) current->steering->mbarrier_pass(self, mbarrier);
    if (current->tracer != nullptr) {
        current->tracer->mbarrier_wait_succeeds(engine().now(), self, mbarrier, name, parity, place);
    }
}

}  // namespace epgen::simt
