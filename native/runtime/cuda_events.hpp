// A rank's events, all made at once; the streams that they are recorded on may be anyone's.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "runtime/cuda_api.hpp"
#include "runtime/cuda_completions.hpp"
#include "runtime/cuda_owned.hpp"

namespace epgen {

/// One thread records, another one retires.
class CudaEvents {
public:
    using End = CudaCompletions::End;

    CudaEvents(const CudaApi& api, Doorbell& doorbell) : api_(api), doorbell_(doorbell) {}

    void open();

    cudaEvent_t operator[](uint32_t event_idx) const { return events_[event_idx].get(); }

    /// `end` is told when everything on `stream` so far has ended.
    void record(cudaStream_t stream, uint32_t event_idx, End end);
    /// `end` is told that the event was dropped.
    void append_dropped(End end) { push({nullptr, std::move(end)}); }

    /// Tells the ends that were reached. False where nothing was. `on_error` hears of a device that failed.
    bool retire(const std::function<void(Error)>& on_error);

    bool is_empty() const;

private:
    struct Entry {
        cudaEvent_t event;  // null: dropped
        End end;
    };

    void push(Entry entry);

    const CudaApi& api_;
    Doorbell& doorbell_;
    std::vector<CudaEvent> events_;
    mutable std::mutex mutex_;  // guards entries_
    std::vector<Entry> entries_;
};

}  // namespace epgen
