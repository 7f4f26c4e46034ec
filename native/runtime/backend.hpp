// What a group needs of the machine below it: memory for every rank, and FIFO streams that events order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/device_hooks.hpp"
#include "runtime/graph.hpp"
#include "runtime/module.hpp"
#include "runtime/outcome.hpp"
#include "runtime/shared_record.hpp"

namespace epgen {

/// How many calls of a rank may have a record of their own, until their counts are read.
constexpr uint32_t kNumCountRecords = 16;

/// How many events of a rank may be recorded and not reached.
constexpr uint32_t kNumEvents = 1024;

/// How many windows a group may have.
constexpr uint32_t kMaxWindows = 4;

/// How many streams a rank may have.
constexpr uint32_t kMaxStreams = 64;

/// A rank's streams: its own, those of its windows, then what was opened.
constexpr uint32_t kMainStream = 0;
constexpr uint32_t comm_stream(uint32_t window_idx) {
    return 1 + window_idx;
}

/// One of a rank's symmetric windows.
struct WindowMemory {
    std::byte* data;
    FaultRecord* fault;  // mapped host memory
};

/// One rank's memory. Addresses are those that its kernels use.
struct RankMemory {
    std::vector<WindowMemory> windows;
    std::byte* arena;
    std::byte* count_records;  // mapped host memory: kNumCountRecords + kNumSharedRecords, `record_stride` apart
    uint64_t record_stride;

    CountRecord* count_record(uint32_t record_idx) const {
        return reinterpret_cast<CountRecord*>(count_records + record_idx * record_stride);
    }
    /// The backend does not look for its tag.
    CountRecord* shared_record(uint32_t record_idx) const { return count_record(kNumCountRecords + record_idx); }
};

struct BackendOptions {
    uint64_t seed;                  // of the order in which emulated ranks and threads run
    uint32_t num_windows;
    std::vector<uint32_t> devices;  // ordinal per rank; means nothing to a backend without devices
    /// A kernel has completed the tag of one of the rank's count records.
    std::function<void(uint32_t rank_idx, uint32_t record_idx)> on_counts;
    /// Kernels can't go on. `rank_idx` is the culprit, where there is one. What is queued is dropped.
    std::function<void(std::optional<uint32_t> rank_idx, Error error)> on_failure;
};

/// Functions that take a rank append to one of its streams, those that name none to its main one. They return at once
/// and may be called from any thread, callbacks included. Callbacks come from the backend's own thread, in the order of
/// their stream, and must not destroy the backend.
class Backend {
public:
    /// `done` is false where the work was dropped after a failure.
    using End = std::function<void(bool done)>;
    using BytesEnd = std::function<void(bool done, HostBytes bytes)>;
    /// Told once, from any thread and possibly before the call returns; it may not call the group.
    using Ready = std::function<void(std::optional<Error> error)>;

    virtual ~Backend() = default;  // drops what is queued, stops what runs, waits for it

    virtual RankMemory memory(uint32_t rank_idx) const = 0;

    virtual void launch(uint32_t rank_idx, uint32_t stream_idx, Launch launch, End end) = 0;
    virtual void copy(uint32_t rank_idx, uint32_t stream_idx, std::byte* to, const std::byte* from,
                      uint64_t num_bytes) = 0;
    virtual void fill(uint32_t rank_idx, std::byte* to, uint64_t num_bytes, uint8_t value) = 0;
    virtual void upload(uint32_t rank_idx, std::byte* to, HostBytes from) = 0;
    virtual void download(uint32_t rank_idx, const std::byte* from, uint64_t num_bytes, BytesEnd end) = 0;
    virtual void delay(uint32_t rank_idx, uint32_t stream_idx, uint64_t ns) = 0;
    /// `end` is told when everything that was appended to the stream before it has ended. Not of opened streams.
    virtual void reached(uint32_t rank_idx, uint32_t stream_idx, End end) = 0;

    /// `event_idx` is below kNumEvents and not on its way. `end` is told when the stream has come there.
    virtual void record_event(uint32_t rank_idx, uint32_t stream_idx, uint32_t event_idx, End end) = 0;
    /// The stream goes on once the event, as it was recorded last, was reached.
    virtual void wait_event(uint32_t rank_idx, uint32_t stream_idx, uint32_t event_idx) = 0;

    /// Fulfilled once all that was appended on the rank is on its streams: what a caller puts there itself comes behind
    /// it. Nothing to wait for where nobody can.
    virtual std::future<void> appended(uint32_t) { return {}; }

    /// Makes a stream of the rank usable under an index that no other stream has.
    virtual void open_stream(uint32_t rank_idx, uint32_t stream_idx) = 0;

    /// Makes kernels that wait on another window than this one, where all ranks have heard of the failure, give up.
    virtual void abandon_other_windows(uint32_t window_idx) = 0;

    /// Makes a graph of `steps`, under an index that no other one has. Where that fails it still has to be freed.
    virtual void capture(uint32_t rank_idx, uint32_t graph_idx, std::vector<GraphStep> steps, Ready ready) = 0;
    virtual void replay(uint32_t rank_idx, uint32_t graph_idx, End end) = 0;
    /// With all streams empty.
    virtual void free_graph(uint32_t rank_idx, uint32_t graph_idx) = 0;

    /// What is appended between the two starts together, where the backend can arrange it.
    virtual void hold() = 0;
    virtual void release() = 0;

    /// Nothing where the rank's kernels may use memory that the group does not own, else what that memory is.
    virtual std::optional<std::string> refusal(uint32_t rank_idx, uint64_t address, uint64_t num_bytes) const = 0;

    /// What only a backend with devices has; null elsewhere.
    virtual DeviceHooks* hooks() { return nullptr; }

    /// With all streams empty: makes streams usable after a failure, clears all records and sets the control words of
    /// all windows as if `epoch` calls had been made. Throws where a device can't be used any more.
    virtual void reset(uint32_t epoch) = 0;
};

/// The backend that this addon was built with.
const char* backend_name();
/// What its kernels were compiled for.
const char* backend_arch();
/// What this machine has for it: see RawProbe in addon-types.ts; null where it needs nothing. Never throws.
Value probe_backend();
std::unique_ptr<Backend> open_backend(const Module& module, BackendOptions options);

}  // namespace epgen
