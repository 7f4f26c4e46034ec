#include "verify/low_latency_streams.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "verify/sequence_memory.hpp"
#include "verify/streams.hpp"

namespace epgen::verify {

/// Buffers are taken in turn, from the first call that a group ever made on.
std::byte* LowLatencyStreams::buffer(uint32_t rank_idx, const RowRegion& region, uint32_t call_idx) const {
    const auto buffer_idx = static_cast<uint32_t>((calls_.num_earlier_calls + call_idx) % region.num_buffers);
    return region.buffer(ranks_[rank_idx].window.data(), buffer_idx);
}

bool LowLatencyStreams::is_live(uint32_t rank_idx, uint32_t dispatch_idx) const {
    const LlRankMemory& memory = memory_[rank_idx];
    return memory.is_received[dispatch_idx] && !memory.is_overwritten[dispatch_idx] &&
           dispatch_idx + layout_.in_flight >= memory.num_sent;
}

void LowLatencyStreams::prepare() {
    if (module_.num_ll_channels == 0) return;
    const model::LlShape& shape = layout_.shape;
    memory_.assign(shape.num_ranks, {});
    for (uint32_t rank_idx = 0; rank_idx < shape.num_ranks; ++rank_idx) {
        RankMemory& rank = ranks_[rank_idx];
        LlRankMemory& memory = memory_[rank_idx];
        for (const LlDispatch& dispatch : calls_.dispatches) {
            const model::Input& input = dispatch.inputs[rank_idx];
            const uint64_t slot_bytes = (input.num_tokens + kPoisonRows) * shape.num_topk * sizeof(int32_t);
            memory.dispatches.push_back({rank.take_copy(input.x), take_choices(module_, rank, input.topk_idx),
                                         rank.take(module_.ll_handle_header_bytes + slot_bytes)});
        }
        for (const LlCombine& combine : calls_.combines) {
            const uint64_t out_tail = kPoisonRows * shape.input_row_bytes();
            memory.combines.push_back({rank.take_copy(combine.weights[rank_idx]),
                                       rank.take_copy(combine.outputs[rank_idx]),
                                       rank.take(combine.sums[rank_idx].size() + out_tail)});
        }
        memory.staged = rank.take(ll_staged_bytes(layout_));
        memory.expert_stats = rank.take_copy(std::vector<int32_t>(shape.num_local_experts(), 0));
        memory.wait_stats = rank.take_copy(std::vector<int64_t>(shape.num_ranks, 0));
        memory.is_received.assign(calls_.dispatches.size(), false);
        memory.is_overwritten.assign(calls_.dispatches.size(), false);
        memory.is_poisoned.assign(calls_.dispatches.size(), true);
    }
    columns_.clear();
    for (const LlDispatch& dispatch : calls_.dispatches) {
        std::vector<std::vector<uint32_t>>& ranks = columns_.emplace_back();
        for (const model::LlReceived& received : dispatch.received) {
            std::vector<uint32_t>& columns = ranks.emplace_back();
            for_experts(received, [&](uint64_t, uint64_t packed, uint64_t num_rows) {
                for (uint32_t word = 0; word < shape.num_scale_words(); ++word) {
                    for (uint64_t row = packed; row < packed + num_rows; ++row) {
                        columns.push_back(received.x_scales[row * shape.num_scale_words() + word]);
                    }
                }
            });
        }
    }
    poison_windows();
}

/// Leaves nothing of earlier schedules: as many rows of each expert as the largest result has, and some.
void LowLatencyStreams::poison_windows() {
    const model::LlShape& shape = layout_.shape;
    uint64_t most_rows = 0;
    for (const LlDispatch& dispatch : calls_.dispatches) {
        for (const model::LlReceived& received : dispatch.received) {
            for (const int32_t count : received.num_tokens_per_expert) {
                most_rows = std::max(most_rows, static_cast<uint64_t>(count));
            }
        }
    }
    most_rows = std::min<uint64_t>(most_rows + kPoisonRows, shape.max_recv_tokens());
    for (const RankMemory& rank : ranks_) {
        for (const RowRegion* region : {&layout_.recv_x, &layout_.recv_src_idx, &layout_.output,
                                        &layout_.recv_x_scales}) {
            const bool has_columns = region == &layout_.recv_x_scales && layout_.scale_column_words > 0;
            for (uint32_t buffer_idx = 0; buffer_idx < region->num_buffers; ++buffer_idx) {
                std::byte* data = region->buffer(rank.window.data(), buffer_idx);
                if (has_columns) std::memset(data, kPoison, region->bytes);
                for (uint32_t expert = 0; expert < shape.num_local_experts() && !has_columns; ++expert) {
                    std::memset(data + uint64_t{expert} * shape.max_recv_tokens() * region->row_bytes, kPoison,
                                most_rows * region->row_bytes);
                }
            }
        }
    }
}

void LowLatencyStreams::enqueue_kernel(simt::Machine& machine, uint32_t rank_idx, Launch launch) {
    machine.enqueue(rank_idx, simt::Kernel{launch.entry, launch.grid, std::move(launch.args), {}});
}

void LowLatencyStreams::enqueue_delay(simt::Machine& machine, uint32_t rank_idx, uint32_t delay_ns) {
    if (delay_ns != 0 && !options_.explores) machine.enqueue(rank_idx, simt::Delay{delay_ns});
}

void LowLatencyStreams::enqueue_before(simt::Machine& machine, uint32_t rank_idx, uint32_t call_idx) {
    if (calls_.orders[rank_idx].empty()) return;
    const std::vector<LlOrder>& orders = calls_.orders[rank_idx];
    for (size_t& next = memory_[rank_idx].next_order; next < orders.size(); ++next) {
        const LlOrder& order = orders[next];
        if (order.before_call != call_idx) return;
        enqueue_delay(machine, rank_idx, order.delay_ns);
        if (order.is_dispatch) {
            enqueue_dispatch(machine, rank_idx, order);
        } else {
            enqueue_combine(machine, rank_idx, order);
        }
    }
}

/// Where no peer can have written yet. Without a credit it may write rows of D(e) once it has received D(e−k), for which
/// this rank has sent that; so this comes before S(e−k). With a credit peers wait for S(e) itself.
void LowLatencyStreams::enqueue_poison(simt::Machine& machine, uint32_t rank_idx, uint32_t dispatch_idx) {
    const uint32_t early = layout_.has_credit() ? 0 : layout_.in_flight;
    const uint32_t poisoned_idx = dispatch_idx + early;
    if (poisoned_idx < layout_.recv_x.num_buffers || poisoned_idx >= calls_.dispatches.size()) return;
    // What lies there may be what this send takes its rows from.
    const LlSource& source = calls_.dispatches[dispatch_idx].sources[rank_idx];
    if (source.dispatch_idx != LlSource::kNone && source.dispatch_idx + layout_.in_flight == dispatch_idx) {
        memory_[rank_idx].is_poisoned[poisoned_idx] = false;
        return;
    }
    const model::LlReceived& received = calls_.dispatches[poisoned_idx].received[rank_idx];
    const uint64_t capacity = layout_.shape.max_recv_tokens();
    for (const RowRegion* region : {&layout_.recv_x, &layout_.recv_src_idx, &layout_.recv_x_scales}) {
        if (region->row_bytes == 0) continue;
        std::byte* data = buffer(rank_idx, *region, poisoned_idx);
        if (region == &layout_.recv_x_scales && layout_.scale_column_words > 0) {
            machine.enqueue(rank_idx, simt::Fill{data, kPoison, region->bytes});
            continue;
        }
        for_experts(received, [&](uint64_t row, uint64_t, uint64_t num_rows) {
            const uint64_t num_poisoned = std::min(num_rows + kPoisonRows, capacity);
            machine.enqueue(rank_idx,
                            simt::Fill{data + row * region->row_bytes, kPoison, num_poisoned * region->row_bytes});
        });
    }
}

void LowLatencyStreams::enqueue_dispatch(simt::Machine& machine, uint32_t rank_idx, const LlOrder& order) {
    const model::LlShape& shape = layout_.shape;
    const LlDispatch& dispatch = calls_.dispatches[order.idx];
    const model::Input& input = dispatch.inputs[rank_idx];
    const model::LlReceived& received = dispatch.received[rank_idx];
    LlRankMemory& memory = memory_[rank_idx];
    const DispatchMemory& own = memory.dispatches[order.idx];
    const bool sends = (order.phases & kLlSend) != 0, receives = (order.phases & kLlReceive) != 0;
    LlDispatchCall launch{};
    launch.rank_idx = rank_idx;
    launch.num_tokens = input.num_tokens;
    launch.grid = order.grid;
    launch.phases = order.phases;
    launch.deadline_ns = kNoDeadline;
    launch.handle = own.handle;
    launch.fault = ranks_[rank_idx].fault();
    for (uint32_t peer = 0; peer < shape.num_ranks; ++peer) launch.window[peer] = ranks_[peer].window.data();
    if (sends) {
        const uint32_t ended_idx = order.idx - layout_.in_flight;  // whose result lives no longer
        if (order.idx >= layout_.in_flight && !memory.is_overwritten[ended_idx]) {
            compare_received(machine, rank_idx, order, ended_idx, true);
        }
        enqueue_poison(machine, rank_idx, order.idx);
        const uint64_t slot_bytes = (received.slot.size() + kPoisonRows * shape.num_topk) * sizeof(int32_t);
        machine.enqueue(rank_idx, simt::Fill{own.handle, kPoison, module_.ll_handle_header_bytes + slot_bytes});
        if (input.num_tokens > 0) {
            launch.x = sent_rows(rank_idx, order.idx);
            launch.topk_idx = own.topk_idx;
        }
        launch.record_tag = 0x40000000u + order.idx;
        ExpectedRecord record{order.idx, false, launch.record_tag, nullptr, nullptr, &input};
        record.order = &order.text;
        record.first_bad_choice_of_order = received.first_bad_choice;
        launch.record = records_.take(machine, rank_idx, record);
    }
    if (receives && !order.expert_stats.empty()) {
        launch.expert_stats = memory.expert_stats;
        launch.wait_stats = memory.wait_stats;
    }
    enqueue_kernel(machine, rank_idx, module_.ll_dispatch(launch));
    if (sends) ++memory.num_sent;
    enqueue_delay(machine, rank_idx, order.rest_ns);
    if (sends) compare_sent(machine, rank_idx, order);
    if (!receives) return;
    memory.is_received[order.idx] = true;
    compare_received(machine, rank_idx, order, order.idx, false);
    compare_handle(machine, rank_idx, order);
    if (!order.expert_stats.empty()) {
        results_.compare_later(machine, memory.expert_stats,
                               {"expert_stats", nullptr, 0, rank_idx, order.expert_stats.data(),
                                order.expert_stats.size() * sizeof(int32_t), 0, sizeof(int32_t), sizeof(int32_t),
                                &order.text});
    }
    if (order.is_overwritten) overwrite_received(machine, rank_idx, order.idx);
}

/// What a caller may do with its result.
void LowLatencyStreams::overwrite_received(simt::Machine& machine, uint32_t rank_idx, uint32_t dispatch_idx) {
    constexpr uint8_t kOverwritten = 0x35;
    memory_[rank_idx].is_overwritten[dispatch_idx] = true;
    const model::LlReceived& received = calls_.dispatches[dispatch_idx].received[rank_idx];
    std::byte* x = buffer(rank_idx, layout_.recv_x, dispatch_idx);
    for_experts(received, [&](uint64_t row, uint64_t, uint64_t num_rows) {
        if (num_rows == 0) return;
        const uint64_t row_bytes = layout_.recv_x.row_bytes;
        machine.enqueue(rank_idx, simt::Fill{x + row * row_bytes, kOverwritten, num_rows * row_bytes});
    });
}

const std::byte* LowLatencyStreams::sent_rows(uint32_t rank_idx, uint32_t dispatch_idx) const {
    const LlSource& source = calls_.dispatches[dispatch_idx].sources[rank_idx];
    if (source.dispatch_idx == LlSource::kNone || !is_live(rank_idx, source.dispatch_idx)) {
        return memory_[rank_idx].dispatches[dispatch_idx].x;
    }
    const uint64_t first_row = uint64_t{source.expert} * layout_.shape.max_recv_tokens();
    return buffer(rank_idx, layout_.recv_x, source.dispatch_idx) + first_row * layout_.recv_x.row_bytes;
}

uint64_t LowLatencyStreams::place_outputs(simt::Machine& machine, uint32_t rank_idx, const LlOrder& order) {
    const LlCombine& combine = calls_.combines[order.idx];
    const model::LlReceived& received = calls_.dispatches[combine.dispatch_idx].received[rank_idx];
    const LlRankMemory& memory = memory_[rank_idx];
    const uint64_t row_bytes = layout_.shape.input_row_bytes();
    std::byte* window = ranks_[rank_idx].window.data();
    std::byte* output = buffer(rank_idx, layout_.output, order.idx);
    const bool is_in_place =
        order.is_staged && combine.has_received[rank_idx] && is_live(rank_idx, combine.dispatch_idx);
    std::byte* to = order.is_staged ? memory.staged : output;
    for_experts(received, [&](uint64_t row, uint64_t packed, uint64_t num_rows) {
        if (num_rows == 0 || is_in_place) return;
        const std::byte* from = memory.combines[order.idx].outputs + packed * row_bytes;
        machine.enqueue(rank_idx, simt::Copy{to + row * row_bytes, from, num_rows * row_bytes});
    });
    const auto offset = static_cast<uint64_t>(output - window);
    if (!order.is_staged) return offset;
    LlStageCall launch{};
    launch.rank_idx = rank_idx;
    launch.grid = order.grid;
    launch.deadline_ns = kNoDeadline;
    launch.output_offset = offset;
    launch.handle = memory.dispatches[combine.dispatch_idx].handle;
    launch.x = is_in_place ? buffer(rank_idx, layout_.recv_x, combine.dispatch_idx) : memory.staged;
    launch.fault = ranks_[rank_idx].fault();
    for (uint32_t peer = 0; peer < module_.num_ranks; ++peer) launch.window[peer] = ranks_[peer].window.data();
    enqueue_kernel(machine, rank_idx, module_.ll_stage(launch));
    return offset;
}

void LowLatencyStreams::enqueue_combine(simt::Machine& machine, uint32_t rank_idx, const LlOrder& order) {
    const model::LlShape& shape = layout_.shape;
    const LlCombine& combine = calls_.combines[order.idx];
    const std::vector<uint8_t>& sums = combine.sums[rank_idx];
    const LlRankMemory& memory = memory_[rank_idx];
    const CombineMemory& own = memory.combines[order.idx];
    const uint64_t out_tail = kPoisonRows * shape.input_row_bytes();
    const bool receives = (order.phases & kLlReceive) != 0;
    LlCombineCall launch{};
    launch.rank_idx = rank_idx;
    launch.num_tokens = calls_.dispatches[combine.dispatch_idx].inputs[rank_idx].num_tokens;
    launch.grid = order.grid;
    launch.phases = order.phases;
    launch.deadline_ns = kNoDeadline;
    launch.handle = memory.dispatches[combine.dispatch_idx].handle;
    launch.fault = ranks_[rank_idx].fault();
    for (uint32_t peer = 0; peer < shape.num_ranks; ++peer) launch.window[peer] = ranks_[peer].window.data();
    if ((order.phases & kLlSend) != 0) launch.input_offset = place_outputs(machine, rank_idx, order);
    if (receives) {
        machine.enqueue(rank_idx, simt::Fill{own.out, kPoison, sums.size() + out_tail});
        if (!sums.empty()) {
            launch.topk_weights = own.weights;
            launch.out = own.out;
        }
        if (module_.has_ll_stats && order.rest_ns % 2 == 0) launch.wait_stats = memory.wait_stats;
    }
    enqueue_kernel(machine, rank_idx, module_.ll_combine(launch));
    if (!receives) return;
    // Its end shows that every rank has ended the combine `in_flight` before it, whose output buffer is the caller's.
    if (order.idx >= layout_.in_flight) {
        const uint32_t ended_idx = order.idx - layout_.in_flight;
        const uint32_t dispatch_idx = calls_.combines[ended_idx].dispatch_idx;
        std::byte* output = buffer(rank_idx, layout_.output, ended_idx);
        for_experts(calls_.dispatches[dispatch_idx].received[rank_idx], [&](uint64_t row, uint64_t, uint64_t num_rows) {
            if (num_rows == 0) return;
            const uint64_t row_bytes = layout_.output.row_bytes;
            machine.enqueue(rank_idx, simt::Fill{output + row * row_bytes, kPoison, num_rows * row_bytes});
        });
    }
    enqueue_delay(machine, rank_idx, order.rest_ns);
    results_.compare_later(machine, own.out,
                           {"low-latency out", nullptr, 0, rank_idx, sums.data(), sums.size(), out_tail, 2,
                            shape.input_row_bytes(), &order.text});
}

}  // namespace epgen::verify
