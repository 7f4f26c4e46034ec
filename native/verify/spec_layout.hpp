// What a verifier knows of its spec beside the Module: shapes, and where results lie.
#pragma once

#include <cstddef>
#include <cstdint>

#include "verify/model.hpp"

namespace epgen::verify {

/// A region of the window in rows: `num_buffers` times `bytes`, `stride` apart.
struct RowRegion {
    const char* name;
    uint64_t offset;
    uint64_t bytes;
    uint64_t stride;
    uint32_t num_buffers;
    uint32_t row_bytes;
    uint32_t element_bytes;

    std::byte* buffer(std::byte* window, uint32_t buffer_idx) const { return window + offset + buffer_idx * stride; }
};

/// i32 arrays of a handle's header.
struct HandleField {
    const char* name;
    uint64_t offset;
};

struct SpecLayout {
    model::Shape shape;
    uint32_t live_results;
    RowRegion recv_x, recv_topk_idx, recv_topk_weights, recv_src_idx;
    RowRegion recv_channel_prefix;  // of one row
    RowRegion output;
    HandleField num_recv_tokens, num_tokens_per_expert, rank_prefix, channel_prefix, recv_channel_prefix_of_handle;
};

/// spec_layout.cpp defines it, compiled with the spec's layout.cuh.
const SpecLayout& spec_layout();

}  // namespace epgen::verify
