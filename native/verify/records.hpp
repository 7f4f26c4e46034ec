// Counts that kernels write to memory of the host.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "simt/machine.hpp"
#include "verify/findings.hpp"
#include "verify/sequence_memory.hpp"

namespace epgen::verify {

/// What a kernel has to write.
struct ExpectedRecord {
    uint32_t call_idx;  // or the query's index
    bool is_query;
    uint32_t tag;
    const model::Received* received;  // null: none
    const model::Layout* layout;
    const model::Input* input;
    uint32_t num_worst_tokens = 0;
    bool is_written = false;
    const std::string* order = nullptr;  // a low-latency launch, which counts nothing
    int64_t first_bad_choice_of_order = -1;
};

class Records {
public:
    Records(const Module& module, const Options& options, const SequenceMemory& memory, Findings& findings);

    /// Before a schedule.
    void clear();
    /// A record for the next kernel of the rank, poisoned by its stream.
    CountRecord* take(simt::Machine& machine, uint32_t rank_idx, const ExpectedRecord& expected);
    /// A kernel has completed a record: from now on a host may read it.
    void host_stored(simt::Machine& machine, const std::byte* address);
    /// What only the end of all calls can tell.
    void compare_after();

private:
    void compare(uint32_t rank_idx, uint32_t record_idx);
    void add(uint32_t rank_idx, const ExpectedRecord& record, const std::string& text);

    const Module& module_;
    const SequenceMemory& memory_;
    Findings& findings_;
    std::vector<std::vector<ExpectedRecord>> records_;  // [rank][record]
};

}  // namespace epgen::verify
