// Records for calls that tell the host of a wrong index or too many rows, and of nothing else.
#pragma once

#include <cstdint>

namespace epgen {

/// How many a rank has: the first for calls that the window limits, the others for as many different num_worst_tokens.
constexpr uint32_t kNumSharedRecords = 257;

/// What such calls write to the tag of their record, which nobody polls.
constexpr uint32_t kSharedTag = 1;

/// A record for all calls of a rank whose counts nobody waits for and that have room for as many rows. A number in it
/// is right for each of them: it may be from a later call than the one whose end the host sees.
struct SharedRecord {
    uint32_t record_idx;
    uint32_t num_worst_tokens;  // most rows that may come, or 0 where the window is the limit
};

}  // namespace epgen
