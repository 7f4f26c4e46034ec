// One rank's device: its memory, its streams, and the thread that makes all calls on them.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/backend.hpp"
#include "runtime/cuda_api.hpp"
#include "runtime/cuda_completions.hpp"
#include "runtime/cuda_context.hpp"
#include "runtime/cuda_events.hpp"
#include "runtime/cuda_graph.hpp"
#include "runtime/cuda_owned.hpp"
#include "runtime/cuda_staging.hpp"
#include "runtime/cuda_worker.hpp"

namespace epgen {

class CudaRank {
public:
    using End = Backend::End;
    using OnError = std::function<void(Error)>;

    /// Which one, where, and how many windows it has.
    struct Place {
        uint32_t rank_idx;
        uint32_t device;
        uint32_t num_windows;
    };

    CudaRank(const Module& module, Place place, CudaCallNames& names, Doorbell& doorbell);

    // The steps of opening, in cuda_rank_open.cpp but for the graph's: each returns at once, and the next one begins when
    // all ranks have done the one before.
    std::future<void> allocate();
    std::future<void> reach(const std::vector<std::unique_ptr<CudaRank>>& ranks);
    std::future<void> warm_up();
    std::future<void> warm_up_graph();

    /// Memory on this device for all ranks; once all of them can reach it.
    DeviceMemory allocate_shared(uint64_t num_bytes);

    const CudaApi& api() const { return api_; }
    /// For calls of a thread that is not the rank's own. Only once the rank has allocated.
    CudaContextScope make_current() const { return {api_, context_}; }
    RankMemory memory() const;
    cudaStream_t stream(uint32_t stream_idx = kMainStream) const { return streams_[stream_idx]; }
    uint32_t* abort_word(uint32_t window_idx = 0) const {
        return reinterpret_cast<uint32_t*>(windows_[window_idx].get());
    }
    cudaEvent_t timing_event(uint32_t event_idx) const { return timing_events_[event_idx].get(); }

    /// Calls `enqueue` on the rank's thread, then lets `end`, if any, wait for the stream. Once the rank is closed,
    /// `end` is told that the work was dropped.
    void push(uint32_t stream_idx, std::function<void()> enqueue, End end);
    void upload(std::byte* to, HostBytes from);
    void download(const std::byte* from, uint64_t num_bytes, Backend::BytesEnd end);

    void record_event(uint32_t stream_idx, uint32_t event_idx, End end);
    void wait_event(uint32_t stream_idx, uint32_t event_idx);

    /// Fulfilled once everything that was pushed is on its stream.
    std::future<void> appended() {
        return worker_.ask([] {});
    }

    // cuda_rank_graphs.cpp
    void capture(uint32_t graph_idx, std::vector<GraphStep> steps, Backend::Ready ready);
    void replay(uint32_t graph_idx, End end);
    void free_graph(uint32_t graph_idx);

    // By any one thread, before anything is pushed for the stream.
    void open_stream(uint32_t stream_idx);
    void import_stream(uint32_t stream_idx, cudaStream_t stream);

    // For the rank's own thread.
    void launch(const Launch& launch, cudaStream_t stream) const;
    /// A kernel of one thread.
    template <class Args>
    void launch_small(const void* kernel, const Args& args, cudaStream_t stream) const {
        launch(kernel, {1, 1, 0}, reinterpret_cast<const std::byte*>(&args), stream);
    }

    /// Drops what is pushed from now on until it is opened again, and makes kernels that wait leave.
    void close();
    /// Makes kernels that wait leave, without any call of the driver.
    void tell_kernels(std::optional<uint32_t> but_window_idx = std::nullopt) const;
    bool is_closed() const { return closed_; }
    /// Makes kernels that wait on another window than this one leave.
    void abandon_other_windows(uint32_t window_idx);
    /// A rank that can't go on closes itself and says why.
    void on_error(OnError on_error) { on_error_ = std::move(on_error); }

    /// With nothing on the stream: as if `epoch` calls had been made. Begins it; `is_quiet()` says when it has ended.
    void begin_reset(uint32_t epoch);
    bool is_quiet() const;

    void finish() { worker_.finish(); }

    /// Tells the ends that were reached. False where nothing was. `on_error` hears of a device that failed.
    bool retire(const std::function<void(Error)>& on_error);
    bool is_empty() const;

    /// Calls `on_counts` for every record whose tag has changed.
    void look_at_records(const std::function<void(uint32_t record_idx)>& on_counts);

private:
    struct Size {
        uint32_t grid, num_threads, shared_bytes;
    };

    void launch(const void* function, Size size, const std::byte* args, cudaStream_t stream) const;
    void abort_window(uint32_t window_idx) const;
    void tell_window(uint32_t window_idx) const;
    uint32_t num_windows() const { return place_.num_windows; }
    PinnedMemory allocate_pinned(uint64_t num_bytes, const char* purpose) const;
    DeviceMemory allocate_device(uint64_t num_bytes, const char* purpose) const;
    uint64_t record_bytes() const;
    void load_kernels() const;
    Launch idle_launch() const;
    void fail(Error error);
    CudaGraph make_graph(const std::vector<GraphStep>& steps) const;
    CudaStaging::Chunk take_staging(uint64_t num_bytes);

    const Module& module_;
    const Place place_;
    const CudaApi api_;
    CUcontext context_ = nullptr;
    std::array<cudaStream_t, kMaxStreams> streams_{};
    std::vector<CudaStream> own_streams_;
    CudaStream capture_stream_;  // nothing ever runs on it
    CudaStream abort_stream_;  // work on the others may be what is to be aborted
    std::vector<DeviceMemory> windows_;
    DeviceMemory arena_;
    PinnedMemory records_;  // count records, then the fault records of the windows
    PinnedMemory control_;  // what a reset writes, then what an abort writes
    std::optional<CudaStaging> staging_;
    std::vector<CudaEvent> timing_events_;
    std::vector<std::unique_ptr<CudaCompletions>> completions_;  // of the rank's own stream and those of the windows
    CudaEvents events_;
    std::map<uint32_t, CudaGraph> graphs_;  // of the rank's own thread
    std::optional<CudaGraph> first_graph_;  // of warm_up_graph()
    uint32_t seen_tags_[kNumCountRecords] = {};
    std::atomic<bool> closed_{false};
    OnError on_error_;
    CudaWorker worker_;  // last: it uses all of the above
};

}  // namespace epgen
