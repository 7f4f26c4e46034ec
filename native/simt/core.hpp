// The part of a machine that inlined primitives touch, and the calls that they make into it.
#pragma once

#include <cstdint>

#include "simt/access.hpp"
#include "simt/fault.hpp"
#include "simt/fiber.hpp"

namespace epgen::simt {

/// Parked threads by the 8 bytes that they wait for.
struct WaiterTable {
    static constexpr uint32_t kNumBucketBits = 10;
    Fiber* bucket[1u << kNumBucketBits] = {};

    static uint32_t bucket_idx(uintptr_t address) {
        return static_cast<uint32_t>((address >> 3) * 0x9e3779b97f4a7c15u >> (64 - kNumBucketBits));
    }
    bool may_wait(uintptr_t address) const { return bucket[bucket_idx(address)] != nullptr; }
};

struct Core {
    Fiber* fiber = nullptr;  // that runs
    uint32_t weak_countdown = 1;
    bool aborting = false;
    WaiterTable waiters;
};

/// The machine of this OS thread. Initial-exec: kernels read it in every primitive.
extern thread_local constinit Core* current __attribute__((tls_model("initial-exec")));

enum class Meeting : uint8_t { sync_warp, ballot, all, shfl };

/// Ends the run of all kernels with a report; the caller's stack is abandoned.
[[noreturn]] __attribute__((format(printf, 3, 4))) void raise(FaultKind kind, Place place, const char* format, ...);

/// The file's own name in a path.
const char* base_name(const char* path);

/// A pointer as reports show it: where it points, and the object that it must stay in.
struct Extent {
    const char* space;
    const char* name;
    const void* data;
    const void* begin;
    const void* end;
    uint32_t element_bytes;
};
/// The fault of an access outside its extent or at an address that is no multiple of `alignment`.
[[noreturn]] void raise_extent(const char* what, const Extent& extent, uint64_t bytes, uint64_t alignment, Place place);
/// A fault unless the copy engine can take this copy.
void check_bulk(const char* what, const Extent& to, const Extent& from, uint32_t bytes, Place place);

/// Lets another thread run.
void yield();
void weak_yield();

/// Announces an access; ordered ones always let other threads run first, weak ones now and then.
inline void access(const Access& access) {
    if (access.order == Order::weak) {
        if (--current->weak_countdown == 0) weak_yield();
    } else {
        yield();
    }
}

/// Wakes whoever waits for these bytes.
void notify_waiters(uintptr_t address, uint32_t bytes);
inline void notify(const void* data, uint32_t bytes) {
    const auto address = reinterpret_cast<uintptr_t>(data);
    for (uintptr_t granule = address & ~uintptr_t{7}; granule < address + bytes; granule += 8) {
        if (current->waiters.may_wait(granule)) notify_waiters(granule, 8);
    }
}

/// Parks the thread until the word or mbarrier at `address` changes, its deadline passes or the group is aborted. May
/// wake for nothing. The caller has set the fiber's deadline, and a note that outlives the call.
void park_on(const void* address);
uint64_t now_ns();
/// A wait gave up because its deadline had passed, the first of its rank.
void report_timeout(uint32_t rank_idx);
/// The abort words are set: everyone who waits has to look.
void wake_all_waiters();
/// A release store reached mapped host memory.
void report_host_store(const void* address);

/// All lanes come, each with a value; returns the mask, the verdict or the value of lane `source`.
uint32_t meet_warp(Meeting meeting, uint32_t value, uint32_t source, Place place);
void meet_block(Place place);

void mbarrier_init(void* mbarrier, uint32_t num_arrivals, const char* name, Place place);
void mbarrier_fence_init();
void mbarrier_arrive(void* mbarrier, uint32_t expected_bytes, const char* name, Place place);
/// Whether the phase of this parity has ended.
bool mbarrier_test(const void* mbarrier, uint32_t parity, const char* name, Place place);

/// One end of a bulk copy.
struct BulkEnd {
    void* data;
    const char* name;
};
void bulk_load(BulkEnd to, BulkEnd from, uint32_t bytes, void* mbarrier, const char* mbarrier_name, Place place);
void bulk_store(BulkEnd to, BulkEnd from, uint32_t bytes, Place place);
void bulk_commit_group();
void bulk_wait_group(uint32_t num_newest, bool read_only, Place place);

/// The block's shared memory; a fault when the launch gave it less than `bytes`.
void* shared_data(uint64_t bytes, Place place);

}  // namespace epgen::simt
