// What a verifier does about signals.
#pragma once

#include <cstdint>

namespace epgen::verify {

/// SIGINT and SIGTERM end the run after the schedule under way. A crash, which kernels may bring about, is a finding.
void handle_signals();

bool is_stopped();

/// Which schedule a crash belongs to. `policy` has static storage duration.
void set_running(uint64_t seed, const char* policy);

}  // namespace epgen::verify
