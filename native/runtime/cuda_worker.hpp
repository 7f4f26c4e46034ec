// A thread that does what it is given, in order.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <thread>

namespace epgen {

class CudaWorker {
public:
    CudaWorker() : thread_([this] { run(); }) {}
    ~CudaWorker();
    CudaWorker(const CudaWorker&) = delete;
    CudaWorker& operator=(const CudaWorker&) = delete;

    /// `work` throws nothing.
    void push(std::function<void()> work);

    /// The same with an answer: the future carries what `work` throws.
    std::future<void> ask(std::function<void()> work);

    /// Returns when everything given has been done; nothing may be given any more.
    void finish();

private:
    void run();
    bool pop(std::function<void()>& work);

    std::mutex mutex_;  // guards works_
    std::deque<std::function<void()>> works_;
    std::atomic<uint32_t> num_pushed_{0};
    std::atomic<bool> finishing_{false};
    std::thread thread_;  // last: it uses all of the above
};

}  // namespace epgen
