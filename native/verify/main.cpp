// Verifier of one spec: runs its kernels on the emulator, one schedule per seed, and checks all that comes out.
//
//   verify [--seeds A:B] [--policy uniform|priority|frozen-rank|starved-block|mixed] [--calls N] [--max-tokens N]
//          [--resident N] [--no-check] [--no-model] [--stop-after N] [--time-limit S] [--trace FILE]
//   verify --explore [--seeds A:B] [--calls N] [--max-tokens N] [--max-classes N] [--max-executions N] [--no-check]
//          [--stop-after N] [--time-limit S] [--trace FILE]
//
// Prints JSON lines. The exit status is 0 when nothing was found, 1 when something was, 2 for wrong options.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <unordered_set>

#include "verify/explore.hpp"
#include "verify/runner.hpp"
#include "verify/signals.hpp"

namespace {

using namespace epgen::verify;
using Clock = std::chrono::steady_clock;

constexpr auto kProgressInterval = std::chrono::milliseconds(100);

int verify(const Options& options) {
    Runner runner(epgen::module(), options);
    Report report;
    Totals totals;
    std::unordered_set<uint64_t> hashes;
    const auto start = Clock::now();
    auto next_progress = start + kProgressInterval;
    bool hangs = false;
    for (uint64_t seed = options.first_seed; seed < options.end_seed && !is_stopped() && !hangs; ++seed) {
        const auto now = Clock::now();
        totals.seconds = std::chrono::duration<double>(now - start).count();
        if (options.time_limit_s > 0 && totals.seconds >= options.time_limit_s) break;
        if (now >= next_progress) {
            report.progress(totals);
            next_progress = now + kProgressInterval;
        }
        set_running(seed, options.policy ? policy_name(*options.policy) : "mixed");
        const Runner::Outcome outcome = runner.run(seed, seed + 1 == options.end_seed);
        hangs = outcome.hangs;
        totals.num_schedules += 1;
        totals.num_steps += outcome.num_steps;
        totals.num_distinct += hashes.insert(outcome.trace_hash).second;
        totals.num_failed += !runner.findings().empty();
        for (const Finding& finding : runner.findings()) {
            totals.num_findings += report.finding(finding, {seed, policy_name(outcome.policy)});
        }
        if (options.max_findings != 0 && totals.num_findings >= options.max_findings) break;
    }
    totals.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    report.summary(totals);
    const int status = totals.num_findings == 0 ? 0 : 1;
    if (hangs) _exit(status);  // the machine's thread would not end
    return status;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const Options options = parse_options(argc, argv);
        handle_signals();
        return options.explores ? explore(epgen::module(), options) : verify(options);
    } catch (const std::invalid_argument& refusal) {
        std::fprintf(stderr, "%s\n", refusal.what());
        return 2;
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "%s\n", failure.what());
        return 3;
    }
}
