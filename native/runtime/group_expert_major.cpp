#include <utility>

#include "runtime/expect.hpp"
#include "runtime/group.hpp"

namespace epgen {

void Group::expert_major(uint32_t rank_idx, const ExpertMajorRequest& request, Completion completion) {
    const std::lock_guard lock(mutex_);
    RankState& rank = rank_at(rank_idx);
    require_built("expert-major", module_.expert_major != nullptr);
    expect_within("numRows", request.num_rows, 0, module_.max_recv_tokens);
    expect_within("grid", request.grid, 1, kMaxGrid);
    const uint64_t num_rows = request.num_rows;
    const uint64_t num_expert_rows = request.num_expert_rows;
    const uint64_t num_choices = num_rows * module_.num_topk;
    const bool has_columns = module_.scale_column_words > 0;
    const uint64_t num_scale_rows = num_rows > 0 && has_columns ? module_.scale_column_words : num_rows;
    const auto at = [&](const char* name, uint64_t address, uint64_t num_bytes, uint64_t alignment) {
        return memory_at(rank, name, address, num_bytes, alignment);
    };
    const ExpertMajorCall call{
        .grid = request.grid,
        .num_rows = request.num_rows,
        .num_expert_rows = request.num_expert_rows,
        .pads_zeros = request.pads_zeros,
        .handle = at("handle", request.handle, handle_bytes(0), kVectorBytes),
        .recv_x = at("recvX", request.recv_x, num_rows * module_.row_bytes, kVectorBytes),
        .recv_x_scales =
            at("recvXScales", request.recv_x_scales, num_scale_rows * module_.scale_bytes, kWordBytes),
        .recv_extras = at("recvExtras", request.recv_extras, num_rows * module_.extra_bytes, kWordBytes),
        .recv_topk_idx = at("recvTopkIdx", request.recv_topk_idx, num_choices * module_.topk_idx_bytes,
                            module_.topk_idx_bytes),
        .recv_topk_weights = at("recvTopkWeights", request.recv_topk_weights, num_choices * kWordBytes, kWordBytes),
        .counts =
            at("counts", request.counts, uint64_t{request.grid} * module_.num_local_experts * kWordBytes, kWordBytes),
        .x = at("x", request.x, num_expert_rows * module_.row_bytes, kVectorBytes),
        .x_scales = at("xScales", request.x_scales, num_expert_rows * module_.scale_bytes, kWordBytes),
        .extras = at("extras", request.extras, num_expert_rows * module_.extra_bytes, kWordBytes),
        .topk_weights = at("topkWeights", request.topk_weights, num_expert_rows * kWordBytes, kWordBytes),
        .slot = at("slot", request.slot, num_choices * kWordBytes, kWordBytes),
    };
    require_usable(rank);
    if (capture_) {
        GraphPart& part = captured_part(rank, kMainStream);
        return capture_steps(part, {module_.expert_counts(call), module_.expert_major(call)}, completion);
    }
    auto operation = make_operation(OperationKind::local_kernel, rank, std::move(completion));
    operation->append = [this, call](const OperationPtr& self) {
        backend_->launch(self->rank_idx, kMainStream, module_.expert_counts(call), [](bool) {});
        backend_->launch(self->rank_idx, kMainStream, module_.expert_major(call), end_of(self));
    };
    accept(rank, std::move(operation));
}

void Group::expert_sum(uint32_t rank_idx, const ExpertSumRequest& request, Completion completion) {
    const std::lock_guard lock(mutex_);
    RankState& rank = rank_with(rank_idx, request.stream_idx);
    require_built("expert-major", module_.expert_sum != nullptr);
    expect_within("numRows", request.num_rows, 0, module_.max_recv_tokens);
    expect_within("grid", request.grid, 1, kMaxGrid);
    const uint64_t num_rows = request.num_rows;
    const ExpertSumCall call{
        .grid = request.grid,
        .num_rows = request.num_rows,
        .num_expert_rows = request.num_expert_rows,
        .y = memory_at(rank, "y", request.y, request.num_expert_rows * module_.combine_row_bytes, kVectorBytes),
        .slot = memory_at(rank, "slot", request.slot, num_rows * module_.num_topk * kWordBytes, kWordBytes),
        .sums = memory_at(rank, "sums", request.sums, num_rows * module_.combine_row_bytes, kVectorBytes),
    };
    require_usable(rank);
    if (capture_) {
        return capture_steps(captured_part(rank, request.stream_idx), {module_.expert_sum(call)}, completion);
    }
    auto operation = make_operation(OperationKind::local_kernel, rank, std::move(completion));
    operation->append = [this, call, stream_idx = request.stream_idx](const OperationPtr& self) {
        backend_->launch(self->rank_idx, stream_idx, module_.expert_sum(call), end_of(self));
    };
    accept(rank, std::move(operation));
}

}  // namespace epgen
