// What the checker counts and how far: numbers that no two launches share, and faults where it would lose track.
#include <stdexcept>

#include "check.hpp"

namespace epgen::test::limits {

struct Row {
    alignas(128) uint8_t bytes[256];
};

/// Closes many groups without a copy in them.
static void empty_groups_body(const Args&) {
    if (thread_idx() != 0) return;
    for (uint32_t idx = 0; idx < 200; ++idx) bulk_commit_group();
    bulk_wait_group<0>();
}
EPGEN_KERNEL(empty_groups, Args, empty_groups_body, 32, Row)

/// Lane 0 reads what its copy may still write.
static void early_read_body(const Args& args) {
    const auto bytes = EPGEN_FIELD(shared_memory<Row>(), bytes);
    if (thread_idx() == 1) bulk_commit_group();  // takes what the kernel before has left of groups
    sync_warp();
    if (thread_idx() != 0) return;
    st(bytes, 1);
    fence_proxy_async_shared();
    FIRST(bulk_store(data_of(args, 0), bytes, 256));
    bulk_commit_group();
    SECOND(ld(own_data(args)));
    bulk_wait_group<0>();
}
EPGEN_KERNEL(early_read, Args, early_read_body, 32, Row)

CASE("groups that an earlier kernel has waited for say nothing of this one's") {
    for (uint64_t seed = 1; seed <= 8; ++seed) {
        CheckedGroup checked(1, seed);
        checked.group.machine->hold();
        checked.group.enqueue(0, empty_groups_entry, 1);
        checked.group.enqueue(0, early_read_entry, 1);
        checked.group.machine->release();
        expect(checked.group.wait() == Status::done, checked.group.fault().message);
        expect_one(checked.races, "bulk_wait_group by the thread that issued the copy", "");
    }
}

/// Rank 0 tells rank 1 of many releases, and runs out of its row once rank 1's next kernel has started.
static void aborted_body(const Args& args) {
    if (thread_idx() != 0) return;
    if (args.rank_idx == 0) {
        for (uint32_t idx = 0; idx < 100; ++idx) red_add_release_sys(EPGEN_FIELD(args.control_of(1), counter), 1);
        wait_acquire_sys(args.call(), site(), EPGEN_FIELD(args.control(), word), HasEpoch{1});
        ld(own_data(args) + kDataBytes);
    } else {
        wait_acquire_sys(args.call(), site(), EPGEN_FIELD(args.control(), counter), AtLeast{100});
    }
}
EPGEN_KERNEL(aborted, Args, aborted_body, 32, Row)
static void go_body(const Args& args) {
    if (thread_idx() == 0) st_release_sys(EPGEN_FIELD(args.control_of(0), word), pack_word(1, 1));
}
EPGEN_KERNEL(go, Args, go_body, 32, Row)
static void relaxed_message_body(const Args& args) {
    if (thread_idx() != 0) return;
    if (args.rank_idx == 0) {
        FIRST(st(data_of(args, 1), 7));
        st_relaxed_sys(EPGEN_FIELD(args.control_of(1), word), pack_word(2, 2));
    } else {
        wait_relaxed_sys(args.call(), site(), EPGEN_FIELD(args.control(), word), HasEpoch{2});
        SECOND(ld(own_data(args)));
    }
}
EPGEN_KERNEL(relaxed_message, Args, relaxed_message_body, 32, Row)

CASE("what is known of an aborted kernel says nothing of later ones") {
    for (uint64_t seed = 1; seed <= 8; ++seed) {
        CheckedGroup checked(2, seed);
        Group& group = checked.group;
        group.machine->hold();
        group.enqueue_all(aborted_entry, 1);
        group.enqueue(1, go_entry, 1);
        group.machine->release();
        group.wait();
        expect_contains(group.fault().message, "ld of local \"data\"");
        group.machine->reset();
        group.enqueue_all(relaxed_message_entry, 1);
        expect(group.wait() == Status::done, "it runs");
        expect_one(checked.races, "is relaxed where", "");
    }
}

constexpr uint32_t kNumReaders = 5 * 1024;

/// All threads of rank 0 read a byte and say so by a release, one by a relaxed store; the last warp reads after it.
static void crowd_body(const Args& args) {
    const auto own_word = EPGEN_FIELD(args.control(), word);
    const auto their_word = EPGEN_FIELD(args.control_of(1), word);
    const auto their_counter = EPGEN_FIELD(args.control_of(1), counter);
    if (args.rank_idx == 1) {
        if (block_idx() != 0 || thread_idx() != 0) return;
        wait_acquire_sys(args.call(), site(), EPGEN_FIELD(args.control(), counter), AtLeast{kNumReaders - 1});
        wait_relaxed_sys(args.call(), site(), own_word, HasEpoch{1});
        SECOND(st(data_of(args, 0), 1));
        return;
    }
    const uint32_t idx = block_idx() * 1024 + thread_idx();
    if (idx == 77) {
        wait_relaxed_sys(args.call(), site(), EPGEN_FIELD(args.control(), counter), AtLeast{kNumReaders - 33});
        FIRST(ld(own_data(args)));
        st_relaxed_sys(EPGEN_FIELD(args.control_of(0), word), pack_word(1, 1));
        st_relaxed_sys(their_word, pack_word(1, 1));
        return;
    }
    if (idx >= kNumReaders - 32) wait_relaxed_sys(args.call(), site(), own_word, HasEpoch{1});
    ld(own_data(args));
    atom_add_relaxed_gpu(EPGEN_FIELD(args.control(), counter), 1);
    red_add_release_sys(their_counter, 1);
}
EPGEN_KERNEL(crowd, Args, crowd_body, 1024, Row)

CASE("a write is compared with each of 5120 readers") {
    for (uint64_t seed = 1; seed <= 2; ++seed) {
        expect_one(races_of({crowd_entry, 2, kNumReaders / 1024}, 0, seed), "", "");
    }
}

static void readers_of_one_body(const Args& args) { ld(own_data(args)); }
EPGEN_KERNEL(readers_of_one, Args, readers_of_one_body, 1024, Row)

CASE("accesses that the checker can't remember are a fault") {
    MachineOptions options;
    options.check_races = true;
    options.policy.max_resident_blocks = 2;
    Group group(1, 1, std::move(options));
    group.enqueue(0, readers_of_one_entry, 255);
    expect(group.wait() == Status::done, group.fault().message);
    group.enqueue(0, readers_of_one_entry, 256);
    group.wait();
    expect(group.fault().kind == FaultKind::limit, group.fault().message);
    expect_contains(group.fault().message, "ld: more than 262143 accesses to the same bytes that nothing orders");
}

struct ManyBarriers {
    Mbarrier barriers[129];
};
static void many_barriers_body(const Args& args) {
    const auto barriers = EPGEN_FIELD(shared_memory<ManyBarriers>(), barriers);
    if (thread_idx() != 0) return;
    for (uint32_t idx = 0; idx < args.parameter; ++idx) mbarrier_init(barriers + idx, 1);
    fence_mbarrier_init();
}
EPGEN_KERNEL(many_barriers, Args, many_barriers_body, 32, ManyBarriers)

CASE("more mbarriers or blocks than the checker can tell apart are an error that says so") {
    CheckedGroup checked(1);
    checked.group.enqueue(0, many_barriers_entry, 2, 128);
    expect(checked.group.wait() == Status::done, checked.group.fault().message);
    checked.group.enqueue(0, many_barriers_entry, 2, 129);
    checked.group.wait();
    expect(checked.group.fault().kind == FaultKind::limit, checked.group.fault().message);
    expect_contains(checked.group.fault().message, "races are checked in blocks of up to 128 mbarriers");
    try {
        checked.group.enqueue(0, go_entry, 1 << 14);
        expect(false, "a kernel of 16384 blocks is taken");
    } catch (const std::invalid_argument& error) {
        expect_contains(error.what(), "expected at most 16382 blocks, for races to be checked, but received 16384");
    }
}

}  // namespace epgen::test::limits
