// Ends while a worker is inside of a runtime that exit() takes apart: program guarded|unguarded|stuck
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <string_view>
#include <thread>

#include "runtime/cuda_worker.hpp"
#include "runtime/exit_gate.hpp"

namespace {

using epgen::CudaWorker;
using epgen::ExitGate;

constexpr std::chrono::milliseconds kCall{2};
constexpr std::chrono::seconds kStuck{60};

/// As the CUDA runtime: its own handler from the first call on, and no call survives that.
class Runtime {
public:
    void init() {
        std::atexit([] {
            is_gone = true;
            std::this_thread::sleep_for(10 * kCall);
        });
    }
    void call() {
        std::this_thread::sleep_for(kCall);
        if (is_gone) std::abort();
    }

private:
    static inline std::atomic<bool> is_gone{false};
};

}  // namespace

int main(int, char** argv) {
    const std::string_view mode = argv[1];
    auto& runtime = *new Runtime;
    auto& worker = *new CudaWorker;  // nobody deletes it: exit() ends the process around its thread
    worker.ask([&] { runtime.init(); }).get();
    if (mode != "unguarded") ExitGate::guard();

    std::atomic<bool> is_inside{false};
    std::function<void()> again = [&] {
        is_inside = true;
        runtime.call();
        worker.push(again);
    };
    if (mode == "stuck") {
        again = [&] {
            is_inside = true;
            std::this_thread::sleep_for(kStuck);
        };
    }
    worker.push(again);
    while (!is_inside) std::this_thread::yield();
    std::exit(3);
}
