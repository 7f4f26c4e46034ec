#include "verify/explore.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <stdexcept>
#include <string>

#include "verify/explorer.hpp"
#include "verify/runner.hpp"
#include "verify/signals.hpp"

namespace epgen::verify {

namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kPolicy = "explore";
constexpr auto kProgressInterval = std::chrono::milliseconds(100);

class Exploration {
public:
    Exploration(const Module& module, const Options& options) : options_(options), runner_(module, options) {}

    void run();
    void print() const;
    uint64_t num_findings() const { return num_findings_; }
    bool hangs() const { return hangs_; }

private:
    void explore_sequence(uint64_t seed);
    bool is_over(const Explorer& explorer) const;
    void tell_progress(const Explorer& explorer);
    double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

    const Options& options_;
    Runner runner_;
    Report report_;
    const Clock::time_point start_ = Clock::now();
    Clock::time_point next_progress_ = start_ + kProgressInterval;
    uint64_t num_sequences_ = 0;  // begun
    uint64_t num_finished_ = 0;
    uint64_t num_classes_ = 0;
    uint64_t num_executions_ = 0;
    uint64_t num_operations_ = 0;  // of the longest execution
    uint64_t num_findings_ = 0;
    bool hangs_ = false;
};

void Exploration::run() {
    for (uint64_t seed = options_.first_seed; seed < options_.end_seed && !is_over({}); ++seed) explore_sequence(seed);
}

void Exploration::explore_sequence(uint64_t seed) {
    Explorer explorer;
    set_running(seed, kPolicy);
    ++num_sequences_;
    bool is_finished = true;
    while (explorer.start_run()) {
        if (is_over(explorer)) {
            is_finished = false;
            break;
        }
        tell_progress(explorer);
        const uint64_t execution = explorer.num_runs() + 1;
        hangs_ = runner_.run(seed, execution == options_.max_executions, &explorer).hangs;
        explorer.end_run();
        for (const Finding& finding : runner_.findings()) {
            num_findings_ += report_.finding(finding, {seed, kPolicy, execution});
        }
        if (explorer.has_diverged()) {
            throw std::runtime_error("seed " + std::to_string(seed) +
                                     ": two runs with the same choices were not the same");
        }
    }
    num_finished_ += is_finished;
    num_classes_ += explorer.num_classes();
    num_executions_ += explorer.num_runs();
    num_operations_ = std::max(num_operations_, explorer.num_operations());
}

bool Exploration::is_over(const Explorer& explorer) const {
    const auto reached = [](uint64_t count, uint64_t limit) { return limit != 0 && count >= limit; };
    return is_stopped() || hangs_ || (options_.time_limit_s > 0 && seconds() >= options_.time_limit_s) ||
           reached(explorer.num_classes(), options_.max_classes) ||
           reached(explorer.num_runs(), options_.max_executions) || reached(num_findings_, options_.max_findings);
}

void Exploration::tell_progress(const Explorer& explorer) {
    if (Clock::now() < next_progress_) return;
    next_progress_ = Clock::now() + kProgressInterval;
    Totals totals;
    totals.num_schedules = num_executions_ + explorer.num_runs();
    totals.num_distinct = num_classes_ + explorer.num_classes();
    report_.progress(totals);
}

void Exploration::print() const {
    const bool is_finished = num_finished_ == options_.end_seed - options_.first_seed;
    std::printf("{\"type\":\"exploration\",\"sequences\":%" PRIu64 ",\"finishedSequences\":%" PRIu64
                ",\"classes\":%" PRIu64 ",\"executions\":%" PRIu64 ",\"operations\":%" PRIu64
                ",\"finished\":%s,\"seconds\":%.3f,\"findings\":%" PRIu64 "}\n",
                num_sequences_, num_finished_, num_classes_, num_executions_, num_operations_,
                is_finished ? "true" : "false", seconds(), num_findings_);
    std::fflush(stdout);
}

}  // namespace

int explore(const Module& module, const Options& options) {
    Exploration exploration(module, options);
    exploration.run();
    exploration.print();
    const int status = exploration.num_findings() == 0 ? 0 : 1;
    if (exploration.hangs()) _exit(status);  // the machine's thread would not end
    return status;
}

}  // namespace epgen::verify
