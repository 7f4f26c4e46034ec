#include "runtime/exit_gate.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <thread>

namespace epgen {
namespace {

// A call can wait for a kernel, and a kernel for its peers: the process then ends around the thread.
constexpr std::chrono::seconds kExitPatience{1};
constexpr std::chrono::microseconds kExitNap{50};

// Nothing here has a destructor: threads come to the gate after exit() has begun.
constinit std::atomic<uint32_t> num_inside{0};
constinit std::atomic<bool> is_closed{false};
constinit std::once_flag guarded;

}  // namespace

void ExitGate::guard() {
    std::call_once(guarded, [] { static_cast<void>(std::atexit(close)); });
}

// Each side writes its own word and then reads the other's, in one order for all threads: either the thread sees a
// closed gate or close() sees the thread.
ExitGate::Pass::Pass() {
    ++num_inside;
    if (!is_closed) return;
    --num_inside;
    for (;;) std::this_thread::sleep_for(kExitPatience);
}

ExitGate::Pass::~Pass() {
    --num_inside;
}

void ExitGate::close() {
    is_closed = true;
    const auto deadline = std::chrono::steady_clock::now() + kExitPatience;
    while (num_inside != 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(kExitNap);
}

}  // namespace epgen
