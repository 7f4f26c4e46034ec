#include "verify/signals.hpp"

#include <unistd.h>

#include <csignal>
#include <cstdio>

namespace epgen::verify {

namespace {

volatile std::sig_atomic_t stopped = 0;
uint64_t running_seed = 0;
const char* running_policy = "mixed";

const char* name_of(int number) {
    switch (number) {
        case SIGSEGV: return "SIGSEGV";
        case SIGBUS: return "SIGBUS";
        case SIGFPE: return "SIGFPE";
        case SIGILL: return "SIGILL";
        default: return "SIGABRT";
    }
}

void report_crash(int number) {
    char line[512];
    const int length = std::snprintf(
        line, sizeof line,
        "{\"type\":\"finding\",\"detector\":\"fault\",\"key\":\"crash\",\"seed\":%llu,\"policy\":\"%s\",\"message\":\"the "
        "kernels crashed the verifier: %s\",\"places\":[],\"remedy\":\"\"}\n",
        static_cast<unsigned long long>(running_seed), running_policy, name_of(number));
    if (write(STDOUT_FILENO, line, static_cast<size_t>(length)) < 0) _exit(3);
    _exit(1);
}

}  // namespace

void handle_signals() {
    for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) std::signal(number, report_crash);
    for (const int number : {SIGINT, SIGTERM}) std::signal(number, [](int) { stopped = 1; });
}

bool is_stopped() { return stopped != 0; }

void set_running(uint64_t seed, const char* policy) {
    running_seed = seed;
    running_policy = policy;
}

}  // namespace epgen::verify
