#include <cmath>
#include <utility>

#include "runtime/expect.hpp"
#include "runtime/group.hpp"

namespace epgen {
namespace {

constexpr uint64_t kVectorBytes = 16;
constexpr uint64_t kInputAlignment = 128;  // of combine's input: the ready word carries its offset in these units

}  // namespace

void Group::check_call(uint32_t num_tokens, uint32_t grid) const {
    expect_within("numTokens", num_tokens, 0, module_.max_tokens_per_rank);
    expect_within("grid", grid, 1, module_.num_channels);
}

uint64_t Group::handle_bytes(uint64_t num_tokens) const {
    return module_.handle_header_bytes + num_tokens * module_.num_ranks * sizeof(int32_t);
}

/// Makes the operation its rank's next collective call and returns the deadline of its waits, in ns.
uint64_t Group::number_collective(RankState& rank, Operation& operation) {
    operation.ordinal = ++rank.num_collectives;
    operation.deadline_ms = rank.called_before ? options_.deadline_ms : options_.first_deadline_ms;
    rank.called_before = true;
    return static_cast<uint64_t>(std::llround(operation.deadline_ms * 1e6));
}

void Group::set_windows(std::byte* (&window)[kMaxRanks]) const {
    for (const RankState& rank : ranks_) window[rank.rank_idx] = rank.memory.window;
}

void Group::dispatch(uint32_t rank_idx, const DispatchRequest& request, Completion completion) {
    const std::lock_guard lock(mutex_);
    RankState& rank = rank_at(rank_idx);
    const uint64_t num_tokens = request.num_tokens;
    const uint64_t num_choices = num_tokens * module_.num_topk;
    check_call(request.num_tokens, request.grid);
    expect_within("buffer", request.buffer_idx, 0, module_.num_recv_buffers - 1);
    DispatchCall call{
        .rank_idx = rank_idx,
        .num_tokens = request.num_tokens,
        .grid = request.grid,
        .buffer_idx = request.buffer_idx,
        .record_tag = 0,
        .deadline_ns = 0,
        .x = memory_at(rank, "x", request.x, num_tokens * module_.row_bytes, kVectorBytes),
        .topk_idx = memory_at(rank, "topkIdx", request.topk_idx, num_choices * sizeof(int64_t), sizeof(int64_t)),
        .topk_weights =
            memory_at(rank, "topkWeights", request.topk_weights, num_choices * sizeof(float), sizeof(float)),
        .handle = memory_at(rank, "handle", request.handle, handle_bytes(num_tokens), kVectorBytes),
        .record = nullptr,
        .fault = rank.memory.fault,
        .window = {},
    };
    require_usable(rank);
    auto operation = make_operation(OperationKind::dispatch, rank, std::move(completion));
    call.deadline_ns = number_collective(rank, *operation);
    set_windows(call.window);
    operation->append = [this, call, &rank](const OperationPtr& self) mutable {
        call.record = rank.memory.count_record(self->record_idx);
        call.record_tag = self->record_tag;
        backend_->launch(self->rank_idx, module_.dispatch(call), end_of(self));
    };
    accept(rank, std::move(operation));
}

void Group::combine(uint32_t rank_idx, const CombineRequest& request, Completion completion) {
    const std::lock_guard lock(mutex_);
    RankState& rank = rank_at(rank_idx);
    const uint64_t num_tokens = request.num_tokens;
    check_call(request.num_tokens, request.grid);
    const uint64_t input_bytes = module_.max_recv_tokens * module_.combine_row_bytes;
    expect_within("inputOffset", request.input_offset, 0, module_.window_bytes - input_bytes);
    expect_multiple("inputOffset", request.input_offset, kInputAlignment);
    CombineCall call{
        .rank_idx = rank_idx,
        .num_tokens = request.num_tokens,
        .grid = request.grid,
        .deadline_ns = 0,
        .input_offset = request.input_offset,
        .handle = memory_at(rank, "handle", request.handle, handle_bytes(num_tokens), kVectorBytes),
        .out = memory_at(rank, "out", request.out, num_tokens * module_.combine_row_bytes, kVectorBytes),
        .fault = rank.memory.fault,
        .window = {},
    };
    require_usable(rank);
    auto operation = make_operation(OperationKind::combine, rank, std::move(completion));
    call.deadline_ns = number_collective(rank, *operation);
    set_windows(call.window);
    operation->append = [this, call](const OperationPtr& self) {
        backend_->launch(self->rank_idx, module_.combine(call), end_of(self));
    };
    accept(rank, std::move(operation));
}

void Group::dispatch_layout(uint32_t rank_idx, const DispatchLayoutRequest& request, Completion completion) {
    const std::lock_guard lock(mutex_);
    RankState& rank = rank_at(rank_idx);
    const uint64_t num_tokens = request.num_tokens;
    expect_within("numTokens", num_tokens, 0, module_.max_tokens_per_rank);
    DispatchLayoutCall call{
        .rank_idx = rank_idx,
        .num_tokens = request.num_tokens,
        .record_tag = 0,
        .topk_idx = memory_at(rank, "topkIdx", request.topk_idx, num_tokens * module_.num_topk * sizeof(int64_t),
                              sizeof(int64_t)),
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
        backend_->launch(self->rank_idx, module_.dispatch_layout(call), end_of(self));
    };
    accept(rank, std::move(operation));
}

}  // namespace epgen
