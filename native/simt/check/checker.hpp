// The happens-before checker: every two accesses to the same bytes, one of them a write, have to be ordered by
// synchronisation, or be strong on both sides with scopes that reach each other. Exact for each thread, and for each
// bulk copy as an agent of its own. What it finds depends on the synchronisation that the schedule showed, not on when
// accesses happened.
//
// The engine calls it on the machine thread, fibers included; it needs no more than 2 KB of their stacks. What the
// engine adds for it:
//   Fiber::view       `check::View*`, null; block_starts() sets it for the block's fibers
//   Core::checker     `check::Checker*`, null unless MachineOptions::check_races
// When it is called, beside the comments below:
//   a store or read-modify-write   access(), stored() when it is issued; store_visible() when it reaches memory
//   a load                         access() when it is issued; loaded() with the value that it returns, for a wait the
//                                  one that ends it (not when it gives up)
//   a rendezvous                   meet_warp(), meet_block(), vote() when the last one has come, before anyone goes on
//   a fault                        forget() instead of block_ends() and kernel_ends()
//   any turn of the scheduler      if (checker->has_findings()) checker->report(), on the scheduler's stack; also
//                                  before a launch or a task is told to have ended
#pragma once

#include <functional>
#include <memory>

#include "simt/access.hpp"
#include "simt/check/knowledge.hpp"
#include "simt/check/race_report.hpp"
#include "simt/machine.hpp"

namespace epgen::simt {
struct Block;
struct BulkCopy;
struct Fiber;
struct Launch;
}  // namespace epgen::simt

namespace epgen::simt::check {

struct View;

/// What a strong store carries to whoever reads it. Empty for weak stores. Ends before its checker does.
struct ReleasedClock {
    Known known;
    Order order = Order::weak;
    Scope scope = Scope::none;
    Position position{};  // who stored
    uint32_t number = 0;
    Place place{};
};

class Checker {
public:
    static constexpr uint32_t kMaxBlocks = kStreamBlock - 1;
    static constexpr uint32_t kMaxRanks = 1u << kRankBits;
    static constexpr uint32_t kMaxStreams = 8;  // of a rank

    Checker(uint32_t num_ranks, std::function<void(const RaceReport&)> on_race);
    ~Checker();
    Checker(const Checker&) = delete;
    Checker& operator=(const Checker&) = delete;

    /// Memory of any rank, records of the host included. Accesses elsewhere aren't checked.
    void add_region(const MemoryRegion& region);

    // Streams
    void kernel_starts(const Launch& launch);
    /// After its last block, copy and store in flight.
    void kernel_ends(const Launch& launch);
    /// Before the fibers run.
    void block_starts(const Block& block);
    void block_ends(const Block& block);
    /// Gives what event_waited() takes.
    uint32_t event_recorded(StreamId stream);
    /// The stream comes after all that was before the event.
    void event_waited(StreamId stream, uint32_t event);
    /// A task of the stream reads or writes memory. `what` is of static storage: "Download".
    void stream_access(StreamId stream, AccessKind kind, const void* data, uint64_t bytes, const char* what);

    /// The host has seen the newest store to `word` and reads the rank's memory on its strength. Judged and not
    /// remembered: the host hands the memory back by what it enqueues.
    void host_reads(uint32_t rank_idx, const void* word, const void* data, uint64_t bytes);

    // Loads, stores and atomics
    void access(Fiber& fiber, const Access& access);
    /// An access that no primitive made. The memory may be anyone's.
    void raw_access(Fiber& fiber, bool is_write, const void* address, uint32_t bytes, const void* code_address);
    /// For every store and read-modify-write to memory of a device or the host, right after access(). Keep the result
    /// until the store is visible.
    ReleasedClock stored(Fiber& fiber, const Access& access);
    /// In the order in which stores become visible.
    void store_visible(const void* data, uint32_t bytes, bool is_rmw, const ReleasedClock& released);
    /// For strong loads, acquire or relaxed: the second joins nothing, but tells what an acquire would have. Where the
    /// value comes from a store that is not in memory yet, `in_flight` is what that carries.
    void loaded(Fiber& fiber, const Access& access, const ReleasedClock* in_flight = nullptr);

    // Rendezvous
    void meet_warp(Fiber* const* lanes);
    void meet_block(const Block& block);
    /// ballot, all, shfl: they order nothing.
    void vote(Fiber* const* lanes, Place place);

    // mbarriers. `object` is the pointer's name.
    void mbarrier_init(Fiber& fiber, const void* mbarrier, const char* object, Place place);
    /// Both kinds of arrival; before mbarrier_phase_ends() where it is the last.
    void mbarrier_arrive(Fiber& fiber, const void* mbarrier, const char* object, Place place);
    /// By an arrival or by the bytes of a load.
    void mbarrier_phase_ends(const Block& block, const void* mbarrier);
    /// A wait for the phase of this parity has found it over. `what` is "wait_mbarrier" or "drain_mbarrier".
    void mbarrier_acquire(Fiber& fiber, const void* mbarrier, uint32_t parity, const char* what, const char* object,
                          Place place);

    // Bulk copies
    /// When it is issued, with all members set that don't change. Checks both ends, also against what comes later.
    void bulk_issued(Fiber& fiber, const BulkCopy& copy);
    /// A wait promises that all groups of this thread numbered below `end_group` are complete, or have read their
    /// sources: `open_number() - num_newest`, whatever else happens to be complete. A thread's group numbers only grow.
    void groups_waited(Fiber& fiber, uint32_t end_group, bool read_only, Place place);
    void proxy_fence(Fiber& fiber, bool shared_only, Place place);

    /// Everything so far is before everything that follows, on all ranks. After a fault, when the kernels are gone;
    /// also when all streams are empty and the caller, who may have waited for that, enqueues again.
    void forget();

    bool has_findings() const { return num_findings_ != 0; }
    /// Calls `on_race` for what was found since. Takes more stack than a fiber has.
    void report();

private:
    struct State;
    uint32_t num_findings_ = 0;  // not reported yet
    std::unique_ptr<State> state_;
};

}  // namespace epgen::simt::check
