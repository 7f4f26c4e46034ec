// One compiled spec as the runtime sees it: sizes, and how its kernels are launched. launch.cpp defines `module()`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "device/record.cuh"

namespace epgen {

struct KernelEntry;  // device/kernel.cuh

/// One rank's dispatch. Pointers are addresses in this rank's arena; they may be null when `num_tokens` is 0.
struct DispatchCall {
    uint32_t rank_idx;
    uint32_t num_tokens;
    uint32_t grid;        // blocks, 1..num_channels
    uint32_t buffer_idx;  // which receive buffer of the window
    uint32_t record_tag;  // never 0; the kernel writes it to `record->tag` when the counts are complete
    uint64_t deadline_ns;
    const void* x;             // [num_tokens][row_bytes]
    const void* topk_idx;      // i64[num_tokens][num_topk]
    const void* topk_weights;  // u32[num_tokens][num_topk], raw bits of f32
    void* handle;              // handle header, then i32 slot[num_tokens][num_ranks]
    CountRecord* record;       // mapped host memory
    FaultRecord* fault;        // mapped host memory
    std::byte* window[kMaxRanks];
};

/// One rank's combine. `handle` and `out` are addresses in this rank's arena.
struct CombineCall {
    uint32_t rank_idx;
    uint32_t num_tokens;
    uint32_t grid;  // blocks, 1..num_channels
    uint64_t deadline_ns;
    uint64_t input_offset;  // bytes from the start of the window; a multiple of 128
    const void* handle;
    void* out;           // [num_tokens][combine_row_bytes]
    FaultRecord* fault;  // mapped host memory
    std::byte* window[kMaxRanks];
};

/// The query kernel: who would receive what. No other rank takes part.
struct DispatchLayoutCall {
    uint32_t rank_idx;
    uint32_t num_tokens;
    uint32_t record_tag;
    const void* topk_idx;         // i64[num_tokens][num_topk]
    void* num_tokens_per_rank;    // i32[num_ranks]
    void* num_tokens_per_expert;  // i32[num_experts]
    void* is_token_in_rank;       // u8[num_tokens][num_ranks]
    CountRecord* record;          // mapped host memory
};

/// A launch that is ready for a stream: what to run, in how many blocks, with which arguments (bytes, copied).
struct Launch {
    const KernelEntry* entry;
    uint32_t grid;
    std::vector<std::byte> args;
};

/// Everything the runtime needs to know about one compiled spec.
struct Module {
    const char* name;
    const char* spec_hash;
    uint32_t num_ranks;
    uint32_t num_channels;
    uint32_t num_experts;
    uint32_t num_local_experts;
    uint32_t num_topk;
    uint32_t max_tokens_per_rank;
    uint32_t max_recv_tokens;
    uint32_t num_recv_buffers;
    uint64_t window_bytes;
    uint64_t arena_bytes;
    uint64_t control_bytes;  // of a window, from its start: all that reset_control() writes
    uint64_t handle_header_bytes;
    uint64_t record_bytes;  // a CountRecord and the counts that follow it
    uint64_t row_bytes;
    uint64_t combine_row_bytes;
    Launch (*dispatch)(const DispatchCall& call);
    Launch (*combine)(const CombineCall& call);
    Launch (*dispatch_layout)(const DispatchLayoutCall& call);
    /// Sets the control words of a window as if `epoch` calls had been made; takes a host pointer.
    void (*reset_control)(std::byte* window, uint32_t epoch);
};

/// The compiled spec of this addon.
const Module& module();

}  // namespace epgen
