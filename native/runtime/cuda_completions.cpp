#include "runtime/cuda_completions.hpp"

#include <utility>

namespace epgen {
namespace {

/// Below the number of launches that a driver queues before it makes the caller wait.
constexpr size_t kMaxEntries = 256;

}  // namespace

void CudaCompletions::open() {
    while (events_.size() < kMaxEntries) {
        cudaEvent_t event;
        api_.call(EPGEN_CUDA(cudaEventCreateWithFlags), &event, cudaEventDisableTiming);
        events_.emplace_back(event);
    }
}

void CudaCompletions::append(cudaStream_t stream, End end) {
    for (;;) {
        const uint32_t num_seen = num_retired_;
        {
            const std::lock_guard lock(mutex_);
            if (entries_.size() < kMaxEntries) break;
        }
        num_retired_.wait(num_seen);
    }
    const cudaEvent_t event = events_[next_event_].get();
    next_event_ = (next_event_ + 1) % kMaxEntries;
    const cudaError_t code = api_.attempt(EPGEN_CUDA(cudaEventRecord), event, stream);
    push({code == cudaSuccess ? event : nullptr, std::move(end)});
    if (code != cudaSuccess) throw cuda_error("cudaEventRecord", code, api_.device());
}

void CudaCompletions::append_dropped(End end) {
    push({nullptr, std::move(end)});
}

void CudaCompletions::push(Entry entry) {
    {
        const std::lock_guard lock(mutex_);
        entries_.push_back(std::move(entry));
    }
    doorbell_.ring();
}

bool CudaCompletions::retire(const std::function<void(Error)>& on_error) {
    bool any = false;
    for (;;) {
        cudaEvent_t event;
        {
            const std::lock_guard lock(mutex_);
            if (entries_.empty()) return any;
            event = entries_.front().event;
        }
        bool done = event != nullptr;
        if (done) {
            const cudaError_t code = api_.attempt(EPGEN_CUDA(cudaEventQuery), event);
            if (code == cudaErrorNotReady) return any;
            done = code == cudaSuccess;
            if (!done) on_error(cuda_error("cudaEventQuery", code, api_.device()));
        }
        End end;
        {
            const std::lock_guard lock(mutex_);
            end = std::move(entries_.front().end);
            entries_.pop_front();
        }
        ++num_retired_;
        num_retired_.notify_all();
        end(done);
        any = true;
    }
}

bool CudaCompletions::is_empty() const {
    const std::lock_guard lock(mutex_);
    return entries_.empty();
}

}  // namespace epgen
