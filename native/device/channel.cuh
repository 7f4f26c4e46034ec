// Channels: one rank's units of ordered, parallel transfer. Block i works channels i, i + num_blocks(), ...
#pragma once

#include "device/thread.cuh"

namespace epgen {

/// Tokens [first, end) of a call.
struct TokenRange {
    uint32_t first;
    uint32_t end;
};

/// The tokens that channel `channel_idx` of `num_channels` carries: equal shares, rounded up, the last ones shorter.
EPGEN_DEVICE TokenRange channel_tokens(uint32_t num_tokens, uint32_t channel_idx, uint32_t num_channels) {
    const uint32_t per_channel = (num_tokens + num_channels - 1) / num_channels;
    const uint64_t first = static_cast<uint64_t>(channel_idx) * per_channel;
    const uint64_t end = first + per_channel;
    return {static_cast<uint32_t>(first < num_tokens ? first : num_tokens),
            static_cast<uint32_t>(end < num_tokens ? end : num_tokens)};
}

/// How many of `num_channels` this block works.
EPGEN_DEVICE uint32_t num_block_channels(uint32_t num_channels) {
    return (num_channels - block_idx() + num_blocks() - 1) / num_blocks();
}

}  // namespace epgen
