// Waits that end, that can't, and that take too long.
#include <chrono>
#include <thread>

#include "harness.hpp"

namespace epgen::test {

struct Nothing {
    uint32_t unused;
};

/// Tells every rank, then waits for all of them. The last rank keeps quiet when `parameter` is 1.
static void exchange_body(const Args& args) {
    if (warp_idx() == 0 && lane_idx() < args.num_ranks && (args.parameter == 0 || args.rank_idx + 1 < args.num_ranks)) {
        red_add_release_sys(EPGEN_FIELD(args.control_of(lane_idx()), counter), 1);
    }
    if (thread_idx() == 33) {
        const Site site{Phase::arrivals, -1, static_cast<int32_t>(block_idx())};
        const auto counter = EPGEN_FIELD(args.control(), counter);
        const Waited<uint32_t> arrived = wait_acquire_sys(args.call(), site, counter, AtLeast{args.num_ranks});
        st(args.results(), arrived.ok ? 1 : 2);
    }
    sync_block();
}
EPGEN_KERNEL(exchange, Args, exchange_body, 64, Nothing)

CASE("a deadlock is reported at once, with who waits where for what") {
    Group group(3);
    group.enqueue_all(exchange_entry, 1, 1);
    expect(group.wait() == Status::dropped, "not dropped");
    const FaultReport fault = group.fault();
    expect(fault.kind == FaultKind::deadlock, "kind");
    expect_contains(fault.message,
                    "rank 1 block 0 warp 1 lane 1: dispatch arrivals on channel 0, epoch 1, expected 3, seen 2, at "
                    "waits.cpp:");
    expect_contains(fault.message, "rank 2 block 0 warp 0 lanes 0-31: sync_block, at waits.cpp:");
    uint32_t num_words = 0;
    for (const Waiting& waiting : fault.waiting) num_words += waiting.phase == static_cast<uint32_t>(Phase::arrivals);
    expect(num_words == 3, "one wait per rank");
    group.machine->reset();
    for (uint32_t rank_idx = 0; rank_idx < 3; ++rank_idx) group.control(rank_idx).counter = 0;
    group.enqueue_all(exchange_entry, 1);
    expect(group.wait() == Status::done, "usable after reset");
}

CASE("a rank that never launches: real deadline, record, and a machine that goes on") {
    Group group(3);
    const auto start = std::chrono::steady_clock::now();
    group.machine->hold();
    group.enqueue(0, exchange_entry, 1, 0, 100'000'000);
    group.enqueue(2, exchange_entry, 1, 0, 100'000'000);
    group.machine->release();
    std::promise<void> left;
    group.machine->enqueue(0, Callback{[&](Status) { left.set_value(); }});
    left.get_future().get();
    const auto waited = std::chrono::steady_clock::now() - start;
    expect(waited >= std::chrono::milliseconds(100), "too early");
    expect(waited < std::chrono::milliseconds(2000), "too late");
    group.machine->hold();
    group.machine->release();
    std::promise<void> other;
    group.machine->enqueue(2, Callback{[&](Status) { other.set_value(); }});
    other.get_future().get();
    expect(group.faults.empty(), "a timeout is no fault");
    for (uint32_t rank_idx : {0u, 2u}) {
        const FaultRecord& record = group.records[rank_idx];
        expect(record.state == 2 && record.op == Op::dispatch && record.phase == Phase::arrivals, "record");
        expect(record.rank_idx == rank_idx && record.expected == 3 && record.seen == 2, "expected and seen");
        expect(group.control(rank_idx).results[0] == 2, "left by flag");
    }
    expect(group.control(1).abort == 1, "abort word of the idle rank");
    expect(!group.timeouts.empty(), "hook");
    expect(group.timeouts[0].idle_ranks == std::vector<uint32_t>{1}, "idle ranks");
    for (uint32_t rank_idx = 0; rank_idx < 3; ++rank_idx) {
        group.control(rank_idx).abort = 0;
        group.control(rank_idx).counter = 0;
        group.records[rank_idx] = {};
    }
    group.enqueue_all(exchange_entry, 1);
    expect(group.wait() == Status::done, "dropped");
    for (uint32_t rank_idx = 0; rank_idx < 3; ++rank_idx) {
        expect(group.control(rank_idx).results[0] == 1, "works again");
        expect(group.records[rank_idx].state == 0, "no new record");
    }
}

CASE("a rank that is late in virtual time passes deadlines without real waiting") {
    Group group(2);
    const auto start = std::chrono::steady_clock::now();
    group.machine->hold();
    group.machine->enqueue(1, Delay{3'000'000'000});
    group.enqueue(0, exchange_entry, 1, 0, 1'000'000'000);
    group.enqueue(1, exchange_entry, 1, 0, 1'000'000'000);
    group.machine->release();
    expect(group.wait() == Status::done, "dropped");
    expect(std::chrono::steady_clock::now() - start < std::chrono::milliseconds(500), "real time was spent");
    expect(group.records[0].state == 2 && group.records[0].reason == 1, "rank 0 passed its deadline");
    expect(group.timeouts.size() == 1 && group.timeouts[0].idle_ranks.empty(), "nobody was idle");
}

CASE("a rank that launches late, in time") {
    Group group(2);
    group.enqueue(0, exchange_entry, 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    expect(group.machine->idle_ranks() == std::vector<uint32_t>{1}, "idle");
    group.enqueue(1, exchange_entry, 1);
    expect(group.wait() == Status::done, "dropped");
    expect(group.control(0).results[0] == 1 && group.control(1).results[0] == 1, "arrived");
}

CASE("a machine that is destroyed makes its kernels leave") {
    FaultRecord records[2];
    {
        Group group(2);
        group.enqueue(0, exchange_entry, 1);
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        group.machine.reset();
        records[0] = group.records[0];
    }
    expect(records[0].reason == 2, "reason");
}

struct MappedRecord {
    uint32_t tag;
};
static MappedRecord mapped;

static void tag_body(const Args&) {
    if (thread_idx() == 0) st_release_sys(make_host(&mapped.tag, 1, "record.tag"), 5);
}
EPGEN_KERNEL(tag, Args, tag_body, 32, Nothing)

CASE("release stores to host memory are told at once") {
    Group group(1);
    group.enqueue_all(tag_entry, 1);
    group.wait();
    expect(mapped.tag == 5, "stored");
    expect(group.host_stores == std::vector<const void*>{&mapped.tag}, "hook");
}

}  // namespace epgen::test
