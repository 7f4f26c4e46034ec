#include <utility>

#include "runtime/expect.hpp"
#include "runtime/group.hpp"

namespace epgen {
namespace {

constexpr uint64_t kMaxExpertAlignment = 65536;
constexpr uint64_t kInputAlignment = 128;  // of combine's input: a ready word carries its offset in these units

}  // namespace

/// The call's bias number `i`, where it has one.
const void* Group::bias_at(const RankState& rank, const CombineRequest& request, uint32_t i) const {
    if (request.bias[i] == 0) return nullptr;
    require_built(i == 0 ? "biases" : "a second bias", i < module_.num_biases);
    return memory_at(rank, i == 0 ? "bias[0]" : "bias[1]", request.bias[i],
                     uint64_t{request.num_tokens} * module_.combine_row_bytes, kVectorBytes);
}

void Group::check_tokens(uint32_t num_tokens) const {
    require_built("high-throughput calls", module_.num_channels > 0);
    expect_within("numTokens", num_tokens, 0, module_.max_tokens_per_rank);
}

void Group::check_call(uint32_t num_tokens, uint32_t grid) const {
    check_tokens(num_tokens);
    expect_within("grid", grid, 1, module_.num_channels);
}

/// A call runs on its rank's own stream or on that of its window.
void Group::check_place(const RankState& rank, uint32_t window_idx, uint32_t stream_idx) const {
    expect_within("window", window_idx, 0, rank.memory.windows.size() - 1);
    if (stream_idx == kMainStream || stream_idx == comm_stream(window_idx)) return;
    refuse("stream", "0 or " + std::to_string(comm_stream(window_idx)), std::to_string(stream_idx));
}

/// Rows that lie in a window from there on, at an offset that a ready word can carry.
void Group::check_rows_offset(const char* name, uint64_t offset, uint64_t num_bytes) const {
    expect_within(name, offset, 0, module_.window_bytes - num_bytes);
    expect_multiple(name, offset, kInputAlignment);
}

uint64_t Group::handle_bytes(uint64_t num_tokens) const {
    return module_.handle_header_bytes + num_tokens * module_.num_ranks * sizeof(int32_t);
}

/// Makes the operation its rank's next collective call and returns the deadline of its waits, in ns.
uint64_t Group::number_collective(RankState& rank, Operation& operation, uint32_t window_idx) {
    operation.window_idx = window_idx;
    operation.ordinal = ++rank.num_collectives;
    operation.deadline_ms = rank.called_before ? options_.deadline_ms : options_.first_deadline_ms;
    rank.called_before = true;
    return operation.deadline_ns();
}

void Group::set_windows(std::byte* (&window)[kMaxRanks], uint32_t window_idx) const {
    for (const RankState& rank : ranks_) window[rank.rank_idx] = rank.memory.windows[window_idx].data;
}

void Group::dispatch(uint32_t rank_idx, const DispatchRequest& request, Completion completion) {
    const std::lock_guard lock(mutex_);
    RankState& rank = rank_at(rank_idx);
    const uint64_t num_tokens = request.num_tokens;
    const bool has_topk = request.mode == DispatchMode::topk;
    const bool has_layout = request.mode == DispatchMode::layout;
    const uint64_t num_choices = has_topk ? num_tokens * module_.num_topk : 0;
    check_call(request.num_tokens, request.grid);
    check_place(rank, request.window_idx, request.stream_idx);
    expect_within("buffer", request.buffer_idx, 0, module_.num_recv_buffers - 1);
    expect_within("numWorstTokens", request.num_worst_tokens, 0, module_.has_worst_tokens ? module_.max_recv_tokens : 0);
    expect_within("expertAlignment", request.expert_alignment, 1, kMaxExpertAlignment);
    require_built("dispatch from a layout", !has_layout || module_.has_without_topk);
    require_built("dispatch from a handle", request.mode != DispatchMode::cached || module_.has_cached);
    DispatchCall call{
        .mode = request.mode,
        .rank_idx = rank_idx,
        .num_tokens = request.num_tokens,
        .grid = request.grid,
        .buffer_idx = request.buffer_idx,
        .record_tag = 0,
        .expert_alignment = request.expert_alignment,
        .num_worst_tokens = request.num_worst_tokens,
        .deadline_ns = 0,
        .x = memory_at(rank, "x", request.x, num_tokens * module_.row_bytes, kVectorBytes),
        .x_scales = memory_at(rank, "xScales", request.x_scales, num_tokens * module_.scale_bytes, kWordBytes),
        .extras = memory_at(rank, "extras", request.extras, num_tokens * module_.extra_bytes, kWordBytes),
        .topk_idx =
            memory_at(rank, "topkIdx", request.topk_idx, num_choices * module_.topk_idx_bytes, module_.topk_idx_bytes),
        .topk_weights =
            memory_at(rank, "topkWeights", request.topk_weights, num_choices * sizeof(float), sizeof(float)),
        .is_token_in_rank = memory_at(rank, "layout.isTokenInRank", request.is_token_in_rank,
                                      has_layout ? num_tokens * module_.num_ranks : 0),
        .num_tokens_per_expert = memory_at(rank, "layout.numTokensPerExpert", request.num_tokens_per_expert,
                                           has_layout ? module_.num_experts * sizeof(int32_t) : 0, kWordBytes),
        .handle = memory_at(rank, "handle", request.handle, handle_bytes(num_tokens), kVectorBytes),
        .record = nullptr,
        .fault = rank.memory.windows[request.window_idx].fault,
        .window = {},
    };
    require_usable(rank);
    set_windows(call.window, request.window_idx);
    if (capture_) return capture_dispatch(rank, request.stream_idx, call, completion);
    const bool counts = request.mode != DispatchMode::cached;
    const auto kind = counts ? OperationKind::dispatch : OperationKind::dispatch_cached;
    auto operation = make_operation(kind, rank, std::move(completion));
    operation->num_worst_tokens = request.num_worst_tokens;
    call.deadline_ns = number_collective(rank, *operation, request.window_idx);
    operation->append = [this, call, &rank, stream_idx = request.stream_idx](const OperationPtr& self) mutable {
        if (self->counts()) {
            call.record = record_of(rank, *self);
            call.record_tag = self->shared_records.empty() ? self->record_tag : kSharedTag;
        }
        backend_->launch(self->rank_idx, stream_idx, module_.dispatch(call), end_of(self));
    };
    accept(rank, std::move(operation));
}

void Group::combine(uint32_t rank_idx, const CombineRequest& request, Completion completion) {
    const std::lock_guard lock(mutex_);
    RankState& rank = rank_at(rank_idx);
    const uint64_t num_tokens = request.num_tokens;
    check_call(request.num_tokens, request.grid);
    check_place(rank, request.window_idx, request.stream_idx);
    check_rows_offset("inputOffset", request.input_offset, module_.max_recv_tokens * module_.combine_row_bytes);
    const uint64_t weights_bytes = module_.max_recv_tokens * module_.num_topk * sizeof(float);
    expect_within("weightsOffset", request.weights_offset, 0,
                  module_.has_combine_weights ? module_.window_bytes - weights_bytes : 0);
    expect_multiple("weightsOffset", request.weights_offset, kInputAlignment);
    CombineCall call{
        .rank_idx = rank_idx,
        .num_tokens = request.num_tokens,
        .grid = request.grid,
        .deadline_ns = 0,
        .input_offset = request.input_offset,
        .handle = memory_at(rank, "handle", request.handle, handle_bytes(num_tokens), kVectorBytes),
        .out = memory_at(rank, "out", request.out, num_tokens * module_.combine_row_bytes, kVectorBytes),
        .out_weights = memory_at(rank, "outWeights", request.out_weights,
                                 request.weights_offset == 0 ? 0 : num_tokens * module_.num_topk * sizeof(float),
                                 sizeof(float)),
        .weights_offset = request.weights_offset,
        .bias = {bias_at(rank, request, 0), bias_at(rank, request, 1)},
        .fault = rank.memory.windows[request.window_idx].fault,
        .window = {},
    };
    require_usable(rank);
    set_windows(call.window, request.window_idx);
    if (capture_) return capture_combine(rank, request.stream_idx, call, completion);
    auto operation = make_operation(OperationKind::combine, rank, std::move(completion));
    call.deadline_ns = number_collective(rank, *operation, request.window_idx);
    operation->append = [this, call, stream_idx = request.stream_idx](const OperationPtr& self) {
        backend_->launch(self->rank_idx, stream_idx, module_.combine(call), end_of(self));
    };
    accept(rank, std::move(operation));
}

void Group::dispatch_layout(uint32_t rank_idx, const DispatchLayoutRequest& request, Completion completion) {
    const std::lock_guard lock(mutex_);
    RankState& rank = rank_at(rank_idx);
    const uint64_t num_tokens = request.num_tokens;
    check_tokens(request.num_tokens);
    DispatchLayoutCall call{
        .rank_idx = rank_idx,
        .num_tokens = request.num_tokens,
        .record_tag = 0,
        .topk_idx = memory_at(rank, "topkIdx", request.topk_idx, num_tokens * module_.num_topk * module_.topk_idx_bytes,
                              module_.topk_idx_bytes),
        .num_tokens_per_rank = memory_at(rank, "numTokensPerRank", request.num_tokens_per_rank,
                                         module_.num_ranks * sizeof(int32_t), sizeof(int32_t)),
        .num_tokens_per_expert = memory_at(rank, "numTokensPerExpert", request.num_tokens_per_expert,
                                           module_.num_experts * sizeof(int32_t), sizeof(int32_t)),
        .is_token_in_rank =
            memory_at(rank, "isTokenInRank", request.is_token_in_rank, num_tokens * module_.num_ranks),
        .record = nullptr,
    };
    require_usable(rank);
    auto operation = make_operation(OperationKind::dispatch_layout, rank, std::move(completion));
    operation->append = [this, call, &rank](const OperationPtr& self) mutable {
        call.record = rank.memory.count_record(self->record_idx);
        call.record_tag = self->record_tag;
        backend_->launch(self->rank_idx, kMainStream, module_.dispatch_layout(call), end_of(self));
    };
    accept(rank, std::move(operation));
}

}  // namespace epgen
