// One rank's device: its memory, its stream, and the thread that makes all calls on that stream.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/backend.hpp"
#include "runtime/cuda_api.hpp"
#include "runtime/cuda_completions.hpp"
#include "runtime/cuda_owned.hpp"
#include "runtime/cuda_staging.hpp"
#include "runtime/cuda_worker.hpp"

namespace epgen {

class CudaRank {
public:
    using End = Backend::End;
    using OnError = std::function<void(Error)>;

    CudaRank(const Module& module, uint32_t rank_idx, uint32_t device, CudaCallNames& names, Doorbell& doorbell)
        : module_(module), rank_idx_(rank_idx), api_(device, names), completions_(api_, doorbell) {}

    // The steps of opening: each returns at once, and the next one begins when all ranks have done the one before.
    std::future<void> allocate();
    std::future<void> reach(const std::vector<std::unique_ptr<CudaRank>>& ranks);
    std::future<void> warm_up();

    /// Memory on this device for all ranks; once all of them can reach it.
    DeviceMemory allocate_shared(uint64_t num_bytes);

    const CudaApi& api() const { return api_; }
    RankMemory memory() const;
    cudaStream_t stream() const { return stream_.get(); }
    uint32_t* abort_word() const { return reinterpret_cast<uint32_t*>(window_.get()); }
    cudaEvent_t timing_event(uint32_t event_idx) const { return timing_events_[event_idx].get(); }
    CudaCompletions& completions() { return completions_; }

    /// Calls `enqueue` on the rank's thread, then lets `end`, if any, wait for the stream. Once the rank is closed,
    /// `end` is told that the work was dropped.
    void push(std::function<void()> enqueue, End end);
    void upload(std::byte* to, HostBytes from);
    void download(const std::byte* from, uint64_t num_bytes, Backend::BytesEnd end);

    // For the rank's own thread.
    void launch(const Launch& launch) const;
    void launch(const void* function, uint32_t grid, uint32_t num_threads, uint32_t shared_bytes,
                const std::byte* args) const;

    /// Drops what is pushed from now on until it is opened again, and makes kernels that wait leave.
    void close();
    bool is_closed() const { return closed_; }
    /// A rank that can't go on closes itself and says why.
    void on_error(OnError on_error) { on_error_ = std::move(on_error); }

    /// With nothing on the stream: as if `epoch` calls had been made. Begins it; `is_quiet()` says when it has ended.
    void begin_reset(uint32_t epoch);
    bool is_quiet() const;

    void finish() { worker_.finish(); }

    /// Calls `on_counts` for every record whose tag has changed.
    void look_at_records(const std::function<void(uint32_t record_idx)>& on_counts);

private:
    PinnedMemory allocate_pinned(uint64_t num_bytes, const char* purpose) const;
    DeviceMemory allocate_device(uint64_t num_bytes, const char* purpose) const;
    void load_kernels() const;
    void fail(Error error);
    CudaStaging::Chunk take_staging(uint64_t num_bytes);

    const Module& module_;
    const uint32_t rank_idx_;
    const CudaApi api_;
    CudaStream stream_;
    CudaStream abort_stream_;  // work on the other one may be what is to be aborted
    DeviceMemory window_, arena_;
    PinnedMemory records_;  // count records, then the fault record
    PinnedMemory control_;  // what a reset writes, then what an abort writes
    std::optional<CudaStaging> staging_;
    std::vector<CudaEvent> timing_events_;
    CudaCompletions completions_;
    uint32_t seen_tags_[kNumCountRecords] = {};
    std::atomic<bool> closed_{false};
    OnError on_error_;
    CudaWorker worker_;  // last: it uses all of the above
};

}  // namespace epgen
