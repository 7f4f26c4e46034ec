// Writes a run as trace events, for ui.perfetto.dev and for epgen's space-time diagram.
//
// A process is a stream of a rank. Its threads are the stream itself, each block, and per warp one for what its lanes
// do and as many as its waits overlap. Lanes of a warp that wait for the same thing share a slice, and of those that pass
// the same mbarrier phase only the first is written. Stores and bulk copies on their way are async slices; a flow arrow
// leads from a store to every wait that saw it. cli/diagram/trace.ts says what the arguments of events are called.
#pragma once

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "simt/trace.hpp"
#include "simt/trace_writer.hpp"

namespace epgen::simt {

struct RaceSide;

struct TraceOptions {
    std::string path;
    /// What the file says of the run: "spec", "seed", ...
    std::vector<std::pair<std::string, std::string>> notes;
    /// Who writes: "process", at the very start of the file.
    std::string process;
    /// From here on only ends of what has begun, faults and races are written; "leftOut" of the file counts the rest.
    uint64_t max_bytes = uint64_t{64} << 20;
    /// Keeps when each thread last was at each place, so that a race tells when its earlier access was.
    bool remembers_accesses = false;
};

class TraceEvents final : public Tracer {
public:
    /// Throws std::system_error when the file can't be written.
    explicit TraceEvents(TraceOptions options);
    ~TraceEvents() override;

    void kernel_starts(uint64_t now_ns, StreamId stream, const char* name, uint32_t grid) override;
    void kernel_ends(uint64_t now_ns, StreamId stream) override;
    void stream_task(uint64_t now_ns, StreamId stream, const char* what, const void* data, uint64_t bytes) override;
    void block_starts(uint64_t now_ns, const Block& block) override;
    void block_ends(uint64_t now_ns, const Block& block) override;
    void parks(uint64_t now_ns, const Fiber& fiber) override;
    void goes_on(uint64_t now_ns, const Fiber& fiber) override;
    void wait_succeeds(uint64_t now_ns, const Fiber& fiber, const Access& access, uint64_t value) override;
    void weak_access(uint64_t now_ns, const Fiber& fiber, const Access& access) override;
    uint64_t store_issued(uint64_t now_ns, const Fiber& fiber, const Access& access, uint64_t value) override;
    void store_visible(uint64_t now_ns, uint64_t number) override;
    void fence(uint64_t now_ns, const Fiber& fiber, const char* what, Place place) override;
    uint64_t copy_issued(uint64_t now_ns, const BulkCopy& copy) override;
    void copy_source_read(uint64_t now_ns, uint64_t number) override;
    void copy_visible(uint64_t now_ns, uint64_t number) override;
    void mbarrier_init(uint64_t now_ns, const Fiber& fiber, const void* mbarrier, const char* name,
                       Place place) override;
    void mbarrier_arrives(uint64_t now_ns, const Fiber& fiber, const void* mbarrier, const char* name,
                          uint32_t expected_bytes, Place place) override;
    void mbarrier_phase_ends(uint64_t now_ns, const void* mbarrier) override;
    void mbarrier_wait_succeeds(uint64_t now_ns, const Fiber& fiber, const void* mbarrier, const char* name,
                                uint32_t parity, Place place) override;
    void block_meets(uint64_t now_ns, const Fiber& last, Place place) override;
    void fault(uint64_t now_ns, const FaultReport& report) override;
    void race(uint64_t now_ns, const RaceReport& report) override;

private:
    /// Lanes of a warp that wait for the same thing.
    struct Wait {
        TraceSlice slice;
        uint32_t slot;
        Place place;
        uintptr_t address;
        const char* name;
        uint32_t waiting;  // mask of lanes
        uint32_t all;      // that came in the meantime
    };
    /// A store or bulk copy on its way.
    struct Flight {
        uint32_t pid;
        const char* name;
        const char* category;
        std::string args;
        uint64_t issued_ns;
        uint64_t read_ns;  // of a copy: its source, completely
        uintptr_t word;    // of a store
        bool is_rmw;

        /// As events.
        std::string text(uint64_t number, uint64_t end_ns) const;
    };
    using Flights = std::unordered_map<uint64_t, Flight>;  // by number
    struct Mbarrier {
        const char* name;
        TraceRow block;
        uint64_t phase;
        std::unordered_set<uint64_t> passed;  // warps that have passed the phase before
    };

    TraceRow row_of(const Fiber& fiber, uint32_t slot = 0);
    void end_flight(uint64_t now_ns, Flights& flights, uint64_t number);
    void at(uint64_t now_ns);
    void remember(uint64_t now_ns, uint32_t rank_idx, uint32_t block_idx, uint32_t thread_idx, Place place);
    void remember(uint64_t now_ns, const Fiber& fiber, Place place);
    /// `access` as part of a race, with the time when its thread was last there; `now_ns` where nobody knows.
    std::string side_of(const RaceSide& access, uint64_t now_ns) const;
    /// What is open ends here unless more comes. False, with errno, where the file can't be written.
    bool flush();

    const TraceOptions options_;
    TraceWriter writer_;
    uint64_t last_ns_ = 0;
    uint64_t last_number_ = 0;
    std::unordered_map<uint32_t, TraceSlice> kernels_;  // by process
    std::unordered_map<const Block*, TraceSlice> blocks_;
    std::unordered_map<uint64_t, std::vector<Wait>> waits_;  // by warp
    Flights stores_, copies_;
    std::unordered_map<uintptr_t, std::vector<uint64_t>> writers_;  // by word: stores that a wait on it sees
    std::unordered_map<const void*, Mbarrier> mbarriers_;
    std::unordered_map<uint64_t, uint64_t> seen_at_;  // times by thread and place
};

}  // namespace epgen::simt
