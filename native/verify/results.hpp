// Compares what calls have left with what they should have.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "simt/machine.hpp"
#include "verify/findings.hpp"
#include "verify/sequence.hpp"

namespace epgen::verify {

/// Bytes that a call has to leave.
struct ExpectedBytes {
    const char* what;
    const Call* call;  // null: a query before `call_idx`
    uint32_t call_idx;
    uint32_t rank_idx;
    const void* data;
    uint64_t bytes;
    uint64_t poison_bytes;  // that follow, untouched
    uint32_t element_bytes;
    uint64_t row_bytes;
    const std::string* order = nullptr;  // a low-latency launch, which is no call of the sequence
};

class Results {
public:
    explicit Results(Findings& findings) : findings_(findings) {}

    /// Before a schedule.
    void clear() { num_expected_ = num_compared_ = 0; }
    /// Where the rank's stream is then.
    void compare_later(simt::Machine& machine, const std::byte* seen, const ExpectedBytes& expected);

    /// Once all streams have ended and nothing stopped them.
    void compare_after();

private:
    void compare(const ExpectedBytes& expected, const std::byte* seen);
    void add(const ExpectedBytes& expected, const std::string& text);

    Findings& findings_;
    std::deque<ExpectedBytes> expected_;  // of all schedules so far; callbacks point to them
    size_t num_expected_ = 0;             // of this schedule
    size_t num_compared_ = 0;
};

}  // namespace epgen::verify
