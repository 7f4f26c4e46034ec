// The machine's thread: streams, resident blocks, scheduler and clock.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "simt/block.hpp"
#include "simt/bulk.hpp"
#include "simt/check/checker.hpp"
#include "simt/core.hpp"
#include "simt/machine.hpp"
#include "simt/model/weak_memory.hpp"
#include "simt/run_queue.hpp"
#include "simt/schedule.hpp"
#include "simt/stack_pool.hpp"
#include "simt/steering.hpp"
#include "simt/trace.hpp"

namespace epgen::simt {

/// One of a rank's streams: what is queued, and what the head of the queue occupies.
struct Stream {
    StreamId id;
    std::deque<Task> queue;
    std::unique_ptr<Launch> launch;
    bool has_timer = false;  // the head of the queue waits for `timer_ns`
    uint64_t timer_ns = 0;

    bool is_idle() const { return queue.empty() && launch == nullptr; }
};

class Engine : public Core {
public:
    explicit Engine(MachineOptions options);
    ~Engine();

    // Called from any thread.
    void enqueue(StreamId stream, Task task);
    void hold(int change);
    void reset();
    void wake_waits();
    void abort_all();
    std::vector<uint32_t> idle_ranks() const;
    Counters counters() const;
    void add_region(const MemoryRegion& region);

    // Called by fibers.
    void yield_fiber();
    void leave_fiber();  // the fiber is parked or ended
    void make_runnable(Fiber& fiber);
    void call_on_scheduler(void (Engine::*call)());
    void park_on_address(Fiber& fiber, uintptr_t address);
    void unpark(Fiber& fiber);
    void unpark_all(uintptr_t address);
    void notify_range(uintptr_t address, uint64_t bytes);
    void wake_all();
    void await_choice(const Access& access, const WordCondition* condition);
    void end_fiber(Fiber& fiber);
    [[noreturn]] void run_fiber(Fiber& fiber);
    /// Makes an event part of what identifies the schedule.
    void trace(uint64_t event) {
        trace_hash_ = (trace_hash_ ^ event) * 0x9e3779b97f4a7c15u;
        trace_hash_ ^= trace_hash_ >> 32;
    }
    uint64_t now() const { return clock_offset_ns_ + num_steps_; }
    BulkCopy& add_copy(const Fiber& owner);
    /// Shows a copy that has just been issued to the detectors and the tracer.
    void watch_issue(Fiber& issuer, BulkCopy& copy);
    /// As leave_fiber, of a fiber that will go on.
    void park_fiber() {
        if (tracer != nullptr) [[unlikely]] return park_traced_fiber();
        leave_fiber();
    }
    void park_traced_fiber();
    /// A store or copy of the launch's threads leaves, or has been performed.
    void begin_flight(Launch& launch);
    void end_flight(Launch& launch);
    void store_visible(const void* data, uint32_t bytes, bool is_update, const check::ReleasedClock& released,
                       std::optional<uint64_t> trace_number);
    void store_lands(const FlyingStore& store);
    /// Records the first fault; the scheduler acts on it at its next turn.
    void post_fault(FaultKind kind, Place place, uint32_t rank_idx, uint32_t block_idx, uint32_t thread_idx,
                    const char* text);
    void switch_to_scheduler();
    std::unique_ptr<BulkGroups> take_groups();
    void give_back_groups(Fiber& owner);
    /// The registered memory that the address is in.
    std::optional<MemoryRegion> region_of(const void* address) const;
    /// "rank 3's window + 128", or empty for memory that was not registered.
    std::string region_text(const void* address) const;
    bool wants_host_stores() const { return static_cast<bool>(options_.on_host_store); }

    Schedule schedule;
    uint32_t timeout_rank_idx = 0;        // argument of call_timeout
    const void* host_address = nullptr;  // argument of call_host_store
    void call_timeout();
    void call_host_store();

private:
    struct Message {
        enum class Kind { task, reset } kind;
        StreamId stream;
        Task task;
    };

