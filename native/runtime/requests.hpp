// What a caller asks of a group. Addresses are device addresses of the rank that makes the call.
#pragma once

#include <cstdint>

#include "runtime/module.hpp"

namespace epgen {

/// What the mode of the call does not need is 0.
struct DispatchRequest {
    DispatchMode mode;
    uint32_t num_tokens;
    uint64_t x, x_scales, extras;
    uint64_t topk_idx, topk_weights;                   // topk
    uint64_t is_token_in_rank, num_tokens_per_expert;  // layout
    uint64_t handle;
    uint32_t buffer_idx;
    uint32_t grid;
    uint32_t expert_alignment;
    uint32_t num_worst_tokens;  // 0: as many rows as come
    uint32_t window_idx;
    uint32_t stream_idx;
};

struct CombineRequest {
    uint32_t num_tokens;
    uint64_t handle, out;
    uint64_t input_offset;    // bytes from the start of the window
    uint64_t out_weights;     // of no tokens where no weights are combined
    uint64_t weights_offset;  // bytes from the start of the window; 0: no weights are combined
    uint64_t bias[2];         // 0: none
    uint32_t grid;
    uint32_t window_idx;
    uint32_t stream_idx;
};

/// What the spec has no rows for is 0.
struct ExpertMajorRequest {
    uint32_t num_rows, num_expert_rows;
    uint64_t handle;
    uint64_t recv_x, recv_x_scales, recv_extras, recv_topk_idx, recv_topk_weights;
    uint64_t counts;
    uint64_t x, x_scales, extras, topk_weights, slot;
    uint32_t grid;
    bool pads_zeros;
};

struct ExpertSumRequest {
    uint32_t num_rows, num_expert_rows;
    uint64_t y, slot, sums;
    uint32_t grid;
    uint32_t stream_idx;
};

/// What its phases do not need is 0.
struct LlDispatchRequest {
    uint32_t phases;  // bits kLlSend and kLlReceive
    uint32_t num_tokens;
    uint64_t x, topk_idx;  // of a send
    uint64_t handle;
    uint64_t expert_stats, wait_stats;  // 0: none
    uint32_t grid;
    uint32_t window_idx;
    uint32_t stream_idx;
};

/// What its phases do not need is 0.
struct LlCombineRequest {
    uint32_t phases;  // bits kLlSend and kLlReceive
    uint32_t num_tokens;
    uint64_t handle;
    uint64_t input_offset;       // of a send: bytes from the start of the window
    uint64_t topk_weights, out;  // of a receive
    uint64_t wait_stats;         // 0: none
    uint32_t grid;
    uint32_t window_idx;
    uint32_t stream_idx;
};

struct LlStageRequest {
    uint64_t handle, x;
    uint64_t output_offset;  // bytes from the start of the window
    uint32_t grid;
    uint32_t window_idx;
    uint32_t stream_idx;
};

struct DispatchLayoutRequest {
    uint32_t num_tokens;
    uint64_t topk_idx, num_tokens_per_rank, num_tokens_per_expert, is_token_in_rank;
};

}  // namespace epgen
