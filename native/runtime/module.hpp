// One compiled spec as the runtime sees it: sizes, and how its kernels are launched. launch.cpp defines `module()`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "device/record.cuh"

namespace epgen {

struct KernelEntry;  // device/kernel.cuh

/// All numbers of buffers that low-latency calls take turns in divide it.
constexpr uint32_t kLlEpochStep = 8;

/// Where a dispatch's routing comes from: chosen experts, a layout, or the handle of an earlier dispatch.
enum class DispatchMode { topk, layout, cached };

/// One rank's dispatch. Pointers are addresses in this rank's arena; they may be null when `num_tokens` is 0.
struct DispatchCall {
    DispatchMode mode;
    uint32_t rank_idx;
    uint32_t num_tokens;
    uint32_t grid;        // blocks, 1..num_channels
    uint32_t buffer_idx;  // which receive buffer of the window
    uint32_t record_tag;  // never 0; the kernel writes it to `record->tag` when the counts are complete
    uint32_t expert_alignment;  // counts per expert are rounded up to a multiple of it
    uint32_t num_worst_tokens;  // rows that the caller sees, padded; 0 for those that came
    uint64_t deadline_ns;
    const void* x;                      // [num_tokens][row_bytes]
    const void* x_scales;               // [num_tokens][scale_bytes], or its transpose in 4-byte words
    const void* extras;                 // [num_tokens][extra_bytes]
    const void* topk_idx;               // topk: [num_tokens][num_topk][topk_idx_bytes]
    const void* topk_weights;           // topk: u32[num_tokens][num_topk], raw bits of f32
    const void* is_token_in_rank;       // layout: u8[num_tokens][num_ranks]
    const void* num_tokens_per_expert;  // layout: i32[num_experts]
    void* handle;                       // handle header, then i32 slot[num_tokens][num_ranks]; cached: only read
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
    void* out_weights;   // u32[num_tokens][num_topk], raw bits of f32; of no tokens where no weights are combined
    uint64_t weights_offset;  // of the weights in the window; a multiple of 128, 0 for none
    const void* bias[2];      // [num_tokens][combine_row_bytes]; null where there is none
    FaultRecord* fault;       // mapped host memory
    std::byte* window[kMaxRanks];
};

/// Received rows to rows by local expert, in two kernels of as many blocks. No other rank takes part.
struct ExpertMajorCall {
    uint32_t grid;
    uint32_t num_rows;
    uint32_t num_expert_rows;  // with padding
    uint32_t pads_zeros;       // 0 or 1
    const void* handle;
    const void *recv_x, *recv_x_scales, *recv_extras, *recv_topk_idx, *recv_topk_weights;
    void* counts;              // u32[grid][num_local_experts]; the first kernel leaves it for the second
    void *x, *x_scales, *extras, *topk_weights, *slot;
};

/// Sums of rows by local expert, back to rows as they were received. No other rank takes part.
struct ExpertSumCall {
    uint32_t grid;
    uint32_t num_rows;
    uint32_t num_expert_rows;
    const void *y, *slot;
    void* sums;
};

/// The query kernel: who would receive what. No other rank takes part.
struct DispatchLayoutCall {
    uint32_t rank_idx;
    uint32_t num_tokens;
    uint32_t record_tag;
    const void* topk_idx;         // [num_tokens][num_topk][topk_idx_bytes]
    void* num_tokens_per_rank;    // i32[num_ranks]
    void* num_tokens_per_expert;  // i32[num_experts]
    void* is_token_in_rank;       // u8[num_tokens][num_ranks]
    CountRecord* record;          // mapped host memory
};

/// One rank's low-latency dispatch, or one half of it. A receive alone reads what the send has left in the handle.
struct LlDispatchCall {
    uint32_t rank_idx;
    uint32_t num_tokens;
    uint32_t grid;        // blocks, 1..num_ll_channels; 1 for a receive alone
    uint32_t phases;      // bits kLlSend and kLlReceive
    uint32_t record_tag;  // of a send: never 0; the kernel writes it to `record->tag` when all choices were looked at
    uint64_t deadline_ns;
    const void* x;         // [num_tokens][ll_input_row_bytes]
    const void* topk_idx;  // [num_tokens][num_topk][topk_idx_bytes]
    void* handle;          // handle header, then i32 slot[num_tokens][num_topk]
    void* expert_stats;    // i32[num_local_experts], grows by the tokens of each; null where nobody asks
    void* wait_stats;      // i64[num_ranks], grows by the ns that each source was awaited; null where nobody asks
    CountRecord* record;   // of a send; mapped host memory
    FaultRecord* fault;    // mapped host memory
    std::byte* window[kMaxRanks];
};

/// One rank's low-latency combine, or one half of it. A receive alone reads what the send has left in the handle.
struct LlCombineCall {
    uint32_t rank_idx;
    uint32_t num_tokens;
    uint32_t grid;    // blocks, 1..num_ll_channels; 1 for a send alone
    uint32_t phases;  // bits kLlSend and kLlReceive
    uint64_t deadline_ns;
    uint64_t input_offset;  // of a send: bytes from the start of the window, a multiple of 128
    void* handle;
    const void* topk_weights;  // u32[num_tokens][num_topk], raw bits of f32
    void* out;                 // [num_tokens][ll_input_row_bytes]
    void* wait_stats;          // as that of a dispatch
    FaultRecord* fault;        // mapped host memory
    std::byte* window[kMaxRanks];
};

/// Rows by local expert to where a low-latency combine reads them. No other rank takes part.
struct LlStageCall {
    uint32_t rank_idx;
    uint32_t grid;
    uint64_t deadline_ns;
    uint64_t output_offset;  // bytes from the start of the window, a multiple of 128
    const void* handle;      // says which rows came
    const void* x;           // [num_local_experts][max_ll_recv_tokens][ll_input_row_bytes]
    FaultRecord* fault;      // mapped host memory
    std::byte* window[kMaxRanks];
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
    uint32_t num_experts;
    uint32_t num_local_experts;
    uint32_t num_topk;
    uint64_t window_bytes;
    uint64_t arena_bytes;
    uint64_t control_bytes;  // of a window, from its start: all that reset_control() writes
    uint64_t record_bytes;   // a CountRecord and the counts that follow it
    uint64_t topk_idx_bytes;
    // Of high-throughput calls; 0 where the spec has none.
    const char *row_type, *combine_type;  // of the elements that dispatch and combine move, as specs name them
    uint32_t num_channels;
    uint32_t max_tokens_per_rank;
    uint32_t max_recv_tokens;
    uint32_t num_recv_buffers;
    uint64_t handle_header_bytes;
    uint64_t row_bytes;
    uint64_t combine_row_bytes;
    uint64_t scale_bytes;  // of one token; 0 where rows have no scales
    uint64_t scale_column_words;  // from one column of received scales to the next; 0 where they lie in rows
    uint64_t extra_bytes;  // of one token
    uint32_t num_biases;   // that a combine may have
    uint32_t num_rank_counts;  // that a record has behind those per expert; 0 where rows have no gaps
    bool has_without_topk, has_cached, has_worst_tokens, has_combine_weights;
    // Of low-latency calls; 0 where the spec has none.
    uint32_t num_ll_channels;
    uint32_t max_ll_tokens_per_rank;
    uint32_t max_ll_recv_tokens;  // rows that a local expert may have
    uint64_t ll_handle_header_bytes;
    uint64_t ll_input_row_bytes;
    uint64_t ll_output_row_bytes;  // of what a combine pulls
    bool has_ll_stats;
    bool rounds_ll_scales;  // of fp8 rows, to powers of two
    std::vector<const KernelEntry*> kernels;
    // Null where the spec has no high-throughput calls.
    Launch (*dispatch)(const DispatchCall& call);
    Launch (*combine)(const CombineCall& call);
    Launch (*dispatch_layout)(const DispatchLayoutCall& call);
    // Null where the spec has no low-latency calls.
    Launch (*ll_dispatch)(const LlDispatchCall& call);
    Launch (*ll_combine)(const LlCombineCall& call);
    Launch (*ll_stage)(const LlStageCall& call);
    // Null where the spec has no expert-major.
    Launch (*expert_counts)(const ExpertMajorCall& call);
    Launch (*expert_major)(const ExpertMajorCall& call);
    Launch (*expert_sum)(const ExpertSumCall& call);
    /// Sets the control words of a window as if `epoch` calls of each kind had been made; takes a host pointer to
    /// control_bytes, aligned as windows are. Of a spec with low-latency calls, `epoch` is a multiple of kLlEpochStep:
    /// the next calls then use the first buffers.
    void (*reset_control)(std::byte* window, uint32_t epoch);
};

/// The compiled spec of this addon.
const Module& module();

}  // namespace epgen
