// What is on one stream and has not ended, in order.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

#include "runtime/cuda_api.hpp"
#include "runtime/cuda_owned.hpp"

namespace epgen {

/// Wakes the thread that looks for ends.
class Doorbell {
public:
    uint32_t num_rings() const { return num_rings_; }
    void ring() {
        ++num_rings_;
        num_rings_.notify_one();
    }
    /// Returns once there have been more than `num_seen`.
    void wait(uint32_t num_seen) const { num_rings_.wait(num_seen); }

private:
    std::atomic<uint32_t> num_rings_{0};
};

/// One thread appends, another one retires.
class CudaCompletions {
public:
    using End = std::function<void(bool done)>;

    CudaCompletions(const CudaApi& api, Doorbell& doorbell) : api_(api), doorbell_(doorbell) {}

    void open();

    /// `end` is told when everything on `stream` so far has ended. Waits while too much is on its way.
    void append(cudaStream_t stream, End end);
    /// `end` is told, in its turn, that its work was dropped.
    void append_dropped(End end);

    /// Tells the ends that were reached. False where nothing was. `on_error` hears of a device that failed.
    bool retire(const std::function<void(Error)>& on_error);

    bool is_empty() const;
    /// Waits until something has been retired since `num_retired()` was asked.
    void wait_for_retired(uint32_t num_seen) const { num_retired_.wait(num_seen); }
    uint32_t num_retired() const { return num_retired_; }

private:
    struct Entry {
        cudaEvent_t event;  // null: dropped
        End end;
    };

    void push(Entry entry);

    const CudaApi& api_;
    Doorbell& doorbell_;
    std::vector<CudaEvent> events_;
    size_t next_event_ = 0;
    mutable std::mutex mutex_;  // guards entries_
    std::deque<Entry> entries_;
    std::atomic<uint32_t> num_retired_{0};
};

}  // namespace epgen
