#include "runtime/cuda_events.hpp"

#include <utility>

#include "runtime/backend.hpp"

namespace epgen {

void CudaEvents::open() {
    while (events_.size() < kNumEvents) {
        cudaEvent_t event;
        api_.call(EPGEN_CUDA(cudaEventCreateWithFlags), &event, cudaEventDisableTiming);
        events_.emplace_back(event);
    }
}

void CudaEvents::record(cudaStream_t stream, uint32_t event_idx, End end) {
    const cudaEvent_t event = events_[event_idx].get();
    const cudaError_t code = api_.attempt(EPGEN_CUDA(cudaEventRecord), event, stream);
    push({code == cudaSuccess ? event : nullptr, std::move(end)});
    if (code != cudaSuccess) throw cuda_error("cudaEventRecord", code, api_.device());
}

void CudaEvents::push(Entry entry) {
    {
        const std::lock_guard lock(mutex_);
        entries_.push_back(std::move(entry));
    }
    doorbell_.ring();
}

bool CudaEvents::retire(const std::function<void(Error)>& on_error) {
    std::vector<Entry> entries;
    {
        const std::lock_guard lock(mutex_);
        entries.swap(entries_);
    }
    std::vector<Entry> pending;
    std::vector<std::pair<End, bool>> ended;
    for (Entry& entry : entries) {
        const cudaError_t code =
            entry.event ? api_.attempt(EPGEN_CUDA(cudaEventQuery), entry.event) : cudaErrorNotReady;
        if (entry.event && code == cudaErrorNotReady) {
            pending.push_back(std::move(entry));
            continue;
        }
        if (entry.event && code != cudaSuccess) on_error(cuda_error("cudaEventQuery", code, api_.device()));
        ended.emplace_back(std::move(entry.end), code == cudaSuccess);
    }
    {
        const std::lock_guard lock(mutex_);
        entries_.insert(entries_.begin(), std::make_move_iterator(pending.begin()),
                        std::make_move_iterator(pending.end()));
    }
    for (const auto& [end, done] : ended) end(done);
    return !ended.empty();
}

bool CudaEvents::is_empty() const {
    const std::lock_guard lock(mutex_);
    return entries_.empty();
}

}  // namespace epgen
