#include <utility>

#include "runtime/expect.hpp"
#include "runtime/group.hpp"

namespace epgen {
namespace {

constexpr uint32_t kLlBoth = kLlSend | kLlReceive;

/// From now on a send that was called alone has a receive to come.
void remember(LlSends& sends, const LlSends::Key& key, uint32_t phases, LlSends::Call call) {
    if (phases == kLlBoth) {
        sends.take(key);  // of a call before, whose receive never came: the handle is another one's now
    } else {
        sends.add(key, call);
    }
}

/// What the receive that is called alone belongs to.
LlSends::Call send_of(LlSends& sends, const LlSends::Key& key) {
    if (const auto call = sends.take(key)) return *call;
    refuse("handle", "one of a call that was sent and not received", address_text(key.handle));
}

}  // namespace

void Group::check_ll_call(const RankState& rank, uint32_t phases, uint32_t num_tokens, uint32_t window_idx,
                          uint32_t stream_idx) const {
    require_built("low-latency calls", module_.num_ll_channels > 0);
    expect_within("phases", phases, 1, kLlBoth);
    expect_within("numTokens", num_tokens, 0, module_.max_ll_tokens_per_rank);
    check_place(rank, window_idx, stream_idx);
}

uint64_t Group::ll_handle_bytes(uint64_t num_tokens) const {
    return module_.ll_handle_header_bytes + num_tokens * module_.num_topk * sizeof(int32_t);
}

/// Rows of all local experts, as many as may come.
uint64_t Group::ll_expert_bytes(uint64_t row_bytes) const {
    return uint64_t{module_.num_local_experts} * module_.max_ll_recv_tokens * row_bytes;
}

/// Numbers that calls add to, where the caller wants them.
void* Group::stats_at(const RankState& rank, const char* name, uint64_t address, uint64_t count,
                      uint64_t element_bytes) const {
    if (address == 0) return nullptr;
    require_built("low-latency statistics", module_.has_ll_stats);
    return memory_at(rank, name, address, count * element_bytes, element_bytes);
}

/// As number_collective. A receive alone is part of the call that its send has begun.
uint64_t Group::number_ll(RankState& rank, Operation& operation, const LlSends::Key& key, uint32_t phases) {
    if (phases == kLlReceive) {
        const LlSends::Call call = send_of(rank.ll_sends, key);
        operation.window_idx = key.window_idx;
        operation.ordinal = call.ordinal;
        operation.deadline_ms = call.deadline_ms;
        return operation.deadline_ns();
    }
    const uint64_t deadline_ns = number_collective(rank, operation, key.window_idx);
    remember(rank.ll_sends, key, phases, {operation.ordinal, operation.deadline_ms});
    return deadline_ns;
}

void Group::ll_dispatch(uint32_t rank_idx, const LlDispatchRequest& request) {
    const std::lock_guard lock(mutex_);
    RankState& rank = rank_at(rank_idx);
    check_ll_call(rank, request.phases, request.num_tokens, request.window_idx, request.stream_idx);
    const bool sends = (request.phases & kLlSend) != 0;
    const uint64_t num_sent = sends ? request.num_tokens : 0;
    expect_within("grid", request.grid, 1, sends ? module_.num_ll_channels : 1);
    LlDispatchCall call{
        .rank_idx = rank_idx,
        .num_tokens = request.num_tokens,
        .grid = request.grid,
        .phases = request.phases,
        .record_tag = 0,
        .deadline_ns = 0,
        .x = memory_at(rank, "x", request.x, num_sent * module_.ll_input_row_bytes, kVectorBytes),
        .topk_idx = memory_at(rank, "topkIdx", request.topk_idx, num_sent * module_.num_topk * module_.topk_idx_bytes,
                              module_.topk_idx_bytes),
        .handle = memory_at(rank, "handle", request.handle, ll_handle_bytes(request.num_tokens), kVectorBytes),
        .expert_stats =
            stats_at(rank, "expertStats", request.expert_stats, module_.num_local_experts, sizeof(int32_t)),
        .wait_stats = stats_at(rank, "waitStats", request.wait_stats, module_.num_ranks, sizeof(int64_t)),
        .record = nullptr,
        .fault = rank.memory.windows[request.window_idx].fault,
        .window = {},
    };
    require_usable(rank);
    set_windows(call.window, request.window_idx);
    const LlSends::Key key{request.handle, request.window_idx, Op::ll_dispatch};
    if (capture_) return capture_ll_dispatch(rank, request.stream_idx, call, key);
    auto operation = make_operation(sends ? OperationKind::ll_dispatch : OperationKind::ll_receive, rank, nullptr);
    call.deadline_ns = number_ll(rank, *operation, key, request.phases);
    if (sends) {
        // All that the host may hear of: no send waits for a record of its own.
        operation->shared_records = {shared_record_for(rank, 0)};
        call.record = record_of(rank, *operation);
        call.record_tag = kSharedTag;
    }
    operation->append = [this, call, stream_idx = request.stream_idx](const OperationPtr& self) {
        backend_->launch(self->rank_idx, stream_idx, module_.ll_dispatch(call), end_of(self));
    };
    accept(rank, std::move(operation));
}

/// A send alone has no completion: nobody waits for one, so that what it was told would be lost.
void Group::ll_combine(uint32_t rank_idx, const LlCombineRequest& request, Completion completion) {
    const std::lock_guard lock(mutex_);
    RankState& rank = rank_at(rank_idx);
    check_ll_call(rank, request.phases, request.num_tokens, request.window_idx, request.stream_idx);
    const bool sends = (request.phases & kLlSend) != 0;
    const bool receives = (request.phases & kLlReceive) != 0;
    const uint64_t num_received = receives ? request.num_tokens : 0;
    expect_within("grid", request.grid, 1, receives ? module_.num_ll_channels : 1);
    if (sends) {
        check_rows_offset("inputOffset", request.input_offset, ll_expert_bytes(module_.ll_output_row_bytes));
    }
    LlCombineCall call{
        .rank_idx = rank_idx,
        .num_tokens = request.num_tokens,
        .grid = request.grid,
        .phases = request.phases,
        .deadline_ns = 0,
        .input_offset = request.input_offset,
        .handle = memory_at(rank, "handle", request.handle, ll_handle_bytes(request.num_tokens), kVectorBytes),
        .topk_weights = memory_at(rank, "topkWeights", request.topk_weights,
                                  num_received * module_.num_topk * sizeof(float), sizeof(float)),
        .out = memory_at(rank, "out", request.out, num_received * module_.ll_input_row_bytes, kVectorBytes),
        .wait_stats = stats_at(rank, "waitStats", request.wait_stats, module_.num_ranks, sizeof(int64_t)),
        .fault = rank.memory.windows[request.window_idx].fault,
        .window = {},
    };
    require_usable(rank);
    set_windows(call.window, request.window_idx);
    const LlSends::Key key{request.handle, request.window_idx, Op::ll_combine};
    if (capture_) return capture_ll_combine(rank, request.stream_idx, call, key, completion);
    const auto kind = !receives ? OperationKind::ll_combine_send
                      : sends   ? OperationKind::ll_combine
                                : OperationKind::ll_receive;
    auto operation = make_operation(kind, rank, std::move(completion));
    call.deadline_ns = number_ll(rank, *operation, key, request.phases);
    operation->append = [this, call, stream_idx = request.stream_idx](const OperationPtr& self) {
        backend_->launch(self->rank_idx, stream_idx, module_.ll_combine(call), end_of(self));
    };
    accept(rank, std::move(operation));
}

void Group::ll_stage(uint32_t rank_idx, const LlStageRequest& request) {
    const std::lock_guard lock(mutex_);
    RankState& rank = rank_at(rank_idx);
    require_built("low-latency calls", module_.num_ll_channels > 0);
    check_place(rank, request.window_idx, request.stream_idx);
    expect_within("grid", request.grid, 1, kMaxGrid);
    check_rows_offset("outputOffset", request.output_offset, ll_expert_bytes(module_.ll_output_row_bytes));
    LlStageCall call{
        .rank_idx = rank_idx,
        .grid = request.grid,
        .deadline_ns = usual_deadline_ns(),
        .output_offset = request.output_offset,
        .handle = memory_at(rank, "handle", request.handle, ll_handle_bytes(0), kVectorBytes),
        .x = memory_at(rank, "x", request.x, ll_expert_bytes(module_.ll_input_row_bytes), kVectorBytes),
        .fault = rank.memory.windows[request.window_idx].fault,
        .window = {},
    };
    require_usable(rank);
    set_windows(call.window, request.window_idx);
    if (capture_) return capture_steps(captured_part(rank, request.stream_idx), {module_.ll_stage(call)}, nullptr);
    auto operation = make_operation(OperationKind::local_kernel, rank, nullptr);
    operation->append = [this, call, stream_idx = request.stream_idx](const OperationPtr& self) {
        backend_->launch(self->rank_idx, stream_idx, module_.ll_stage(call), end_of(self));
    };
    accept(rank, std::move(operation));
}

void Group::capture_ll_dispatch(RankState& rank, uint32_t stream_idx, LlDispatchCall call, const LlSends::Key& key) {
    GraphPart& part = captured_part(rank, stream_idx);
    if (call.phases == kLlReceive) {
        send_of(part.ll_sends, key);
    } else {
        call.record = captured_record(rank, part, 0);
        call.record_tag = kSharedTag;
        remember(part.ll_sends, key, call.phases, {});
        ++part.num_ll_dispatches;
    }
    call.deadline_ns = usual_deadline_ns();
    capture_steps(part, {module_.ll_dispatch(call)}, nullptr);
}

void Group::capture_ll_combine(const RankState& rank, uint32_t stream_idx, LlCombineCall call, const LlSends::Key& key,
                               const Completion& completion) {
    GraphPart& part = captured_part(rank, stream_idx);
    if (call.phases == kLlReceive) {
        send_of(part.ll_sends, key);
    } else {
        remember(part.ll_sends, key, call.phases, {});
        ++part.num_ll_combines;
    }
    call.deadline_ns = usual_deadline_ns();
    capture_steps(part, {module_.ll_combine(call)}, completion);
}

}  // namespace epgen
