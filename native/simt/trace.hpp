// What a machine tells of its run while someone listens. Every call comes from the machine's thread, in the order of
// virtual time; without a tracer each costs one branch.
#pragma once

#include <cstdint>

#include "device/place.cuh"
#include "simt/access.hpp"
#include "simt/task.hpp"

namespace epgen::simt {

struct Block;
struct BulkCopy;
struct FaultReport;
struct Fiber;
struct RaceReport;

class Tracer {
public:
    virtual ~Tracer() = default;

    // Streams
    virtual void kernel_starts(uint64_t now_ns, StreamId stream, const char* name, uint32_t grid) = 0;
    /// After its last copy and store is visible, or when a fault abandons it.
    virtual void kernel_ends(uint64_t now_ns, StreamId stream) = 0;
    /// `what` is of static storage: "copy", "fill", "upload", "download", "callback", "delay", "record event",
    /// "wait for event".
    virtual void stream_task(uint64_t now_ns, StreamId stream, const char* what, const void* data,
                             uint64_t bytes) = 0;
    virtual void block_starts(uint64_t now_ns, const Block& block) = 0;
    virtual void block_ends(uint64_t now_ns, const Block& block) = 0;

    // Waits: a thread parks, its state and note set (except in a rendezvous of its warp), and runs again.
    virtual void parks(uint64_t now_ns, const Fiber& fiber) = 0;
    virtual void goes_on(uint64_t now_ns, const Fiber& fiber) = 0;
    /// A wait on a word has seen `value` and goes on for it.
    virtual void wait_succeeds(uint64_t now_ns, const Fiber& fiber, const Access& access, uint64_t value) = 0;

    // Accesses
    /// A weak access; those are too many to be written one by one, a tracer keeps what a later report needs.
    virtual void weak_access(uint64_t now_ns, const Fiber& fiber, const Access& access) = 0;
    /// A relaxed or release store or RMW to a window leaves its thread. Returns its number.
    virtual uint64_t store_issued(uint64_t now_ns, const Fiber& fiber, const Access& access, uint64_t value) = 0;
    /// It reaches memory, in the same step where stores are not delayed.
    virtual void store_visible(uint64_t now_ns, uint64_t number) = 0;
    virtual void fence(uint64_t now_ns, const Fiber& fiber, const char* what, Place place) = 0;

    // Bulk copies: likewise by number.
    virtual uint64_t copy_issued(uint64_t now_ns, const BulkCopy& copy) = 0;
    virtual void copy_source_read(uint64_t now_ns, uint64_t number) = 0;
    virtual void copy_visible(uint64_t now_ns, uint64_t number) = 0;

    // Threads of a block that meet
    virtual void mbarrier_init(uint64_t now_ns, const Fiber& fiber, const void* mbarrier, const char* name,
                               Place place) = 0;
    virtual void mbarrier_arrives(uint64_t now_ns, const Fiber& fiber, const void* mbarrier, const char* name,
                                  uint32_t expected_bytes, Place place) = 0;
    /// Its phase is over: by the last arrival, or by the last bytes of a bulk load.
    virtual void mbarrier_phase_ends(uint64_t now_ns, const void* mbarrier) = 0;
    virtual void mbarrier_wait_succeeds(uint64_t now_ns, const Fiber& fiber, const void* mbarrier, const char* name,
                                        uint32_t parity, Place place) = 0;
    /// The last thread of the block has come.
    virtual void block_meets(uint64_t now_ns, const Fiber& last, Place place) = 0;

    // Findings
    virtual void fault(uint64_t now_ns, const FaultReport& report) = 0;
    virtual void race(uint64_t now_ns, const RaceReport& report) = 0;
};

}  // namespace epgen::simt
