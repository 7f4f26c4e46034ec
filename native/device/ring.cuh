// Position in a ring of stages in shared memory.
#pragma once

#include "device/place.cuh"

namespace epgen {

/// Counts pieces through a ring of `kNumStages`. Parities follow from the count, never from a flag that roles share.
template <uint32_t kNumStages>
struct RingPosition {
    uint32_t stage_idx = 0;
    uint32_t round = 0;

    EPGEN_DEVICE void advance() {
        if (++stage_idx == kNumStages) {
            stage_idx = 0;
            ++round;
        }
    }
    /// The position `count` pieces further on; `count` is at most the number of stages.
    EPGEN_DEVICE RingPosition ahead(uint32_t count) const {
        const uint32_t stage = stage_idx + count;
        return stage < kNumStages ? RingPosition{stage, round} : RingPosition{stage - kNumStages, round + 1};
    }
    /// Whether no piece has used this stage before.
    EPGEN_DEVICE bool is_fresh() const { return round == 0; }
    /// Parity of the phase in which this piece arrives.
    EPGEN_DEVICE uint32_t full_parity() const { return round & 1; }
    /// Parity of the phase in which the stage's previous piece was released.
    EPGEN_DEVICE uint32_t empty_parity() const { return (round & 1) ^ 1; }
};

}  // namespace epgen
