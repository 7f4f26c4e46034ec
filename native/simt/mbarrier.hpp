// An mbarrier as it lies in shared memory. Its bytes carry a check of themselves and their address, so that use before
// mbarrier_init and bytes copied over it are noticed.
#pragma once

#include <cstdint>

namespace epgen::simt {

struct Block;

/// What a block's shared memory is filled with at its start. No mbarrier reads as valid there.
constexpr uint8_t kSharedPoison = 0xcb;

struct MbarrierState {
    static constexpr uint32_t kMaxArrivals = 2047;
    static constexpr int32_t kMaxBytes = (1 << 20) - 1;

    uint32_t phase;         // parity of the phase that runs
    uint32_t num_pending;   // arrivals that the phase still waits for
    uint32_t num_arrivals;  // of each phase
    int32_t num_bytes;      // expected and not there; below 0 while bytes came before they were expected

    /// False when the bytes at `mbarrier` aren't an mbarrier.
    static bool read(const void* mbarrier, MbarrierState& state);
    void write(void* mbarrier) const;

    /// Ends the phase if nothing is missing; whether it did.
    bool try_end_phase();
};

/// Tells everyone whom it concerns.
void mbarrier_phase_ends(Block& block, const void* mbarrier);

}  // namespace epgen::simt
