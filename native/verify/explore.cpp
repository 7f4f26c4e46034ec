#include "verify/explore.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>

#include "verify/explorer.hpp"
#include "verify/runner.hpp"

namespace epgen::verify {

namespace {

using Clock = std::chrono::steady_clock;

struct Explored {
    uint64_t num_sequences = 0;
    uint64_t num_classes = 0;
    uint64_t num_executions = 0;
    uint64_t num_operations = 0;  // of the longest execution
    uint64_t num_findings = 0;
    bool is_finished = true;
    bool hangs = false;
};

void print(const Explored& explored, double seconds) {
    std::printf("{\"type\":\"exploration\",\"sequences\":%" PRIu64 ",\"classes\":%" PRIu64 ",\"executions\":%" PRIu64
                ",\"operations\":%" PRIu64 ",\"finished\":%s,\"seconds\":%.3f,\"findings\":%" PRIu64 "}\n",
                explored.num_sequences, explored.num_classes, explored.num_executions, explored.num_operations,
                explored.is_finished ? "true" : "false", seconds, explored.num_findings);
    std::fflush(stdout);
}

}  // namespace

int explore(const Module& module, const Options& options) {
    Runner runner(module, options);
    Report report;
    Explored explored;
    const auto start = Clock::now();
    const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
    const auto is_over = [&](uint64_t num_classes) {
        return (options.time_limit_s > 0 && seconds() >= options.time_limit_s) ||
               (options.max_classes != 0 && num_classes >= options.max_classes) ||
               (options.max_findings != 0 && explored.num_findings >= options.max_findings) || explored.hangs;
    };
    for (uint64_t seed = options.first_seed; seed < options.end_seed; ++seed) {
        if (is_over(0)) {
            explored.is_finished = false;
            break;
        }
        Explorer explorer;
        while (explorer.start_run()) {
            if (is_over(explorer.num_classes())) {
                explored.is_finished = false;
                break;
            }
            explored.hangs = runner.run(seed, &explorer).hangs;
            explorer.end_run();
            for (const Finding& finding : runner.findings()) {
                explored.num_findings += report.finding(finding, seed, "explore");
            }
            if (explorer.has_diverged()) {
                std::fprintf(stderr, "Seed %" PRIu64 ": two runs with the same choices were not the same\n", seed);
                explored.is_finished = false;
                break;
            }
        }
        ++explored.num_sequences;
        explored.num_classes += explorer.num_classes();
        explored.num_executions += explorer.num_runs();
        explored.num_operations = std::max(explored.num_operations, explorer.num_operations());
    }
    print(explored, seconds());
    const int status = explored.num_findings == 0 ? 0 : 1;
    if (explored.hangs) _exit(status);  // the machine's thread would not end
    return status;
}

}  // namespace epgen::verify
