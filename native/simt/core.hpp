// The part of a machine that inlined primitives touch, and the calls that they make into it.
#pragma once

#include <cstdint>

#include "simt/access.hpp"
#include "simt/fault.hpp"
#include "simt/fiber.hpp"

namespace epgen::simt {

/// Parked threads by the 8 bytes that they wait for: a bucket lists words, each by its first waiter.
struct WaiterTable {
    static constexpr uint32_t kNumBucketBits = 10;
    Fiber* bucket[1u << kNumBucketBits] = {};

    static uint32_t bucket_idx(uintptr_t address) {
        return static_cast<uint32_t>((address >> 3) * 0x9e3779b97f4a7c15u >> (64 - kNumBucketBits));
    }
    bool may_wait(uintptr_t address) const { return bucket[bucket_idx(address)] != nullptr; }
    /// The pointer to the word's first waiter, or to null where it would be.
    Fiber*& first(uintptr_t address) {
        Fiber** link = &bucket[bucket_idx(address)];
        while (*link != nullptr && (*link)->address >> 3 != address >> 3) link = &(*link)->next_word;
        return *link;
    }
};

class Steering;
class Tracer;
class WeakMemory;
namespace check {
class Checker;
}

struct Core {
    Fiber* fiber = nullptr;  // that runs
    uint32_t weak_countdown = 1;     // weak accesses to a yield; of a watched machine always 1
    uint32_t watched_countdown = 1;  // of a watched machine: what the other is elsewhere
    bool aborting = false;
    bool is_watched = false;  // one of the four below is there
    WaiterTable waiters;
    check::Checker* checker = nullptr;
    WeakMemory* weak_memory = nullptr;
    Tracer* tracer = nullptr;
    Steering* steering = nullptr;
};

/// The machine of this OS thread. Initial-exec: kernels read it in every primitive.
extern thread_local constinit Core* current __attribute__((tls_model("initial-exec")));

/// On bodies of primitives: what they do to memory is announced already where the compiler announces every access.
#define EPGEN_ANNOUNCED __attribute__((no_sanitize("thread")))

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

struct WordCondition;
/// Lets the machine's steering decide when the thread goes on with an operation on a word that ranks or blocks share.
void steer(const Access& access, const WordCondition* condition);
void steered_wait_starts(const Access& access, const WordCondition& condition);

/// Announces an ordered access: other threads run first.
inline void access(const Access& access) {
    if (current->steering != nullptr) [[unlikely]] {
        steer(access, nullptr);
    } else {
        yield();
    }
}

/// Every access begins here, with a branch for weak ones: ordered ones always let other threads run first, weak ones
/// now and then. True in a watched machine, which has let nobody run yet: a function below takes over.
bool weak_access_pauses();
inline bool begins_watched(Order order) {
    if (order == Order::weak) return --current->weak_countdown == 0 && weak_access_pauses();
    if (current->is_watched) return true;
    yield();
    return false;
}

// Accesses of a watched machine: announced, checked, traced, and performed as far as they are performed at once.
void watched_load(const Access& access, void* value);
/// A load of a wait, which announces itself once.
void watched_poll(const Access& access, void* value);
void watched_store(const Access& access, const void* value);
/// Returns the word before the update. Through a peer pointer the update comes late, and the result means nothing.
uint32_t watched_update(const Access& access, Update update, uint32_t operand);
/// A wait on a word ends with `value`, which satisfies it.
void watched_wait_end(const Access& access, uint64_t value);
/// An atomic access of the primitives' own, to a word that nobody acquires: nobody else runs meanwhile.
void watched_signal(const Access& access);

/// Copies a word of 4 or 8 bytes, or other bytes; words at once, since threads of the host may look.
void write_words(void* to, const void* from, uint32_t bytes);

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

/// Generic accesses before it come before bulk copies after it; of shared memory only, or of all memory.
void fence_proxy_async(bool shared_only, Place place);

void mbarrier_init(void* mbarrier, uint32_t num_arrivals, const char* name, Place place);
void mbarrier_fence_init(Place place);
void mbarrier_arrive(void* mbarrier, uint32_t expected_bytes, const char* name, Place place);
/// Whether the phase of this parity has ended.
bool mbarrier_test(const void* mbarrier, uint32_t parity, const char* name, Place place);
/// A wait for that phase, called `what`, ends and acquires it.
void mbarrier_acquire(const char* what, const void* mbarrier, uint32_t parity, const char* name, Place place);

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
