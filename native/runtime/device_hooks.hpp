// What tests and benchmarks need of real devices.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace epgen {

/// How many timing events a rank has.
constexpr uint32_t kNumTimingEvents = 4096;

/// Functions may be called from any thread.
class DeviceHooks {
public:
    /// Names of the driver calls made since the group was opened, each once.
    virtual std::vector<std::string> calls() const = 0;

    /// One of the rank's streams, as the driver names it.
    virtual uint64_t stream(uint32_t rank_idx, uint32_t stream_idx) const = 0;

    /// Makes a stream of the caller's usable under an index that no other stream has; throws where it is none.
    virtual void import_stream(uint32_t rank_idx, uint32_t stream_idx, uint64_t pointer) = 0;

    /// Appends to the rank's stream: take the time there. `event_idx` is below kNumTimingEvents.
    virtual void record(uint32_t rank_idx, uint32_t event_idx) = 0;

    /// Between two events that were reached.
    virtual float elapsed_ms(uint32_t rank_idx, uint32_t from_event_idx, uint32_t to_event_idx) const = 0;

    /// Appends to every rank's stream: go on when all ranks have come here.
    virtual void start_barrier(uint64_t deadline_ns) = 0;

protected:
    ~DeviceHooks() = default;
};

}  // namespace epgen
