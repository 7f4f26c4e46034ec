// Several streams of a rank: what runs at once, what events order, and what the checker makes of it.
#include <chrono>
#include <cstring>
#include <future>
#include <stdexcept>
#include <thread>

#include "check.hpp"

namespace epgen::test {

using simt::Event;
using simt::make_event;
using simt::RecordEvent;
using simt::StreamId;
using simt::WaitEvent;

static void enqueue(Group& group, StreamId stream, const KernelEntry& entry, uint32_t parameter) {
    Args args{stream.rank_idx, 1, 10'000'000'000, &group.records[stream.rank_idx], {}, parameter};
    args.windows.base[stream.rank_idx] = reinterpret_cast<std::byte*>(&group.control(stream.rank_idx));
    std::vector<std::byte> bytes(sizeof args);
    std::memcpy(bytes.data(), &args, sizeof args);
    group.machine->enqueue(stream, Kernel{&entry, 1, std::move(bytes), {}});
}

static void wait_for(Group& group, StreamId stream) {
    std::promise<void> reached;
    group.machine->enqueue(stream, Callback{[&](Status) { reached.set_value(); }});
    reached.get_future().wait();
}

/// Parameter 0 waits for the word that parameter 1 sets.
static void pair_body(const Args& args) {
    if (thread_idx() != 0) return;
    const auto word = EPGEN_FIELD(args.control(), word);
    if (args.parameter == 1) {
        st_release_sys(EPGEN_FIELD(args.control_of(0), word), pack_word(1, 1));
    } else {
        st(args.results(), wait_acquire_sys(args.call(), site(), word, HasEpoch{1}).ok ? 1u : 2u);
    }
}
EPGEN_KERNEL(pair, Args, pair_body, 32, uint32_t)

CASE("kernels on two streams of a rank run at once") {
    for (uint64_t seed = 1; seed <= 8; ++seed) {
        Group group(1, seed);
        group.machine->hold();
        enqueue(group, {0, 1}, pair_entry, 0);
        enqueue(group, {0, 2}, pair_entry, 1);
        group.machine->release();
        wait_for(group, {0, 1});
        expect(group.control(0).results[0] == 1, "the word came");
    }
}

CASE("a kernel waits for what its caller may yet give another stream of its rank") {
    MachineOptions options;
    options.caller_may_help = true;
    Group group(1, 1, options);
    enqueue(group, {0, 1}, pair_entry, 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    enqueue(group, {0, 2}, pair_entry, 1);
    wait_for(group, {0, 1});
    expect(group.control(0).results[0] == 1, "the word came");
}

CASE("a stream that waits for an event goes on after it") {
    for (uint64_t seed = 1; seed <= 8; ++seed) {
        Group group(1, seed);
        const Event event = make_event();
        group.machine->hold();
        group.machine->enqueue({0, 0}, WaitEvent{event});
        group.machine->enqueue({0, 0}, Copy{group.data(0) + 1, group.data(0), 1});
        group.machine->enqueue({0, 3}, Delay{1'000'000});
        group.machine->enqueue({0, 3}, Fill{group.data(0), 7, 1});
        group.machine->enqueue({0, 3}, RecordEvent{event});
        group.machine->release();
        wait_for(group, {0, 0});
        expect(group.data(0)[1] == 7, "the copy came after the fill");
    }
}

CASE("without an event streams don't wait for each other") {
    Group group(1);
    group.machine->hold();
    group.machine->enqueue({0, 1}, Delay{1'000'000'000});
    group.machine->enqueue({0, 1}, Fill{group.data(0), 7, 1});
    group.machine->enqueue({0, 0}, Copy{group.data(0) + 1, group.data(0), 1});
    group.machine->release();
    wait_for(group, {0, 1});
    expect(group.data(0)[0] == 7 && group.data(0)[1] == 0, "the copy came before the fill");
}

CASE("an event that a fault has dropped lets streams go on") {
    Group group(1);
    const Event event = make_event();
    enqueue(group, {0, 1}, pair_entry, 0);
    group.machine->enqueue({0, 1}, RecordEvent{event});
    group.machine->enqueue({0, 0}, WaitEvent{event});
    expect(group.wait() == Status::dropped, "nobody sets the word");
    group.machine->reset();
    group.machine->enqueue({0, 0}, WaitEvent{event});
    expect(group.wait() == Status::done, "the event counts as reached");
}

CASE("a rank is idle when all of its streams are") {
    Group group(2);
    group.machine->hold();
    group.machine->enqueue({1, 4}, Delay{1});
    expect(group.machine->idle_ranks() == std::vector<uint32_t>{0}, "rank 1 has something to do");
    group.machine->release();
    wait_for(group, {1, 4});
}

CASE("a stream that is too many is refused") {
    Group group(1);
    bool is_refused = false;
    try {
        group.machine->enqueue({0, 64}, Delay{1});
    } catch (const std::invalid_argument& error) {
        is_refused = true;
        expect_contains(error.what(), "expected a stream below 64 but received 64");
    }
    expect(is_refused, "stream 64");
}

/// Parameter 0 writes what parameter 1 reads.
static void plain_body(const Args& args) {
    if (thread_idx() != 0) return;
    if (args.parameter == 0) {
        FIRST(st(own_data(args), 7));
    } else {
        SECOND(ld(own_data(args)));
    }
}
EPGEN_KERNEL(plain, Args, plain_body, 32, uint32_t)

/// The writer on stream 1, the reader on stream `to`, behind an event where `has_event`.
static std::vector<RaceReport> plain_races(uint32_t to, bool has_event, uint64_t seed) {
    CheckedGroup checked(1, seed);
    Group& group = checked.group;
    const Event event = make_event();
    first_line = second_line = 0;
    group.machine->hold();
    enqueue(group, {0, 1}, plain_entry, 0);
    if (has_event) {
        group.machine->enqueue({0, 1}, RecordEvent{event});
        group.machine->enqueue({0, to}, WaitEvent{event});
    } else {
        group.machine->enqueue({0, to}, Delay{1'000'000});
    }
    enqueue(group, {0, to}, plain_entry, 1);
    group.machine->release();
    wait_for(group, {0, 1});
    wait_for(group, {0, to});
    return checked.races;
}

CASE("kernels of two streams race where no event orders them") {
    for (uint64_t seed = 1; seed <= 8; ++seed) {
        expect(plain_races(0, true, seed).empty(), "with the event: " + texts(plain_races(0, true, seed)));
        expect(plain_races(2, true, seed).empty(), "with the event, other streams");
        expect(plain_races(1, false, seed).empty(), "on one stream");
        expect_one(plain_races(0, false, seed), "the end of a kernel orders nothing for other streams without an event",
                   "without the event: ");
    }
}

CASE("an event carries what its stream has waited for") {
    for (const bool is_whole : {true, false}) {
        CheckedGroup checked(1);
        Group& group = checked.group;
        const Event first = make_event(), second = make_event();
        group.machine->hold();
        group.machine->enqueue({0, 1}, Fill{group.data(0), 7, 16});
        group.machine->enqueue({0, 1}, RecordEvent{first});
        if (is_whole) group.machine->enqueue({0, 2}, WaitEvent{first});
        group.machine->enqueue({0, 2}, RecordEvent{second});
        group.machine->enqueue({0, 3}, WaitEvent{second});
        group.machine->enqueue({0, 3}, Copy{group.data(0) + 16, group.data(0), 16});
        group.machine->release();
        wait_for(group, {0, 1});
        wait_for(group, {0, 3});
        expect(checked.races.empty() == is_whole, texts(checked.races));
    }
}

/// Parameter 0 writes, parameter 1 has the copy engine read the same bytes, and fences nothing.
struct CopySmem {
    alignas(128) uint8_t bytes[128];
    Mbarrier barrier;
};

static void copied_body(const Args& args) {
    const auto smem = shared_memory<CopySmem>();
    if (thread_idx() != 0) return;
    if (args.parameter == 0) {
        FIRST(st(own_data(args), 7));
        return;
    }
    const auto barrier = EPGEN_FIELD(smem, barrier);
    mbarrier_init(barrier, 1);
    fence_mbarrier_init();
    mbarrier_arrive_expect_tx(barrier, 128);
    SECOND(bulk_load(EPGEN_FIELD(smem, bytes), own_data(args), 128, barrier));
    drain_mbarrier(barrier, 0);
}
EPGEN_KERNEL(copied, Args, copied_body, 32, CopySmem)

CASE("the end of a kernel is a proxy fence for kernels behind its event, and for no others") {
    for (const bool has_event : {true, false}) {
        CheckedGroup checked(1);
        Group& group = checked.group;
        const Event event = make_event();
        group.machine->hold();
        enqueue(group, {0, 1}, copied_entry, 0);
        if (has_event) {
            group.machine->enqueue({0, 1}, RecordEvent{event});
            group.machine->enqueue({0, 0}, WaitEvent{event});
        } else {
            group.machine->enqueue({0, 0}, Delay{1'000'000});
        }
        enqueue(group, {0, 0}, copied_entry, 1);
        group.machine->release();
        wait_for(group, {0, 0});
        wait_for(group, {0, 1});
        expect(checked.races.empty() == has_event, texts(checked.races));
    }
}

}  // namespace epgen::test
