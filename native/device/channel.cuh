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

/// The tokens of the channels that this block works, one after the other.
template <uint32_t kNumChannels>
struct TokenWalk {
    uint32_t num_tokens;
    uint32_t channel_idx;
    TokenRange tokens;  // what is left of the channel

    EPGEN_DEVICE explicit TokenWalk(uint32_t num_tokens)
        : num_tokens(num_tokens), channel_idx(block_idx()),
          tokens(channel_tokens(num_tokens, channel_idx, kNumChannels)) {
        skip_ended_channels();
    }

    EPGEN_DEVICE bool is_over() const { return channel_idx >= kNumChannels; }
    EPGEN_DEVICE uint32_t token_idx() const { return tokens.first; }

    EPGEN_DEVICE void advance() {
        ++tokens.first;
        skip_ended_channels();
    }

    EPGEN_DEVICE void skip_ended_channels() {
        while (!is_over() && tokens.first >= tokens.end) {
            channel_idx += num_blocks();
            tokens = channel_tokens(num_tokens, channel_idx, kNumChannels);
        }
    }
};

/// How many of `num_channels` this block works.
EPGEN_DEVICE uint32_t num_block_channels(uint32_t num_channels) {
    return (num_channels - block_idx() + num_blocks() - 1) / num_blocks();
}

}  // namespace epgen
