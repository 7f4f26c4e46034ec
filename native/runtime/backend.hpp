// What a group needs of the machine below it: memory for every rank and one FIFO stream per rank.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/device_hooks.hpp"
#include "runtime/module.hpp"
#include "runtime/outcome.hpp"

namespace epgen {

/// How many calls of a rank may have counts that nobody has read yet.
constexpr uint32_t kNumCountRecords = 16;

/// One rank's memory. Addresses are those that its kernels use.
struct RankMemory {
    std::byte* window;
    std::byte* arena;
    std::byte* count_records;  // mapped host memory: kNumCountRecords, `record_stride` apart
    uint64_t record_stride;
    FaultRecord* fault;  // mapped host memory

    CountRecord* count_record(uint32_t record_idx) const {
        return reinterpret_cast<CountRecord*>(count_records + record_idx * record_stride);
    }
};

struct BackendOptions {
    uint64_t seed;                  // of the order in which emulated ranks and threads run
    std::vector<uint32_t> devices;  // ordinal per rank; means nothing to a backend without devices
    /// A kernel has completed the tag of one of the rank's count records.
    std::function<void(uint32_t rank_idx, uint32_t record_idx)> on_counts;
    /// Kernels can't go on. `rank_idx` is the culprit, where there is one. What is queued is dropped.
    std::function<void(std::optional<uint32_t> rank_idx, Error error)> on_failure;
};

/// Functions that take a rank append to its stream, return at once and may be called from any thread, callbacks
/// included. Callbacks come from the backend's own thread, in stream order, and must not destroy the backend.
class Backend {
public:
    /// `done` is false where the work was dropped after a failure.
    using End = std::function<void(bool done)>;
    using BytesEnd = std::function<void(bool done, HostBytes bytes)>;

    virtual ~Backend() = default;  // drops what is queued, stops what runs, waits for it

    virtual RankMemory memory(uint32_t rank_idx) const = 0;

    virtual void launch(uint32_t rank_idx, Launch launch, End end) = 0;
    virtual void copy(uint32_t rank_idx, std::byte* to, const std::byte* from, uint64_t num_bytes) = 0;
    virtual void fill(uint32_t rank_idx, std::byte* to, uint64_t num_bytes, uint8_t value) = 0;
    virtual void upload(uint32_t rank_idx, std::byte* to, HostBytes from) = 0;
    virtual void download(uint32_t rank_idx, const std::byte* from, uint64_t num_bytes, BytesEnd end) = 0;
    virtual void delay(uint32_t rank_idx, uint64_t ns) = 0;
    /// `end` is told when everything that was appended before it has ended.
    virtual void reached(uint32_t rank_idx, End end) = 0;

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
