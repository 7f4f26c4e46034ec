// CUDA bodies of follow.cuh.
#pragma once

namespace epgen {

/// Whether a counter of this rank's memory has reached `count`, in the wrapping sense of `reached`. Acquires at system
/// scope: what was released with the additions that it counts is visible after it.
EPGEN_DEVICE bool has_reached_acquire_sys(local<const uint32_t> counter, uint32_t count, Place = Place::here()) {
    return reached(ld_acquire_sys(counter.raw), count);
}

/// Waits until it has; false where the group gave up first, as its abort word says: then nothing may be read.
EPGEN_DEVICE bool follow_acquire_sys(local<const uint32_t> counter, uint32_t count, local<const uint32_t> abort_word,
                                     Place = Place::here()) {
    while (!reached(ld_acquire_sys(counter.raw), count)) {
        if (ld_relaxed_sys(abort_word.raw) != 0) return false;
    }
    return true;
}

}  // namespace epgen