    void run();
    bool take_turn();  // false when the thread is to end
    void receive();
    /// No stream has anything to do.
    bool is_idle() const;
    /// A rank whose bit is set has no stream with anything to do.
    uint64_t idle_ranks_mask() const;
    Stream& stream_of(StreamId id);
    void publish();

    // Streams
    void advance_streams();
    bool advance(Stream& stream);
    bool advance_held();
    void perform(Stream& stream, Task task);
    bool wait_for_timer(Stream& stream, uint64_t delay_ns);
    bool jump_to_timer();
    void finish_launch(Stream& stream);
    void drop(Task task);
    void drop_queued();

    // Blocks
    void start_blocks();
    void start_block(Launch& launch);
    void end_block(Block& block);
    void release_block(std::unique_ptr<Block> block);
    std::byte* take_shared(uint32_t bytes);

    // Scheduler
    void switch_to(Fiber& next);
    Fiber& pick_next();
    void choose_operation();
    void move_in_flight(bool is_idle);
    void move_copy(uint32_t idx);
    void look_around();
    void expire_waits();
    uint64_t earliest_deadline() const;
    void sleep_until(uint64_t deadline_ns);
    template <class Visit>
    void for_each_fiber(Visit visit) const;

    // Faults
    void deliver_races();
    void act_on_fault();
    bool can_be_helped() const;
    void report_deadlock();
    std::vector<Waiting> waiting() const;
    void abandon_kernels();

    const MachineOptions options_;
    std::unique_ptr<check::Checker> owned_checker_;
    std::unique_ptr<WeakMemory> owned_weak_memory_;  // holds clocks of the checker
    StackPool stacks_;
    Fiber scheduler_fiber_{};
    RunQueue runnable_;
    std::vector<WordOperation> pending_;  // of a steered machine
    std::vector<std::unique_ptr<Block>> resident_;
    std::vector<std::unique_ptr<Block>> free_blocks_;
    std::vector<std::unique_ptr<BulkGroups>> free_groups_;
    std::map<uint32_t, std::vector<std::byte*>> free_shared_;
    std::vector<std::byte*> all_shared_;
    BulkCopies copies_;
    std::vector<Stream> streams_;  // stream 0 of every rank, then others in the order of their first tasks
    std::vector<MemoryRegion> regions_;
    std::size_t num_known_regions_ = 0;  // the first ones, which the detectors know
    uint16_t page_waiters_[256] = {};

    uint64_t num_steps_ = 0;
    uint64_t next_look_ = 0;
    uint64_t clock_offset_ns_ = 0;
    uint64_t next_deadline_ns_ = kNoDeadline;
    uint64_t trace_hash_ = 0;
    uint64_t num_kernels_ = 0;
    uint64_t abort_step_ = 0;
    uint32_t num_in_flight_ = 0;  // copies and stores
    uint32_t flight_countdown_ = 1;
    bool is_faulted_ = false;  // until reset
    bool event_was_reached_ = false;  // and streams that wait for it have not looked
    std::optional<FaultReport> fault_;
    Block* ended_block_ = nullptr;
    void (Engine::*scheduler_call_)() = nullptr;
    std::optional<std::vector<uint32_t>> idle_at_timeout_;

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Message> inbox_;
    int num_holds_ = 0;
    bool stopping_ = false;
    std::atomic<bool> has_mail_ = false;
    std::atomic<bool> abort_requested_ = false;
    std::atomic<bool> wake_requested_ = false;
    std::atomic<uint64_t> idle_mask_ = 0;
    struct {
        std::atomic<uint64_t> num_steps{0}, num_kernels{0}, trace_hash{0}, now_ns{0};
    } published_;

    std::thread thread_;
};

/// The engine of this OS thread.
inline Engine& engine() { return static_cast<Engine&>(*current); }

}  // namespace epgen::simt
