// What threads and bulk copies may see while nothing orders it, and what they may not.
#include <cstring>
#include <set>

#include "check.hpp"

namespace epgen::test::weak {

struct Stage {
    alignas(128) uint8_t bytes[256];
    Mbarrier full;
};

constexpr uint64_t kNumSeeds = 200;
constexpr uint32_t kNumMessages = 32;  // words of data that a message covers

static MachineOptions weak_memory() {
    MachineOptions options;
    options.weak_memory = true;
    return options;
}

/// In how many of the schedules `is_weak` holds once the kernel has ended on all ranks.
template <class Predicate>
static uint32_t count_weak(const KernelEntry& entry, uint32_t num_ranks, uint32_t parameter, Predicate is_weak,
                           MachineOptions options = weak_memory()) {
    uint32_t num_weak = 0;
    for (uint64_t seed = 1; seed <= kNumSeeds; ++seed) {
        Group group(num_ranks, seed, options);
        group.enqueue_all(entry, 1, parameter);
        expect(group.wait() == Status::done, group.fault().message);
        num_weak += is_weak(group) ? 1 : 0;
    }
    return num_weak;
}

static void expect_weak(uint32_t num_weak, bool may_be, const std::string& what) {
    expect(may_be == (num_weak > 0), what + ": " + std::to_string(num_weak) + " schedules are weak");
}

static peer<uint32_t> words_of(const Args& args, uint32_t peer_idx) {
    const auto data = peer_region(args.windows, peer_idx, kDataRegion);
    return make_pointer<Space::peer>(reinterpret_cast<uint32_t*>(data.raw), kDataBytes / sizeof(uint32_t), "words");
}
static local<uint32_t> own_words(const Args& args) {
    const auto data = local_region(args.windows, args.rank_idx, kDataRegion);
    return make_local(reinterpret_cast<uint32_t*>(data.raw), kDataBytes / sizeof(uint32_t), "words");
}

/// How a message is announced.
enum class Announced : uint32_t {
    release,
    relaxed,
    release_gpu,
    red_release,
    by_another_after_sync_block,
    by_another_after_sync_warp,
    by_another_after_mbarrier,
    by_another_after_ballot,
    by_another_after_release_gpu,  // of a word of its own rank
};

/// Thread 0 of rank 0 writes words of rank 1, and it or thread 1 announces them.
static void weak_message_body(const Args& args) {
    const auto how = static_cast<Announced>(args.parameter);
    const auto smem = shared_memory<Stage>();
    const auto full = EPGEN_FIELD(smem, full);
    const Call call = args.call();
    const bool by_another = how >= Announced::by_another_after_sync_block;
    if (thread_idx() == 0) {
        mbarrier_init(full, 1);
        fence_mbarrier_init();
    }
    sync_block();
    if (args.rank_idx == 0) {
        if (thread_idx() == 0) {
            for (uint32_t idx = 0; idx < kNumMessages; ++idx) st(words_of(args, 1) + idx * 8, 1);
            if (how == Announced::by_another_after_mbarrier) mbarrier_arrive(full);
            if (how == Announced::by_another_after_release_gpu) {
                cpu::store_word("st_release_gpu", cpu::Order::release, cpu::Scope::gpu,
                                EPGEN_FIELD(args.control_of(0), word), pack_word(1, 1), Place::here());
            }
        }
        if (how == Announced::by_another_after_sync_block) sync_block();
        if (how == Announced::by_another_after_sync_warp) sync_warp();
        if (how == Announced::by_another_after_ballot) ballot(true);
        if (thread_idx() != (by_another ? 1 : 0)) return;
        const Site site{Phase::stage_full, -1, -1};
        if (how == Announced::by_another_after_mbarrier) wait_mbarrier(call, site, full, 0);
        if (how == Announced::by_another_after_release_gpu) {
            wait_acquire_sys(call, site, EPGEN_FIELD(args.control(), word), HasEpoch{1});
        }
        const auto word = EPGEN_FIELD(args.control_of(1), word);
        if (how == Announced::relaxed) {
            st_relaxed_sys(word, pack_word(1, 1));
        } else if (how == Announced::release_gpu) {
            cpu::store_word("st_release_gpu", cpu::Order::release, cpu::Scope::gpu, word, pack_word(1, 1),
                            Place::here());
        } else if (how == Announced::red_release) {
            red_add_release_sys(EPGEN_FIELD(args.control_of(1), counter), 1);
        } else {
            st_release_sys(word, pack_word(1, 1));
        }
    } else if (thread_idx() == 0) {
        const Site site{Phase::arrivals, 0, -1};
        if (how == Announced::red_release) {
            wait_acquire_sys(call, site, EPGEN_FIELD(args.control(), counter), AtLeast{1});
        } else {
            wait_acquire_sys(call, site, EPGEN_FIELD(args.control(), word), HasEpoch{1});
        }
        uint32_t num_seen = 0;
        for (uint32_t idx = 0; idx < kNumMessages; ++idx) num_seen += ld(own_words(args) + idx * 8);
        st(args.results(), num_seen);
    }
}
EPGEN_KERNEL(weak_message, Args, weak_message_body, 64, Stage)

CASE("a release covers what its thread was told of, a relaxed store and a vote nothing") {
    const auto misses = [](Group& group) { return group.control(1).results[0] < kNumMessages; };
    const auto count = [&](Announced how) {
        return count_weak(weak_message_entry, 2, static_cast<uint32_t>(how), misses);
    };
    expect_weak(count(Announced::release), false, "st_release_sys");
    expect_weak(count(Announced::red_release), false, "red_add_release_sys");
    expect_weak(count(Announced::relaxed), true, "st_relaxed_sys");
    expect_weak(count(Announced::release_gpu), true, "scope gpu, to another rank");
    expect_weak(count(Announced::by_another_after_sync_block), false, "after sync_block");
    expect_weak(count(Announced::by_another_after_sync_warp), false, "after sync_warp");
    expect_weak(count(Announced::by_another_after_mbarrier), false, "after an mbarrier");
    expect_weak(count(Announced::by_another_after_ballot), true, "after ballot");
    expect_weak(count(Announced::by_another_after_release_gpu), false, "after a release to the own rank");
}

CASE("without weak memory stores are seen in order") {
    const auto misses = [](Group& group) { return group.control(1).results[0] < kNumMessages; };
    const auto relaxed = static_cast<uint32_t>(Announced::relaxed);
    expect_weak(count_weak(weak_message_entry, 2, relaxed, misses, MachineOptions{}), false, "st_relaxed_sys");
}

/// Stores to a few words over and over; the thread reads its own rank's back.
static void same_words_body(const Args& args) {
    if (thread_idx() != 0) return;
    const auto own = make_pointer<Space::local>(reinterpret_cast<uint64_t*>(own_words(args).raw), 16, "own");
    uint32_t num_right = 0;
    for (uint32_t rank_idx = 0; rank_idx < args.num_ranks; ++rank_idx) {
        const auto words = make_pointer<Space::peer>(
            reinterpret_cast<uint64_t*>(words_of(args, rank_idx).raw) + args.rank_idx * 8, 8, "words");
        for (uint64_t round = 1; round <= 20; ++round) {
            for (uint32_t idx = 0; idx < 4; ++idx) st_relaxed_sys(words + idx, round);
            const auto half = make_pointer<Space::peer>(reinterpret_cast<uint32_t*>((words + 4).raw), 1, "half");
            st(half, static_cast<uint32_t>(round));
            red_add_release_sys(half, 100);
            if (rank_idx == args.rank_idx) {
                for (uint32_t idx = 0; idx < 4; ++idx) num_right += ld(own + args.rank_idx * 8 + idx) == round;
                num_right += ld(own + args.rank_idx * 8 + 4) == round + 100;
            }
        }
    }
    st(args.results(), num_right);
}
EPGEN_KERNEL(same_words, Args, same_words_body, 32, Stage)

CASE("stores of a thread to one address keep their order, the thread sees its own at once") {
    const auto is_wrong = [](Group& group) {
        for (uint32_t rank_idx = 0; rank_idx < 2; ++rank_idx) {
            if (group.control(rank_idx).results[0] != 100) return true;
            const auto* words = reinterpret_cast<const uint64_t*>(group.data(rank_idx));
            for (uint32_t source = 0; source < 2; ++source) {
                for (uint32_t idx = 0; idx < 4; ++idx) {
                    if (words[source * 8 + idx] != 20) return true;
                }
                if (words[source * 8 + 4] != 120) return true;
            }
        }
        return false;
    };
    expect_weak(count_weak(same_words_entry, 2, 0, is_wrong), false, "order or own stores");
}

static void scatter_body(const Args& args) {
    const uint32_t peer_idx = (args.rank_idx + 1) % args.num_ranks;
    const uint32_t idx = block_idx() * num_threads() + thread_idx();
    st(words_of(args, peer_idx) + idx, idx + 1);
    red_add_release_sys(EPGEN_FIELD(args.control_of(peer_idx), counter), 1);
    st(words_of(args, peer_idx) + (idx + 4096), idx + 1);
    if (args.parameter == 1 && thread_idx() == 7) st(words_of(args, peer_idx) + kDataBytes, 1);
}
EPGEN_KERNEL(scatter, Args, scatter_body, 64, Stage)

CASE("a launch ends when its stores are visible") {
    for (uint64_t seed = 1; seed <= 50; ++seed) {
        Group group(2, seed, weak_memory());
        group.enqueue(0, scatter_entry, 4);
        expect(group.wait() == Status::done, group.fault().message);
        const auto* words = reinterpret_cast<const uint32_t*>(group.data(1));
        for (uint32_t idx = 0; idx < 256; ++idx) {
            expect(words[idx] == idx + 1 && words[4096 + idx] == idx + 1, "word " + std::to_string(idx));
        }
        expect(group.control(1).counter == 256, "counter");
    }
}

CASE("a fault loses what is in flight, and nothing comes after the reset") {
    uint32_t num_lost = 0;
    for (uint64_t seed = 1; seed <= 50; ++seed) {
        MachineOptions options = weak_memory();
        options.check_races = true;
        Group group(2, seed, options);
        group.enqueue_all(scatter_entry, 4, 1);
        expect(group.wait() == Status::dropped, "not dropped");
        for (uint32_t rank_idx = 0; rank_idx < 2; ++rank_idx) {
            num_lost += group.control(rank_idx).counter < 256 ? 1 : 0;
            std::memset(group.data(rank_idx), 0, kDataBytes);
            group.control(rank_idx).counter = 0;
        }
        group.machine->reset();
        group.enqueue_all(same_words_entry, 1);
        expect(group.wait() == Status::done, group.fault().message);
        const auto* words = reinterpret_cast<const uint32_t*>(group.data(1));
        for (uint32_t idx = 64; idx < kDataBytes / 4; ++idx) expect(words[idx] == 0, "a store came after the reset");
        expect(group.control(1).counter == 0, "an update came after the reset");
    }
    expect(num_lost > 0, "no store was in flight");
}

/// What may stand between generic writes and the bulk copy that reads them.
enum class Fenced : uint32_t { by_writer, by_reader, by_reader_shared, not_at_all, not_after_sync };

/// Threads write a stage, or their rank's memory, and thread 32 lets the copy engine carry it to rank 1.
static void carry_body(const Args& args, bool from_global) {
    const auto fenced = static_cast<Fenced>(args.parameter);
    const auto smem = shared_memory<Stage>();
    const auto stage = EPGEN_FIELD(smem, bytes);
    const auto full = EPGEN_FIELD(smem, full);
    const auto data = local_region(args.windows, args.rank_idx, kDataRegion);
    if (args.rank_idx != 0) return;
    if (thread_idx() == 0) {
        mbarrier_init(full, 1);
        fence_mbarrier_init();
    }
    if (from_global) {
        for (uint32_t idx = thread_idx(); idx < 256; idx += num_threads()) st(data + idx, 7);
    } else {
        for (uint32_t idx = thread_idx(); idx < 256; idx += num_threads()) st(stage + idx, 7);
    }
    if (fenced == Fenced::by_writer) fence_proxy_async();
    if (fenced == Fenced::not_after_sync && thread_idx() == 32) fence_proxy_async();
    sync_block();
    if (thread_idx() != 32) return;
    if (fenced == Fenced::by_reader) fence_proxy_async();
    if (fenced == Fenced::by_reader_shared) fence_proxy_async_shared();
    if (from_global) {
        mbarrier_arrive_expect_tx(full, 256);
        bulk_load(stage, data, 256, full);
        wait_mbarrier(args.call(), {Phase::stage_full, -1, -1}, full, 0);
        for (uint32_t idx = 0; idx < 256; ++idx) st(args.results() + idx, ld(stage + idx));
    } else {
        bulk_store(peer_region(args.windows, 1, kDataRegion), stage, 256);
        bulk_commit_group();
        bulk_wait_group<0>();
    }
}
static void carry_shared_body(const Args& args) { carry_body(args, false); }
static void carry_global_body(const Args& args) { carry_body(args, true); }
EPGEN_KERNEL(carry_shared, Args, carry_shared_body, 64, Stage)
EPGEN_KERNEL(carry_global, Args, carry_global_body, 64, Stage)

CASE("a bulk copy may read old bytes of shared memory until a proxy fence") {
    const auto is_old = [](Group& group) {
        for (uint32_t idx = 0; idx < 256; ++idx) {
            if (group.data(1)[idx] != 7) return true;
        }
        return false;
    };
    const auto count = [&](Fenced fenced) {
        return count_weak(carry_shared_entry, 2, static_cast<uint32_t>(fenced), is_old);
    };
    expect_weak(count(Fenced::by_writer), false, "fence of the writers");
    expect_weak(count(Fenced::by_reader), false, "fence of the reader");
    expect_weak(count(Fenced::by_reader_shared), false, "fence of the reader, for shared memory");
    expect_weak(count(Fenced::not_at_all), true, "no fence");
    expect_weak(count(Fenced::not_after_sync), true, "fence of the reader, too early");
}

CASE("a bulk copy may read old bytes of its rank's memory until a proxy fence for all memory") {
    const auto is_old = [](Group& group) {
        for (uint32_t idx = 0; idx < 256; ++idx) {
            if (group.control(0).results[idx] != 7) return true;
        }
        return false;
    };
    const auto count = [&](Fenced fenced) {
        return count_weak(carry_global_entry, 2, static_cast<uint32_t>(fenced), is_old);
    };
    expect_weak(count(Fenced::by_writer), false, "fence of the writers");
    expect_weak(count(Fenced::by_reader), false, "fence of the reader");
    expect_weak(count(Fenced::by_reader_shared), true, "fence of the reader, for shared memory");
    expect_weak(count(Fenced::not_at_all), true, "no fence");
}

/// Rows by bulk stores, announced after bulk_wait_group or, wrongly, after bulk_wait_group_read.
static void row_body(const Args& args) {
    const auto smem = shared_memory<Stage>();
    const auto stage = EPGEN_FIELD(smem, bytes);
    if (thread_idx() != 0) return;
    if (args.rank_idx == 0) {
        for (uint32_t idx = 0; idx < 256; ++idx) st(stage + idx, 7);
        fence_proxy_async_shared();
        bulk_store(peer_region(args.windows, 1, kDataRegion), stage, 256);
        bulk_commit_group();
        if (args.parameter == 0) {
            bulk_wait_group<0>();
        } else {
            bulk_wait_group_read<0>();
        }
        red_add_release_sys(EPGEN_FIELD(args.control_of(1), counter), 1);
    } else {
        wait_acquire_sys(args.call(), {Phase::arrivals, 0, -1}, EPGEN_FIELD(args.control(), counter), AtLeast{1});
        uint32_t num_right = 0;
        const auto data = local_region(args.windows, 1, kDataRegion);
        for (uint32_t idx = 0; idx < 256; ++idx) num_right += ld(data + idx) == 7;
        st(args.results(), num_right);
    }
}
EPGEN_KERNEL(row, Args, row_body, 32, Stage)

CASE("a row that was only read from its source may be announced before it is there") {
    const auto is_torn = [](Group& group) { return group.control(1).results[0] < 256; };
    expect_weak(count_weak(row_entry, 2, 0, is_torn), false, "bulk_wait_group");
    expect_weak(count_weak(row_entry, 2, 1, is_torn), true, "bulk_wait_group_read");
}

/// Rank 0 waits for its own store, which may still fly over the release of rank 1 that has landed in the word.
static void own_store_body(const Args& args) {
    if (thread_idx() != 0) return;
    const auto word = EPGEN_FIELD(args.control_of(0), word);
    if (args.rank_idx == 1) {
        FIRST(st(data_of(args, 0), 7));
        st_release_sys(word, pack_word(1, 1));
        red_add_release_sys(EPGEN_FIELD(args.control_of(0), counter), 1);
        return;
    }
    wait_relaxed_sys(args.call(), site(), EPGEN_FIELD(args.control(), counter), AtLeast{1});
    st_relaxed_sys(word, pack_word(2, 2));
    wait_acquire_sys(args.call(), site(), EPGEN_FIELD(args.control(), word), HasEpoch{2});
    SECOND(ld(own_data(args)));
}
EPGEN_KERNEL(own_store, Args, own_store_body, 32, Stage)

CASE("who sees a store of its own acquires nothing from the store that it flies over") {
    for (uint64_t seed = 1; seed <= 40; ++seed) {
        std::vector<RaceReport> races;
        MachineOptions options = weak_memory();
        options.check_races = true;
        options.on_race = [&races](const RaceReport& report) { races.push_back(report); };
        Group group(2, seed, options);
        group.enqueue_all(own_store_entry, 1);
        expect(group.wait() == Status::done, group.fault().message);
        expect_one(races, "is relaxed where", "seed " + std::to_string(seed) + ": ");
    }
}

CASE("seeds replay exactly with both detectors") {
    struct Outcome {
        Counters counters;
        std::vector<uint8_t> memory;
    };
    const auto run = [](uint64_t seed, bool check_races) {
        MachineOptions options = weak_memory();
        options.check_races = check_races;
        Group group(2, seed, options);
        std::promise<void> ends[2];
        group.machine->hold();
        group.enqueue_all(scatter_entry, 3);
        group.enqueue_all(weak_message_entry, 1, static_cast<uint32_t>(Announced::relaxed));
        for (uint32_t rank_idx = 0; rank_idx < 2; ++rank_idx) {
            group.machine->enqueue(rank_idx, Callback{[&, rank_idx](Status) { ends[rank_idx].set_value(); }});
        }
        group.machine->release();
        for (auto& end : ends) end.get_future().wait();
        Outcome outcome{group.machine->counters(), {}};
        for (uint32_t rank_idx = 0; rank_idx < 2; ++rank_idx) {
            const auto* control = reinterpret_cast<const uint8_t*>(&group.control(rank_idx));
            outcome.memory.insert(outcome.memory.end(), control, control + sizeof(Control) + kDataBytes);
        }
        return outcome;
    };
    std::set<uint64_t> hashes;
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        const Outcome first = run(seed, true);
        for (const Outcome& again : {run(seed, true), run(seed, false)}) {
            expect(first.counters.trace_hash == again.counters.trace_hash &&
                       first.counters.num_steps == again.counters.num_steps,
                   "schedule of seed " + std::to_string(seed));
            expect(first.memory == again.memory, "memory of seed " + std::to_string(seed));
        }
        hashes.insert(first.counters.trace_hash);
    }
    expect(hashes.size() == 20, std::to_string(hashes.size()) + " distinct schedules of 20");
}

}  // namespace epgen::test::weak
