// What a machine tells a tracer, and the files that come of it. simt.test.ts reads the files.
#include <algorithm>
#include <cstdio>
#include <system_error>

#include "harness.hpp"
#include "simt/trace_events.hpp"

namespace epgen::test {

using simt::TraceEvents;
using simt::TraceOptions;

struct TracedStage {
    alignas(128) uint8_t bytes[256];
    Mbarrier full;
};

/// Every kind of event: blocks of rank 0 load a row, store it to rank 1 and announce it; those of rank 1 wait for all.
static void everything_body(const Args& args) {
    const auto stage = shared_memory<TracedStage>();
    const auto bytes = EPGEN_FIELD(stage, bytes);
    const auto full = EPGEN_FIELD(stage, full);
    if (thread_idx() == 0) {
        mbarrier_init(full, 1);
        fence_mbarrier_init();
    }
    sync_block();
    const Call call = args.call();
    const uint32_t row = block_idx() * 256;
    if (args.rank_idx == 0) {
        if (thread_idx() == 0) {
            mbarrier_arrive_expect_tx(full, 256);
            bulk_load(bytes, local_region(args.windows, 0, kDataRegion) + row, 256, full);
        }
        if (warp_idx() == 0) wait_mbarrier_warp(call, {Phase::stage_full, -1, 0}, full, 0);
        if (thread_idx() == 0) {
            bulk_store(peer_region(args.windows, 1, kDataRegion) + row, bytes, 256);
            bulk_commit_group();
            if (args.parameter == 3) {
                bulk_wait_group_read<0>();
            } else {
                bulk_wait_group<0>();
            }
            fence_proxy_async();
            st_relaxed_sys(EPGEN_FIELD(args.control_of(1), word), 7);
            red_add_release_sys(EPGEN_FIELD(args.control_of(1), counter), 1);
        }
    } else if (thread_idx() == 0) {
        const Site site{Phase::arrivals, 0, 0};
        wait_acquire_sys(call, site, EPGEN_FIELD(args.control(), counter), AtLeast{num_blocks()});
        st(args.results() + block_idx(), ld(local_region(args.windows, 1, kDataRegion) + row));
        if (args.parameter == 1) drain_mbarrier(full, 0);
    }
    if (args.parameter == 2 && args.rank_idx == 1 && thread_idx() == 0) ld(args.results() + 5000);
}
EPGEN_KERNEL(everything, Args, everything_body, 64, TracedStage)

static void run_everything(const std::string& path, uint32_t parameter, uint64_t max_bytes = 1 << 20,
                           bool is_checked = false) {
    TraceEvents tracer({.path = path, .notes = {{"spec", "a \"quoted\" name\n"}}, .process = "test",
                        .max_bytes = max_bytes, .remembers_accesses = is_checked});
    MachineOptions options;
    options.tracer = &tracer;
    options.check_races = is_checked;
    options.weak_memory = is_checked;
    Group group(2, 1, std::move(options));
    group.machine->enqueue(0, Fill{group.data(0), 3, 512});
    group.enqueue_all(everything_entry, 2, parameter);
    const bool is_done = group.wait() == Status::done;
    expect(is_done == (parameter % 3 == 0), "run " + path);
}

CASE("a trace has every kind of event") { run_everything("trace-done.json", 0); }

CASE("a trace of a deadlock is complete") { run_everything("trace-deadlock.json", 1); }

CASE("a trace of a fault is complete") { run_everything("trace-fault.json", 2); }

CASE("a trace of a race says when both accesses were") { run_everything("trace-race.json", 3, 1 << 20, true); }

CASE("a full trace is complete and says what was left out") { run_everything("trace-full.json", 0, 4000); }

CASE("a trace is complete while it is written") {
    TraceEvents tracer({.path = "trace-open.json", .notes = {}, .process = "test"});
    MachineOptions options;
    options.tracer = &tracer;
    Group group(2, 1, std::move(options));
    group.enqueue_all(everything_entry, 2);
    expect(group.wait() == Status::done, "run");
    // The tracer has more to say; the copy has not.
    std::FILE* from = std::fopen("trace-open.json", "rb");
    std::FILE* to = std::fopen("trace-killed.json", "wb");
    for (int byte = std::getc(from); byte != EOF; byte = std::getc(from)) std::putc(byte, to);
    std::fclose(from);
    std::fclose(to);
}

CASE("a trace that can't be written is refused") {
    const auto reason_of = [](const std::string& path) {
        try {
            TraceEvents tracer({.path = path, .notes = {}, .process = "test"});
        } catch (const std::system_error& error) {
            return error.code().message();
        }
        return std::string("none");
    };
    expect(reason_of("no/such/folder/trace.json") == "No such file or directory", "folder");
    expect(reason_of("/") == "Is a directory", "directory");
    expect(reason_of("/dev/full") == "No space left on device", "full: " + reason_of("/dev/full"));
}

CASE("tracing changes no schedule") {
    const auto hash_of = [](simt::Tracer* tracer) {
        MachineOptions options;
        options.tracer = tracer;
        Group group(2, 5, std::move(options));
        group.enqueue_all(everything_entry, 2);
        expect(group.wait() == Status::done, group.fault().message);
        return group.machine->counters().trace_hash;
    };
    TraceEvents tracer({.path = "trace-same.json", .notes = {}, .process = "test"});
    expect(hash_of(nullptr) == hash_of(&tracer), "another schedule");
}

}  // namespace epgen::test
