// What a verifier knows of its spec beside the Module: shapes, and where results lie.
#pragma once

#include <cstddef>
#include <cstdint>

#include "verify/model.hpp"
#include "verify/model_low_latency.hpp"

namespace epgen::verify {

/// A region of the window in rows: `num_buffers` times `bytes`, `stride` apart. All zeros where the spec has none.
struct RowRegion {
    const char* name;
    uint64_t offset;
    uint64_t bytes;
    uint64_t stride;
    uint32_t num_buffers;
    uint32_t row_bytes;
    uint32_t element_bytes;
    uint32_t num_columns;  // of one element a row each, one after the other; 0: a row's elements lie side by side

    std::byte* buffer(std::byte* window, uint32_t buffer_idx) const { return window + offset + buffer_idx * stride; }
};

/// Rows of a region that follow each other in memory, or their elements of one column.
struct RowSpan {
    uint64_t offset;           // in the buffer
    uint64_t bytes;
    uint64_t free_bytes;       // behind them, up to what belongs to other rows
    uint64_t expected_offset;  // in the rows as they arrived, with no gaps
    uint64_t row_bytes;
};

/// Calls `visit(RowSpan)` for the received rows as they lie in a region.
template <class Visit>
void for_spans(const RowRegion& region, const model::Received& received, Visit visit) {
    const uint64_t width = region.element_bytes;
    for (const model::Segment& segment : received.segments) {
        const uint64_t num_free = segment.capacity - segment.num_rows;
        if (region.num_columns == 0) {
            const uint64_t row_bytes = region.row_bytes;
            visit(RowSpan{segment.first_row * row_bytes, segment.num_rows * row_bytes, num_free * row_bytes,
                          segment.first_arrival * row_bytes, row_bytes});
        }
        for (uint64_t column = 0; column < region.num_columns; ++column) {
            visit(RowSpan{column * (region.bytes / region.num_columns) + segment.first_row * width,
                          segment.num_rows * width, num_free * width,
                          (column * received.num_rows + segment.first_arrival) * width, width});
        }
    }
}

/// i32 arrays of a handle's header.
struct HandleField {
    const char* name;
    uint64_t offset;
};

/// Where low-latency calls have their rows: [local expert][max_recv_tokens] in each buffer. All zeros where the spec has
/// no such calls.
struct LowLatencyLayout {
    model::LlShape shape;
    uint32_t in_flight;
    uint32_t scale_column_words;  // rows that a column of scales has room for; 0: scales of a row lie side by side
    RowRegion recv_x, recv_x_scales, recv_src_idx, output;
    HandleField dispatch_epoch, num_tokens_per_expert, layout_range;

    bool has_credit() const { return recv_x.num_buffers == in_flight; }
};

struct SpecLayout {
    model::Shape shape;
    uint32_t live_results;
    bool combines_in_place;  // rows as received are rows that combine sums
    RowRegion recv_x, recv_x_scales, recv_extras;
    RowRegion recv_topk_idx, recv_topk_weights, recv_src_idx;
    RowRegion recv_channel_prefix;  // of one row
    RowRegion output, output_weights;
    HandleField num_recv_tokens, num_tokens_per_expert, rank_prefix, channel_prefix, recv_channel_prefix_of_handle;
    HandleField num_tokens_per_rank;  // where rows are slotted
    LowLatencyLayout low_latency;
};

/// spec_layout.cpp defines it, compiled with the spec's layout.cuh.
const SpecLayout& spec_layout();

}  // namespace epgen::verify
