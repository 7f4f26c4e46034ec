// Work for a stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <variant>
#include <vector>

namespace epgen {
struct KernelEntry;
}

namespace epgen::simt {

/// How a task ended.
enum class Status {
    done,
    dropped,  // not run, or not to its end: a fault, abort_all, or a machine that was not reset after a fault
};

/// Called on the machine thread, in stream order.
using Done = std::function<void(Status)>;

/// Bytes that a task owns.
struct Bytes {
    std::unique_ptr<std::byte[]> data;
    uint64_t size = 0;

    static Bytes uninitialised(uint64_t size);
    static Bytes copy_of(const void* from, uint64_t size);
};

/// A launch. `on_done` may be empty.
struct Kernel {
    const KernelEntry* entry;
    uint32_t grid;
    std::vector<std::byte> args;
    Done on_done;
};

/// Copies `bytes` bytes; the ranges may overlap.
struct Copy {
    void* to;
    const void* from;
    uint64_t bytes;
};

struct Fill {
    void* to;
    uint8_t value;
    uint64_t bytes;
};

struct Upload {
    void* to;
    Bytes from;
};

/// Hands over a copy of `bytes` bytes at `from`; the copy is empty when the task was dropped.
struct Download {
    const void* from;
    uint64_t bytes;
    std::function<void(Status, Bytes)> on_done;
};

struct Callback {
    Done on_reached;
};

/// Occupies the stream for `ns` of virtual time.
struct Delay {
    uint64_t ns;
};

/// A place that one stream comes to and others wait for. Belongs to the machine thread once it is enqueued.
struct EventState {
    bool is_reached = false;
    uint32_t known = 0;  // what the checker remembers of it
};
using Event = std::shared_ptr<EventState>;
inline Event make_event() { return std::make_shared<EventState>(); }

/// At most once for an event; dropped, it counts as reached.
struct RecordEvent {
    Event event;
};

/// The stream goes on once the event is reached; that may be recorded later.
struct WaitEvent {
    Event event;
};

using Task = std::variant<Kernel, Copy, Fill, Upload, Download, Callback, Delay, RecordEvent, WaitEvent>;

/// One of a rank's streams.
struct StreamId {
    uint32_t rank_idx;
    uint32_t stream_idx;

    bool operator==(const StreamId&) const = default;
};

}  // namespace epgen::simt
