#include "runtime/cuda_worker.hpp"

#include <chrono>
#include <memory>
#include <utility>

#include "runtime/exit_gate.hpp"

namespace epgen {
namespace {

/// Calls come in bursts, and waking a thread takes longer than this.
constexpr std::chrono::microseconds kPatience{50};

}  // namespace

CudaWorker::~CudaWorker() {
    finish();
}

void CudaWorker::push(std::function<void()> work) {
    {
        const std::lock_guard lock(mutex_);
        works_.push_back(std::move(work));
    }
    ++num_pushed_;
    num_pushed_.notify_one();
}

std::future<void> CudaWorker::ask(std::function<void()> work) {
    auto task = std::make_shared<std::packaged_task<void()>>(std::move(work));
    push([task] { (*task)(); });
    return task->get_future();
}

void CudaWorker::finish() {
    finishing_ = true;
    ++num_pushed_;
    num_pushed_.notify_one();
    if (thread_.joinable()) thread_.join();
}

bool CudaWorker::pop(std::function<void()>& work) {
    const std::lock_guard lock(mutex_);
    if (works_.empty()) return false;
    work = std::move(works_.front());
    works_.pop_front();
    return true;
}

void CudaWorker::run() {
    std::function<void()> work;
    auto idle_since = std::chrono::steady_clock::now();
    for (;;) {
        const uint32_t num_seen = num_pushed_;
        if (pop(work)) {
            const ExitGate::Pass pass;
            std::exchange(work, nullptr)();
            idle_since = std::chrono::steady_clock::now();
        } else if (finishing_) {
            return;
        } else if (std::chrono::steady_clock::now() - idle_since < kPatience) {
            std::this_thread::yield();
        } else {
            num_pushed_.wait(num_seen);
            idle_since = std::chrono::steady_clock::now();
        }
    }
}

}  // namespace epgen
