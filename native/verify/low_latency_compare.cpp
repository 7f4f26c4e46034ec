// What low-latency calls must leave, compared where the ranks' streams are then.
#include "device/record.cuh"
#include "verify/low_latency_streams.hpp"
#include "verify/sequence_memory.hpp"

namespace epgen::verify {

void LowLatencyStreams::compare_rows(simt::Machine& machine, uint32_t rank_idx, const LlOrder& order,
                                     const model::LlReceived& received, const Rows& rows, uint64_t num_poison_rows) {
    if (rows.region.row_bytes == 0) return;
    const uint64_t row_bytes = rows.region.row_bytes;
    const std::byte* data = buffer(rank_idx, rows.region, rows.buffer_idx);
    for_experts(received, [&](uint64_t row, uint64_t packed, uint64_t num_rows) {
        const uint64_t num_free = layout_.shape.max_recv_tokens() - num_rows;
        results_.compare_later(machine, data + row * row_bytes,
                               {rows.what, nullptr, 0, rank_idx,
                                static_cast<const std::byte*>(rows.expected) + packed * row_bytes,
                                num_rows * row_bytes, std::min(num_free, num_poison_rows) * row_bytes,
                                rows.region.element_bytes, row_bytes, &order.text});
    });
}

void LowLatencyStreams::compare_scale_columns(simt::Machine& machine, uint32_t rank_idx, const LlOrder& order,
                                              const model::LlReceived& received, const Rows& rows,
                                              uint64_t num_poison_rows) {
    const uint64_t num_words = layout_.shape.num_scale_words(), capacity = layout_.scale_column_words;
    const std::byte* data = buffer(rank_idx, rows.region, rows.buffer_idx);
    const auto* expected = static_cast<const uint32_t*>(rows.expected);
    for_experts(received, [&](uint64_t row, uint64_t packed, uint64_t num_rows) {
        const uint64_t expert = row / layout_.shape.max_recv_tokens();
        for (uint64_t word = 0; word < num_words; ++word) {
            const uint64_t column = (expert * num_words + word) * capacity;
            const uint64_t num_free = std::min(num_poison_rows, capacity - num_rows);
            results_.compare_later(machine, data + column * sizeof(uint32_t),
                                   {rows.what, nullptr, 0, rank_idx, expected + packed * num_words + word * num_rows,
                                    num_rows * sizeof(uint32_t), num_free * sizeof(uint32_t), sizeof(uint32_t),
                                    sizeof(uint32_t), &order.text});
        }
    });
}

void LowLatencyStreams::compare_received(simt::Machine& machine, uint32_t rank_idx, const LlOrder& order,
                                         uint32_t dispatch_idx, bool is_late) {
    const model::LlReceived& received = calls_.dispatches[dispatch_idx].received[rank_idx];
    const bool is_poisoned = !is_late && memory_[rank_idx].is_poisoned[dispatch_idx];
    const uint64_t num_poison_rows = is_poisoned ? kPoisonRows : 0;
    const auto what = [&](const char* at_once, const char* late) { return is_late ? late : at_once; };
    compare_rows(machine, rank_idx, order, received,
                 {what("ll_recv_x", "ll_recv_x of an older dispatch that is still live"), layout_.recv_x, dispatch_idx,
                  received.x.data()},
                 num_poison_rows);
    compare_rows(machine, rank_idx, order, received,
                 {what("ll_recv_src_idx", "ll_recv_src_idx of an older dispatch that is still live"),
                  layout_.recv_src_idx, dispatch_idx, received.src_idx.data()},
                 num_poison_rows);
    const char* scales = what("ll_recv_x_scales", "ll_recv_x_scales of an older dispatch that is still live");
    if (layout_.scale_column_words > 0) {
        compare_scale_columns(machine, rank_idx, order, received,
                              {scales, layout_.recv_x_scales, dispatch_idx, columns_[dispatch_idx][rank_idx].data()},
                              num_poison_rows);
    } else {
        compare_rows(machine, rank_idx, order, received,
                     {scales, layout_.recv_x_scales, dispatch_idx, received.x_scales.data()}, num_poison_rows);
    }
}

void LowLatencyStreams::compare_handle(simt::Machine& machine, uint32_t rank_idx, const LlOrder& order) {
    const model::LlReceived& received = calls_.dispatches[order.idx].received[rank_idx];
    const std::byte* handle = memory_[rank_idx].dispatches[order.idx].handle;
    const auto compare = [&](const char* what, uint64_t offset, const auto& expected, uint64_t width, uint64_t tail) {
        const auto bytes = static_cast<uint32_t>(sizeof(expected[0]));
        results_.compare_later(machine, handle + offset,
                               {what, nullptr, 0, rank_idx, expected.data(), expected.size() * bytes, tail * bytes,
                                bytes, width * bytes, &order.text});
    };
    const uint64_t num_topk = layout_.shape.num_topk;
    compare("handle.num_tokens_per_expert", layout_.num_tokens_per_expert.offset, received.num_tokens_per_expert, 1, 0);
    compare("handle.layout_range", layout_.layout_range.offset, received.layout_range, layout_.shape.num_ranks, 0);
    compare("handle.slot", module_.ll_handle_header_bytes, received.slot, num_topk, kPoisonRows * num_topk);
}

/// Between the halves of a dispatch nothing has come, but the places of the rank's own rows are known.
void LowLatencyStreams::compare_sent(simt::Machine& machine, uint32_t rank_idx, const LlOrder& order) {
    const LlDispatch& dispatch = calls_.dispatches[order.idx];
    const std::byte* handle = memory_[rank_idx].dispatches[order.idx].handle;
    const auto compare = [&](const char* what, const std::byte* seen, const auto& expected, uint64_t num_poison) {
        const auto bytes = static_cast<uint32_t>(sizeof(expected[0]));
        results_.compare_later(machine, seen,
                               {what, nullptr, 0, rank_idx, expected.data(), expected.size() * bytes,
                                num_poison * bytes, bytes, bytes, &order.text});
    };
    results_.compare_later(machine, handle + layout_.dispatch_epoch.offset,
                           {"handle.dispatch_epoch", nullptr, 0, rank_idx, &dispatch.epoch, sizeof dispatch.epoch, 0,
                            sizeof dispatch.epoch, sizeof dispatch.epoch, &order.text});
    if ((order.phases & kLlReceive) != 0) return;
    compare("handle.num_tokens_per_expert", handle + layout_.num_tokens_per_expert.offset, nothing_per_expert_, 0);
    compare("handle.layout_range", handle + layout_.layout_range.offset, nothing_per_source_, 0);
    compare("handle.slot", handle + module_.ll_handle_header_bytes, dispatch.received[rank_idx].slot,
            kPoisonRows * layout_.shape.num_topk);
}

}  // namespace epgen::verify
