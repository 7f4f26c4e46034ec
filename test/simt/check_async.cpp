// What orders bulk copies with threads and with each other: mbarriers, groups, proxy fences.
#include "check.hpp"

namespace epgen::test {

struct Stage {
    alignas(128) uint8_t bytes[256];
    alignas(128) uint8_t others[256];
    Mbarrier full;
    Mbarrier empty;
};

/// Lane 0 loads a row again and again, all lanes read it. A phase ends when lane 1 has arrived too.
static void load_body(const Args& args) {
    const auto smem = shared_memory<Stage>();
    const auto bytes = EPGEN_FIELD(smem, bytes);
    const auto full = EPGEN_FIELD(smem, full);
    const uint32_t mistake = args.parameter;
    if (thread_idx() == 0) {
        mbarrier_init(full, 2);
        fence_mbarrier_init();
    }
    sync_warp();
    for (uint32_t round = 0; round < 3; ++round) {
        if (lane_idx() == 0) {
            mbarrier_arrive_expect_tx(full, 256);
            FIRST(bulk_load(bytes, own_data(args), 256, full));
        }
        sync_warp();
        if (mistake != 1 && lane_idx() == 1) mbarrier_arrive(full);
        if (mistake == 1) {
            wait_mbarrier(args.call(), site(), full, (round & 1) ^ 1);  // the phase before
        } else if (mistake != 2 || lane_idx() == 0) {
            wait_mbarrier(args.call(), site(), full, round & 1);
        }
        SECOND(ld_vec16(bytes + lane_idx() % 16 * 16));
        if (mistake != 3) fence_proxy_async_shared();
        sync_warp();
        if (mistake == 1 && lane_idx() == 1) mbarrier_arrive(full);
        drain_mbarrier(full, round & 1);
        sync_warp();
    }
}
EPGEN_KERNEL(load, Args, load_body, 32, Stage)

CASE("a wait for its phase orders a bulk load") {
    expect_clean({load_entry, 2, 2}, 0);
    expect_race({load_entry, 2, 2}, 1, "a wait for the phase of the mbarrier \"smem.full\" that counts the copy");
    expect_race({load_entry, 2, 2}, 2, "a wait for the phase of the mbarrier \"smem.full\" that counts the copy");
}

CASE("a row that was read by threads is loaded again after a fence of each") {
    expect_race({load_entry, 2, 2}, 3, "fence_proxy_async_shared is missing");
}

/// Warp 1 loads through a stage, warp 0 reads and gives it back: before its last read, or after.
static void give_back_body(const Args& args) {
    const auto smem = shared_memory<Stage>();
    const auto bytes = EPGEN_FIELD(smem, bytes);
    const auto full = EPGEN_FIELD(smem, full);
    const auto empty = EPGEN_FIELD(smem, empty);
    const auto from = own_data(args);
    if (thread_idx() == 0) {
        mbarrier_init(full, 1);
        mbarrier_init(empty, 1);
        fence_mbarrier_init();
    }
    sync_block();
    for (uint32_t round = 0; round < 3; ++round) {
        if (warp_idx() == 1 && lane_idx() == 0) {
            if (round > 0) wait_mbarrier(args.call(), site(), empty, (round - 1) & 1);
            mbarrier_arrive_expect_tx(full, 256);
            FIRST(bulk_load(bytes, from, 256, full));
        } else if (warp_idx() == 0) {
            wait_mbarrier(args.call(), site(), full, round & 1);
            if (args.parameter == 0) {
                ld_vec16(bytes + lane_idx() % 16 * 16);
                fence_proxy_async_shared();
            }
            sync_warp();
            if (lane_idx() == 0) mbarrier_arrive(empty);
            if (args.parameter == 1) {
                SECOND(ld_vec16(bytes + lane_idx() % 16 * 16));
                fence_proxy_async_shared();
            }
        }
    }
}
EPGEN_KERNEL(give_back, Args, give_back_body, 64, Stage)

CASE("a stage is given back after its last read") {
    expect_clean({give_back_entry, 2}, 0);
    for (uint64_t seed = 1; seed <= 8; ++seed) {
        const auto races = races_of({give_back_entry, 2}, 1, seed);
        expect(races.size() == 1, texts(races));
        for (const RaceReport& race : races) {
            expect(race.first.line + race.second.line == first_line + second_line, race.text());
        }
    }
}

/// Rank 0 stores a row at rank 1 from shared memory and counts; rank 1 reads it.
static void store_body(const Args& args) {
    const auto bytes = EPGEN_FIELD(shared_memory<Stage>(), bytes);
    const auto counter = EPGEN_FIELD(args.control_of(1), counter);
    const uint32_t mistake = args.parameter;
    if (args.rank_idx == 1) {
        if (thread_idx() != 0) return;
        wait_acquire_sys(args.call(), site(), EPGEN_FIELD(args.control(), counter), AtLeast{1});
        if (mistake < 5) SECOND(ld(own_data(args)));
        return;
    }
    if (mistake == 5) {
        FIRST(st(bytes + lane_idx(), 1));
    } else {
        st(bytes + lane_idx(), 1);
    }
    if (mistake != 5) fence_proxy_async_shared();
    if (mistake == 7) fence_proxy_async();
    sync_warp();
    const auto to = data_of(args, 1);
    if (lane_idx() == 0) {
        if (mistake == 5) {
            SECOND(bulk_store(to, bytes, 256));
        } else {
            FIRST(bulk_store(to, bytes, 256));
        }
        bulk_commit_group();
        if (mistake == 1) bulk_wait_group_read<0>();
        if (mistake == 2) {
            bulk_store(to + 256, bytes, 256);
            bulk_commit_group();
            bulk_wait_group<1>();
            bulk_wait_group_read<0>();
        }
        if (mistake == 3) {
            bulk_store(to + 256, bytes, 256);
            bulk_commit_group();
            bulk_wait_group_read<1>();
        }
        if (mistake == 0 || mistake >= 5) bulk_wait_group<0>();
    }
    if (mistake == 4 && lane_idx() == 1) bulk_wait_group<0>();
    if (mistake == 8 && lane_idx() == 0) {
        st(bytes + 100, 3);  // the source has been read: it may be written again
        st(to, 3);           // and so may the destination
    }
    sync_warp();
    if (lane_idx() == 3) red_add_release_sys(counter, 1);
    bulk_wait_group<0>();
}
EPGEN_KERNEL(store, Args, store_body, 32, Stage)

CASE("a bulk store is announced after bulk_wait_group by the lane that issued it") {
    expect_clean({store_entry, 2}, 0);
    expect_race({store_entry, 2}, 1, "waits until the source was read only");
    expect_clean({store_entry, 2}, 2);
    expect_race({store_entry, 2}, 3, "waits until the source was read only");
    expect_race({store_entry, 2}, 4, "bulk_wait_group by the thread that issued the copy, rank 0 block 0 warp 0 ");
}

CASE("a bulk store reads what the writers of its source have fenced") {
    expect_race({store_entry, 2}, 5, "fence_proxy_async_shared is missing: by the thread of the first access");
    expect_clean({store_entry, 2}, 7);
}

CASE("what a bulk store has read and written may be written again") { expect_clean({store_entry, 2}, 8); }

/// The source of a bulk store is overwritten.
static void source_body(const Args& args) {
    const auto bytes = EPGEN_FIELD(shared_memory<Stage>(), bytes);
    if (lane_idx() == 0) {
        FIRST(bulk_store(data_of(args, 0), bytes, 256));
        bulk_commit_group();
        if (args.parameter == 0) bulk_wait_group_read<0>();
    }
    if (args.parameter == 2 && lane_idx() == 1) bulk_wait_group<0>();
    sync_warp();
    if (lane_idx() == args.parameter) SECOND(st(bytes + 17, 1));
    bulk_wait_group<0>();
}
EPGEN_KERNEL(source, Args, source_body, 32, Stage)

CASE("bulk_wait_group_read is enough to write the source again") {
    expect_clean({source_entry, 1}, 0);
    expect_race({source_entry, 1}, 1, "bulk_wait_group_read by the thread that issued the copy, rank 0");
    expect_race({source_entry, 1}, 2, "bulk_wait_group_read by the thread that issued the copy, rank 0");
}

/// A wait by another lane, without a wait by the one that issued.
static void other_waits_body(const Args& args) {
    const auto bytes = EPGEN_FIELD(shared_memory<Stage>(), bytes);
    if (lane_idx() == 0) {
        FIRST(bulk_store(data_of(args, 0), bytes, 256));
    }
    bulk_commit_group();
    if (args.parameter == 0 ? lane_idx() == 0 : lane_idx() == 1) bulk_wait_group<0>();
    sync_warp();
    if (lane_idx() == 1) SECOND(ld(own_data(args)));
    bulk_wait_group<0>();
}
EPGEN_KERNEL(other_waits, Args, other_waits_body, 32, Stage)

CASE("a wait by another lane is for that lane's groups") {
    expect_clean({other_waits_entry, 1}, 0);
    expect_race({other_waits_entry, 1}, 1, "bulk_wait_group by the thread that issued the copy, rank 0 block 0 warp 0 "
                                           "lane 0, has to be ordered before the second access; the wait at "
                                           "check_async.cpp:");
}

/// Two copies to the same bytes.
static void twice_body(const Args& args) {
    const auto bytes = EPGEN_FIELD(shared_memory<Stage>(), bytes);
    const auto to = data_of(args, 0);
    if (lane_idx() == 0) {
        FIRST(bulk_store(to, bytes, 256));
        bulk_commit_group();
        if (args.parameter == 0) bulk_wait_group<0>();
        SECOND(bulk_store(to + 128, bytes, 256));
        bulk_commit_group();
        bulk_wait_group<0>();
    }
}
EPGEN_KERNEL(twice, Args, twice_body, 32, Stage)

CASE("two bulk stores to the same bytes need a wait between them") {
    expect_clean({twice_entry, 1}, 0);
    expect_race({twice_entry, 1}, 1, "bulk_wait_group by the thread that issued the copy");
}

/// Rank 0 writes global memory with plain stores; rank 1 pulls it.
static void pull_body(const Args& args) {
    const auto smem = shared_memory<Stage>();
    const auto full = EPGEN_FIELD(smem, full);
    const uint32_t mistake = args.parameter;
    if (thread_idx() != 0) return;
    if (args.rank_idx == 0) {
        FIRST(st(own_data(args) + 3, 7));
        if (mistake == 1) fence_proxy_async();
        if (mistake == 3) fence_proxy_async_shared();
        st_release_sys(EPGEN_FIELD(args.control_of(1), word), pack_word(1, 1));
        return;
    }
    mbarrier_init(full, 1);
    fence_mbarrier_init();
    if (mistake == 4) fence_proxy_async();
    wait_acquire_sys(args.call(), site(), EPGEN_FIELD(args.control(), word), HasEpoch{1});
    if (mistake == 0) fence_proxy_async();
    mbarrier_arrive_expect_tx(full, 256);
    SECOND(bulk_load(EPGEN_FIELD(smem, bytes), data_of(args, 0), 256, full));
    wait_mbarrier(args.call(), site(), full, 0);
}
EPGEN_KERNEL(pull, Args, pull_body, 32, Stage)

CASE("a fence by the reader lets a bulk load see plain stores of another rank, one by the writer doesn't") {
    expect_clean({pull_entry, 2}, 0);
    expect_race({pull_entry, 2}, 1, "fence_proxy_async is missing: between the acquire and the copy, in the block");
    expect_race({pull_entry, 2}, 2, "fence_proxy_async is missing");
    expect_race({pull_entry, 2}, 3, "fence_proxy_async is missing");
    expect_race({pull_entry, 2}, 4, "fence_proxy_async is missing");
}

/// Rank 0 and rank 1 copy over the same bytes, one after the other: a store then a load, a load then a store.
static void copies_body(const Args& args) {
    const auto smem = shared_memory<Stage>();
    const auto full = EPGEN_FIELD(smem, full);
    const bool is_fenced = args.parameter % 4 == 0;
    const bool loads_first = args.parameter >= 4;
    if (thread_idx() == 0) {
        mbarrier_init(full, 1);
        fence_mbarrier_init();
    }
    sync_warp();
    const auto row = data_of(args, 1);
    if (args.rank_idx == 0) {
        if (lane_idx() != 0) return;
        if (loads_first) {
            mbarrier_arrive_expect_tx(full, 256);
            FIRST(bulk_load(EPGEN_FIELD(smem, bytes), row, 256, full));
            wait_mbarrier(args.call(), site(), full, 0);
        } else {
            FIRST(bulk_store(row, EPGEN_FIELD(smem, others), 256));
            bulk_commit_group();
            bulk_wait_group<0>();
        }
        if (!is_fenced) fence_proxy_async();  // on the wrong side
        red_add_release_sys(EPGEN_FIELD(args.control_of(1), counter), 1);
    } else {
        if (lane_idx() == 0) {
            wait_acquire_sys(args.call(), site(), EPGEN_FIELD(args.control(), counter), AtLeast{1});
            if (is_fenced) fence_proxy_async();
            if (args.parameter % 4 == 2) fence_proxy_async_shared();
        }
        sync_warp();
        if (lane_idx() != 1) return;  // what lane 0 has fenced, it has fenced for its block
        if (loads_first) {
            SECOND(bulk_store(row, EPGEN_FIELD(smem, others), 256));
            bulk_commit_group();
            bulk_wait_group<0>();
        } else {
            mbarrier_arrive_expect_tx(full, 256);
            SECOND(bulk_load(EPGEN_FIELD(smem, bytes), row, 256, full));
            wait_mbarrier(args.call(), site(), full, 0);
        }
    }
}
EPGEN_KERNEL(copies, Args, copies_body, 32, Stage)

CASE("a copy after one of another rank needs a fence of its own block") {
    for (const uint32_t loads_first : {0, 4}) {
        expect_clean({copies_entry, 2}, loads_first);
        for (const uint32_t mistake : {1, 2}) {
            expect_race({copies_entry, 2}, loads_first + mistake, "fence_proxy_async is missing: between the acquire");
        }
    }
}

/// Two blocks of one rank: the second one's copy reads what a thread or a copy of the first one has written.
static void near_copies_body(const Args& args) {
    const auto smem = shared_memory<Stage>();
    const auto full = EPGEN_FIELD(smem, full);
    if (thread_idx() != 0) return;
    if (block_idx() == 0) {
        if (args.parameter < 2) {
            FIRST(st(own_data(args), 7));
        } else {
            FIRST(bulk_store(data_of(args, 0), EPGEN_FIELD(smem, others), 256));
            bulk_commit_group();
            bulk_wait_group<0>();
        }
        fence_proxy_async();
        red_add_release_sys(EPGEN_FIELD(args.control_of(0), counter), 1);
        return;
    }
    mbarrier_init(full, 1);
    fence_mbarrier_init();
    wait_acquire_sys(args.call(), site(), EPGEN_FIELD(args.control(), counter), AtLeast{1});
    if (args.parameter % 2 == 0) fence_proxy_async();
    mbarrier_arrive_expect_tx(full, 256);
    SECOND(bulk_load(EPGEN_FIELD(smem, bytes), own_data(args), 256, full));
    wait_mbarrier(args.call(), site(), full, 0);
}
EPGEN_KERNEL(near_copies, Args, near_copies_body, 32, Stage)

CASE("a copy after accesses of another block of its rank needs a fence of its own block") {
    for (const uint32_t first : {0, 2}) {
        expect_clean({near_copies_entry, 1, 2}, first);
        expect_race({near_copies_entry, 1, 2}, first + 1, "fence_proxy_async is missing: between the acquire");
    }
}

/// Warp 0 writes or stores by bulk, and fences or doesn't; warp 1 loads it after a barrier.
static void one_block_body(const Args& args) {
    const auto smem = shared_memory<Stage>();
    const auto full = EPGEN_FIELD(smem, full);
    if (thread_idx() == 0) {
        mbarrier_init(full, 1);
        fence_mbarrier_init();
        if (args.parameter == 0) {
            st(own_data(args), 7);
            fence_proxy_async();
        } else {
            bulk_store(data_of(args, 0), EPGEN_FIELD(smem, others), 256);
            bulk_commit_group();
            bulk_wait_group<0>();
        }
    }
    sync_block();
    if (thread_idx() != 40) return;
    mbarrier_arrive_expect_tx(full, 256);
    bulk_load(EPGEN_FIELD(smem, bytes), own_data(args), 256, full);
    wait_mbarrier(args.call(), site(), full, 0);
}
EPGEN_KERNEL(one_block, Args, one_block_body, 64, Stage)

CASE("within a block a writer's fence counts, and a copy needs none after another") {
    expect_clean({one_block_entry, 1}, 0);
    expect_clean({one_block_entry, 1}, 1);
}

/// A fence of shared memory where global memory needs one.
static void own_pull_body(const Args& args) {
    const auto smem = shared_memory<Stage>();
    const auto full = EPGEN_FIELD(smem, full);
    if (thread_idx() != 0) return;
    mbarrier_init(full, 1);
    fence_mbarrier_init();
    FIRST(st(own_data(args), 7));
    if (args.parameter == 0) fence_proxy_async();
    if (args.parameter == 1) fence_proxy_async_shared();
    mbarrier_arrive_expect_tx(full, 256);
    SECOND(bulk_load(EPGEN_FIELD(smem, bytes), own_data(args), 256, full));
    wait_mbarrier(args.call(), site(), full, 0);
}
EPGEN_KERNEL(own_pull, Args, own_pull_body, 32, Stage)

CASE("a fence of shared memory does nothing for global memory") {
    expect_clean({own_pull_entry, 1}, 0);
    expect_race({own_pull_entry, 1}, 1, "fence_proxy_async_shared at check_async.cpp:");
    expect_race({own_pull_entry, 1}, 1, "is for shared memory only");
    expect_race({own_pull_entry, 1}, 2, "fence_proxy_async is missing");
}

static void fill_body(const Args& args) {
    if (thread_idx() == 0) FIRST(st(own_data(args) + 3, 7));
}
EPGEN_KERNEL(fill, Args, fill_body, 32, Stage)

/// A later kernel of rank 0 announces what an earlier one wrote; rank 1 pulls it, or rank 0 itself.
static void announce_kernel_body(const Args& args) {
    const auto smem = shared_memory<Stage>();
    const auto full = EPGEN_FIELD(smem, full);
    if (thread_idx() != 0) return;
    if (args.rank_idx == 0) {
        st_release_sys(EPGEN_FIELD(args.control_of(1), word), pack_word(1, 1));
    } else {
        wait_acquire_sys(args.call(), site(), EPGEN_FIELD(args.control(), word), HasEpoch{1});
        if (args.parameter == 1) fence_proxy_async();
    }
    mbarrier_init(full, 1);
    fence_mbarrier_init();
    mbarrier_arrive_expect_tx(full, 256);
    SECOND(bulk_load(EPGEN_FIELD(smem, bytes), data_of(args, 0), 256, full));
    wait_mbarrier(args.call(), site(), full, 0);
}
EPGEN_KERNEL(announce_kernel, Args, announce_kernel_body, 32, Stage)

CASE("the end of a kernel is a proxy fence for later kernels of its rank only") {
    for (uint32_t parameter = 1; parameter <= 2; ++parameter) {
        for (uint64_t seed = 1; seed <= 4; ++seed) {
            CheckedGroup checked(2, seed);
            checked.group.machine->hold();
            checked.group.enqueue(0, fill_entry, 1);
            for (uint32_t rank_idx = 0; rank_idx < 2; ++rank_idx) {
                checked.group.enqueue(rank_idx, announce_kernel_entry, 1, parameter);
            }
            checked.group.machine->release();
            expect(checked.group.wait() == Status::done, checked.group.fault().message);
            if (parameter == 1) expect(checked.races.empty(), texts(checked.races));
            if (parameter == 2) {
                expect_one(checked.races, "fence_proxy_async is missing", "");
                if (checked.races.size() == 1) expect(checked.races[0].second.rank_idx == 1, checked.races[0].text());
            }
        }
    }
}

CASE("shared memory and mbarriers of a later kernel are new") {
    CheckedGroup checked(2);
    checked.group.machine->hold();
    for (uint32_t call = 0; call < 6; ++call) {
        for (uint32_t rank_idx = 0; rank_idx < 2; ++rank_idx) {
            checked.group.enqueue(rank_idx, call % 2 == 0 ? load_entry : give_back_entry, 1 + call, 0);
        }
    }
    checked.group.machine->release();
    expect(checked.group.wait() == Status::done, checked.group.fault().message);
    expect(checked.races.empty(), texts(checked.races));
}

/// Lane 0 initialises an mbarrier that lane 1 uses, after a barrier or after a vote.
static void init_body(const Args& args) {
    const auto full = EPGEN_FIELD(shared_memory<Stage>(), full);
    if (lane_idx() == 0) {
        FIRST(mbarrier_init(full, 1));
        fence_mbarrier_init();
    }
    if (args.parameter == 0) sync_warp();
    if (args.parameter == 1) all(true);
    if (lane_idx() == 1) SECOND(mbarrier_arrive(full));
}
EPGEN_KERNEL(init, Args, init_body, 32, Stage)

CASE("an mbarrier is used after a barrier behind its initialisation") {
    expect_clean({init_entry, 1}, 0);
    expect_race({init_entry, 1}, 1, "a vote or shuffle, as at check_async.cpp:");
}

/// An mbarrier hands on what threads wrote before they arrived, to those who wait for that phase.
static void arrive_body(const Args& args) {
    const auto smem = shared_memory<Stage>();
    const auto bytes = EPGEN_FIELD(smem, bytes);
    const auto full = EPGEN_FIELD(smem, full);
    if (thread_idx() == 0) {
        mbarrier_init(full, 33);
        fence_mbarrier_init();
    }
    sync_block();
    if (warp_idx() == 0) {
        if (args.parameter != 1) FIRST(st(bytes + lane_idx(), 1));
        mbarrier_arrive(full);
        if (args.parameter == 1) FIRST(st(bytes + lane_idx(), 1));
    } else {
        if (args.parameter != 2 && lane_idx() == 0) mbarrier_arrive(full);
        wait_mbarrier(args.call(), site(), full, args.parameter == 2 ? 1 : 0);
        SECOND(ld(bytes + lane_idx()));
        sync_warp();
        if (args.parameter == 2 && lane_idx() == 0) mbarrier_arrive(full);
    }
}
EPGEN_KERNEL(arrive, Args, arrive_body, 64, Stage)

CASE("an arrival releases, a wait for its phase acquires") {
    expect_clean({arrive_entry, 2, 2}, 0);
    expect_race({arrive_entry, 2, 2}, 1, "no synchronisation between them");
    expect_race({arrive_entry, 2, 2}, 2, "no synchronisation between them");
}

}  // namespace epgen::test
