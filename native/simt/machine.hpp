// The SIMT emulator: runs the kernels of a group of ranks on one thread of its own, one fiber per CUDA thread.
//
// Each rank has FIFO streams of tasks that live across calls; all streams run independently of each other, except where
// events order them, in an order that follows from the seed. Time is virtual: it advances with every step of the
// scheduler and jumps when only a timer is left. It advances with real time only while every kernel waits and only the
// caller's next task can help: a rank has nothing to do, or MachineOptions::caller_may_help.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "simt/fault.hpp"
#include "simt/policy.hpp"
#include "simt/reservation.hpp"
#include "simt/task.hpp"

namespace epgen::simt {

struct RaceReport;  // check/race_report.hpp
class Steering;     // steering.hpp
class Tracer;       // trace.hpp

/// Memory that kernels of a group reach, so that reports can say what an address belongs to.
struct MemoryRegion {
    const char* name;  // "window", "arena", ...: outlives the machine
    uint32_t rank_idx;  // its home
    const void* data;
    uint64_t bytes;
};

/// A rank's first wait that passed its deadline. The kernels leave by flag; the machine goes on.
struct Timeout {
    uint32_t rank_idx;
    std::vector<uint32_t> idle_ranks;  // had nothing on their streams when the first deadline passed
};

struct MachineOptions {
    uint32_t num_ranks = 1;
    uint64_t seed = 1;
    uint32_t weak_yield_one_in = 64;     // a weak access lets another thread run once in about so many
    Policy policy;
    bool caller_may_help = false;        // with a task on another stream, also while every rank waits in a kernel
    uint32_t stack_bytes = 12 * 1024;    // per thread; dense stacks are faster
    bool weak_memory = false;            // stores to windows come late; the async proxy sees old bytes until a fence
    bool check_races = false;            // every two accesses must be ordered, or strong on both sides
    Tracer* tracer = nullptr;            // outlives the machine
    Steering* steering = nullptr;        // likewise; not together with weak_memory
    // The hooks are called on the machine thread. They may enqueue; they must not destroy the machine.
    std::function<void(const FaultReport&)> on_fault;
    std::function<void(const RaceReport&)> on_race;  // once per pair of places; the run goes on
    std::function<void(const Timeout&)> on_timeout;
    std::function<void(const void* address)> on_host_store;  // after a release store to mapped host memory
};

/// Totals since the machine was made. Complete when the machine is idle or inside a hook, a moment old otherwise.
struct Counters {
    uint64_t num_steps;    // decisions of the scheduler
    uint64_t num_kernels;  // launches that ended
    uint64_t trace_hash;   // of the threads picked, copies moved and stores landed, in order: identifies a schedule
    uint64_t now_ns;       // virtual time
};

class Engine;

/// All member functions except the destructor may be called from any thread, hooks included.
class Machine {
public:
    explicit Machine(MachineOptions options);
    /// Drops queued tasks, makes running kernels leave, waits for the thread. Not from a hook.
    ~Machine();
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    /// Appends to the stream and returns at once; a stream is there from its first task on. Throws
    /// std::invalid_argument for an unknown rank, a stream that is too many and for a launch that no GPU would take
    /// (empty grid, threads not a multiple of 32 up to 1024, too much shared memory).
    void enqueue(StreamId stream, Task task);
    /// On the rank's stream 0.
    void enqueue(uint32_t rank_idx, Task task);

    /// While held, the machine takes no new tasks: what is enqueued in between starts together, and the schedule
    /// depends on the seed alone. Calls nest.
    void hold();
    void release();

    /// Makes a machine that faulted accept tasks again; takes effect in order with enqueue. Memory is left as it is.
    void reset();

    /// Lets all waits of running kernels look at their abort words, which somebody has set.
    void wake_waits();

    /// Drops queued tasks and makes all waits of running kernels, now and later, give up with reason 2.
    /// Final: tasks that are enqueued afterwards are dropped.
    void abort_all();

    /// Ranks with nothing queued or running at the moment.
    std::vector<uint32_t> idle_ranks() const;

    Counters counters() const;

    /// From `on_host_store`: the host, which has seen that store, reads these bytes of the rank's mapped memory. Only a
    /// checker cares.
    void host_reads(uint32_t rank_idx, const void* stored, const void* data, uint64_t bytes);

    /// Before the first launch that reaches the memory; the region stays registered.
    void add_region(const MemoryRegion& region);

private:
    std::unique_ptr<Engine> engine_;
};

}  // namespace epgen::simt
