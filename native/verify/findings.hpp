// What a schedule shows to be wrong.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/module.hpp"
#include "simt/check/race_report.hpp"
#include "simt/fault.hpp"
#include "verify/finding.hpp"
#include "verify/sequence.hpp"

namespace epgen::verify {

class Findings {
public:
    explicit Findings(const Sequence& sequence) : sequence_(sequence) {}

    std::vector<Finding> all() const;
    /// Whether kernels were stopped where they stood: results that are missing then are no finding.
    bool has_stopped() const { return has_stopped_; }
    void clear();

    /// Wrong data of a rank; `what` tells causes apart.
    void add_data(uint32_t rank_idx, const std::string& call, const std::string& text, const char* what);
    void add_fault(const simt::FaultReport& report);
    /// A kernel has given up waiting.
    void add_wait(uint32_t rank_idx, const FaultRecord& fault);
    void add_race(const simt::RaceReport& report);
    void add_hang();
    /// What takes longer than the machine's thread should: lines of raw accesses, and what tells causes apart.
    void complete();

    /// `call 2 of 6, combine`.
    std::string call_text(uint32_t call_idx) const;

private:
    void add(Finding finding);

    const Sequence& sequence_;
    mutable std::mutex mutex_;  // a machine that hangs may still find something
    std::vector<Finding> findings_;
    std::atomic<bool> has_stopped_ = false;
};

}  // namespace epgen::verify
