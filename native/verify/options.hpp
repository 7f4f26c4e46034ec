// What the command line of a verifier says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "simt/policy.hpp"

namespace epgen::verify {

struct Options {
    uint64_t first_seed = 1;
    uint64_t end_seed = 101;
    /// None: follows from the seed.
    std::optional<simt::Policy::Kind> policy;
    uint32_t num_calls = 6;
    uint32_t max_tokens = 0;          // of one rank's dispatch; 0: few enough for the size of a row
    uint32_t resident = 0;            // blocks of a rank; 0: follows from the seed
    bool checks_races = true;
    bool has_weak_memory = true;
    uint64_t max_findings = 0;        // after which no schedule starts; 0: no limit
    double time_limit_s = 0;          // after which no schedule starts; 0: none
    bool explores = false;            // each sequence in every order, instead of in one
    uint64_t max_classes = 0;         // after which no order of a sequence is tried; 0: no limit
    uint64_t max_executions = 0;      // the same, counted otherwise
    std::string trace_path;           // of the last schedule, or of execution `max_executions`; empty: none
};

const char* policy_name(simt::Policy::Kind kind);

/// Throws std::invalid_argument, in words for a person.
Options parse_options(int argc, char** argv);

}  // namespace epgen::verify
