// What a verifier finds, and how it says so: JSON lines on stdout.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace epgen::verify {

/// A thread at a line of a kernel, or a task of a rank's stream.
struct FindingPlace {
    std::string file;
    int line = 0;
    std::string what;    // primitive
    std::string object;  // pointer.name
    uint32_t rank_idx = 0, block_idx = 0, warp_idx = 0, lane_idx = 0;
    std::string proxy = "generic";
    std::string agent = "thread";  // or "bulk_load", "bulk_store", "stream"
    const void* code_address = nullptr;  // of a raw access, until it is known what line that is
};

struct Finding {
    const char* detector;  // "race", "data", "fault", "timeout" or "raw"
    std::string message;
    std::vector<FindingPlace> places;
    std::string remedy;
    std::string key;  // of findings of one cause, as far as one can tell
};

/// The run that shows it.
struct Schedule {
    uint64_t seed;
    const char* policy;
    uint64_t execution = 0;  // of an exploration, from 1
};

struct Totals {
    uint64_t num_schedules = 0;
    uint64_t num_distinct = 0;
    uint64_t num_steps = 0;
    uint64_t num_findings = 0;  // printed
    uint64_t num_failed = 0;    // schedules with a finding
    double seconds = 0;
};

/// Prints lines and keeps count of findings: each cause is printed once.
class Report {
public:
    void progress(const Totals& totals);
    /// Whether it was printed.
    bool finding(const Finding& finding, const Schedule& schedule);
    void summary(const Totals& totals);

private:
    std::set<std::string> seen_;
};

}  // namespace epgen::verify
