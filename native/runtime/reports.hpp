// What kernels left in their records, as errors.
#pragma once

#include <cstdint>
#include <vector>

#include "device/record.cuh"
#include "runtime/error.hpp"

namespace epgen {

/// An index outside the expert range; the call itself has ended as if it had been -1.
Error expert_index_error(uint32_t rank_idx, const CountRecord& record, uint32_t num_experts);

/// More rows than the caller has room for; the call itself has ended, and its rows are all there.
Error worst_tokens_error(uint32_t rank_idx, const CountRecord& record, uint32_t num_worst_tokens);

/// The waits that gave up. `records` come from all ranks that gave up; `idle_ranks` never made the matching call.
Error timeout_error(std::vector<FaultRecord> records, double waited_ms, std::vector<uint32_t> idle_ranks);

/// What everybody else is told after `cause` has stopped the group.
Error aborted_error(const Error& cause);

/// What pending and later operations are told after the group was disposed.
Error disposed_error();

}  // namespace epgen
