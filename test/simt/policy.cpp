// Policies do what their names say, as kernels see it from inside, and whatever they put off comes in the end.
#include <algorithm>
#include <cstring>
#include <set>

#include "harness.hpp"

namespace epgen::test {
namespace {

/// A block that took a step.
struct Step {
    uint32_t rank_idx;
    uint32_t block_idx;
    bool operator==(const Step&) const = default;
};
/// The steps of the kernel `walk`, by all threads of a machine in the order in which they were taken.
std::vector<Step> steps;

MachineOptions under(Policy::Kind kind) {
    MachineOptions options;
    options.policy.kind = kind;
    options.policy.rank_skew = false;
    return options;
}

const char* name_of(Policy::Kind kind) {
    static constexpr const char* kNames[] = {"uniform", "priority", "frozen_rank", "starved_block"};
    return kNames[static_cast<uint32_t>(kind)];
}

constexpr Policy::Kind kKinds[] = {Policy::Kind::uniform, Policy::Kind::priority, Policy::Kind::frozen_rank,
                                   Policy::Kind::starved_block};

void walk_body(const Args& args) {
    for (uint32_t round = 0; round < args.parameter; ++round) {
        atom_add_relaxed_gpu(EPGEN_FIELD(args.control(), counter), 1);
        steps.push_back({args.rank_idx, block_idx()});
    }
}
EPGEN_KERNEL(walk, Args, walk_body, 64, uint32_t)

const std::vector<Step>& walk(Policy::Kind kind, uint64_t seed, uint32_t num_ranks, uint32_t grid,
                              uint32_t num_rounds) {
    Group group(num_ranks, seed, under(kind));
    steps.clear();
    steps.reserve(num_ranks * grid * 64 * num_rounds);  // a thread's stack is too small for an allocation
    group.enqueue_all(walk_entry, grid, num_rounds);
    expect(group.wait() == Status::done, group.fault().message);
    expect(steps.size() == num_ranks * grid * 64 * num_rounds, "steps");
    return steps;
}

/// The most steps in a row that others took before and after the first of `is_mine`.
template <class Predicate>
std::size_t longest_pause(const std::vector<Step>& all, Predicate is_mine) {
    std::size_t longest = 0;
    std::size_t pause = 0;
    for (const Step& step : all) {
        if (is_mine(step)) {
            longest = std::max(longest, pause);
            pause = 0;
        } else {
            ++pause;
        }
    }
    return longest;
}

/// In how many of 20 schedules a rank stands still while others take thousands of steps.
uint32_t count_frozen(Policy::Kind kind) {
    uint32_t count = 0;
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        const std::vector<Step>& all = walk(kind, seed, 4, 2, 60);
        std::size_t longest = 0;
        for (uint32_t rank_idx = 0; rank_idx < 4; ++rank_idx) {
            longest = std::max(longest, longest_pause(all, [&](Step step) { return step.rank_idx == rank_idx; }));
        }
        count += longest > 4000;
    }
    return count;
}

/// In how many of 40 schedules some unit of those that `unit_of` tells apart runs when all others have ended.
template <class UnitOf>
uint32_t count_last(Policy::Kind kind, UnitOf unit_of) {
    uint32_t count = 0;
    for (uint64_t seed = 1; seed <= 40; ++seed) {
        const std::vector<Step>& all = walk(kind, seed, 2, 3, 10);
        const auto unit = unit_of(all.back());
        const auto is_other = [&](const Step& step) { return !(unit_of(step) == unit); };
        const auto last_other = std::find_if(all.rbegin(), all.rend(), is_other).base();
        count += std::all_of(all.begin(), last_other, is_other);
    }
    return count;
}

constexpr auto kRank = [](const Step& step) { return step.rank_idx; };
constexpr auto kBlock = [](const Step& step) { return step; };

CASE("under frozen_rank a rank stands still for long stretches") {
    const uint32_t num_frozen = count_frozen(Policy::Kind::frozen_rank);
    const uint32_t num_uniform = count_frozen(Policy::Kind::uniform);
    expect(num_frozen >= 15, std::to_string(num_frozen) + " of 20");
    expect(num_uniform == 0, std::to_string(num_uniform) + " of 20 under uniform");
}

CASE("under starved_block some block begins when all others have ended, in most schedules") {
    const uint32_t num_starved = count_last(Policy::Kind::starved_block, kBlock);
    const uint32_t num_uniform = count_last(Policy::Kind::uniform, kBlock);
    expect(num_starved >= 20, std::to_string(num_starved) + " of 40");
    expect(num_uniform == 0, std::to_string(num_uniform) + " of 40 under uniform");
}

CASE("under priority some schedules run one rank before the other, some a block last") {
    const uint32_t num_ranks = count_last(Policy::Kind::priority, kRank);
    const uint32_t num_blocks = count_last(Policy::Kind::priority, kBlock);
    expect(num_ranks >= 4 && num_ranks < 40, std::to_string(num_ranks) + " of 40 by ranks");
    expect(num_blocks >= 4, std::to_string(num_blocks) + " of 40 by blocks");
    expect(count_last(Policy::Kind::uniform, kRank) == 0, "under uniform");
}

uint32_t num_live_threads[2][8];
uint32_t most_resident;

void resident_body(const Args& args) {
    ++num_live_threads[args.rank_idx][block_idx()];
    sync_block();
    const auto& mine = num_live_threads[args.rank_idx];
    const auto is_live = [](uint32_t num_threads) { return num_threads > 0; };
    most_resident = std::max(most_resident, static_cast<uint32_t>(std::count_if(mine, mine + 8, is_live)));
    atom_add_relaxed_gpu(EPGEN_FIELD(args.control(), counter), 1);
    --num_live_threads[args.rank_idx][block_idx()];
}
EPGEN_KERNEL(resident, Args, resident_body, 64, uint32_t)

CASE("no rank has more resident blocks than the policy lets it, under any policy") {
    for (Policy::Kind kind : kKinds) {
        for (uint32_t limit = 1; limit <= 3; ++limit) {
            most_resident = 0;
            for (uint64_t seed = 1; seed <= 5; ++seed) {
                MachineOptions options = under(kind);
                options.policy.max_resident_blocks = limit;
                options.policy.block_order = BlockOrder::shuffled;
                Group group(2, seed, options);
                group.enqueue_all(resident_entry, 8);
                expect(group.wait() == Status::done, group.fault().message);
            }
            expect(most_resident == limit, std::to_string(most_resident) + " of " + std::to_string(limit));
        }
    }
}

struct RelayedRow {
    alignas(128) uint8_t bytes[1024];
};

/// Rank r sends a row to the next one after it has received one itself; rank 0 begins and gets the last one.
void pass_on_body(const Args& args) {
    const auto row = EPGEN_FIELD(shared_memory<RelayedRow>(), bytes);
    const uint32_t next = (args.rank_idx + 1) % args.num_ranks;
    const auto counter = EPGEN_FIELD(args.control(), counter);
    const auto data = local_region(args.windows, args.rank_idx, kDataRegion);
    for (uint32_t round = 0; round < args.parameter; ++round) {
        if (thread_idx() == 0 && (args.rank_idx != 0 || round != 0)) {
            const uint32_t expected = args.rank_idx == 0 ? round : round + 1;
            wait_acquire_sys(args.call(), {Phase::arrivals, -1, -1}, counter, AtLeast{expected});
        }
        sync_block();
        for (uint32_t idx = thread_idx(); idx < 1024; idx += num_threads()) {
            const uint8_t before = args.rank_idx == 0 && round == 0 ? 0 : ld(data + idx);
            st(row + idx, static_cast<uint8_t>(before + 1));
        }
        fence_proxy_async_shared();
        sync_block();
        if (thread_idx() == 0) {
            bulk_store(peer_region(args.windows, next, kDataRegion), row, 1024);
            bulk_commit_group();
            bulk_wait_group<0>();
            fence_proxy_async();
            red_add_release_sys(EPGEN_FIELD(args.control_of(next), counter), 1);
        }
        sync_block();
    }
}
EPGEN_KERNEL(pass_on, Args, pass_on_body, 64, RelayedRow)

CASE("ranks that wait for each other come to their end under every policy") {
    std::set<uint64_t> hashes;
    for (Policy::Kind kind : kKinds) {
        for (uint64_t seed = 1; seed <= 20; ++seed) {
            MachineOptions options = under(kind);
            options.policy.rank_skew = seed % 2 == 0;
            options.weak_memory = seed % 4 < 2;
            Group group(3, seed, options);
            group.enqueue_all(pass_on_entry, 1, 6);
            group.enqueue_all(walk_entry, 2, 1);
            steps.clear();
            steps.reserve(3 * 2 * 64);
            expect(group.wait() == Status::done && group.timeouts.empty(), group.fault().message);
            expect(group.data(0)[0] == 18 && group.data(0)[1023] == 18, "row " + std::to_string(group.data(0)[0]));
            hashes.insert(group.machine->counters().trace_hash);
        }
    }
    expect(hashes.size() == 80, std::to_string(hashes.size()) + " distinct schedules of 80");
}

/// One thread has a row copied, then all take steps; the result says how many before the row came.
void late_body(const Args& args) {
    const auto row = EPGEN_FIELD(shared_memory<RelayedRow>(), bytes);
    const auto counter = EPGEN_FIELD(args.control(), counter);
    if (block_idx() == 0 && thread_idx() == 0) {
        for (uint32_t idx = 0; idx < 16; ++idx) st(row + idx, 1);
        fence_proxy_async_shared();
        bulk_store(peer_region(args.windows, args.rank_idx, kDataRegion), row, 16);
        bulk_commit_group();
    }
    sync_block();
    const auto* data = reinterpret_cast<const uint8_t*>(args.windows.base[args.rank_idx]) + kDataRegion.offset_bytes;
    for (uint32_t round = 0; round < args.parameter; ++round) {
        const uint32_t step = atom_add_relaxed_gpu(counter, 1);
        if (data[0] == 0) st(args.results(), step);
    }
    bulk_wait_group<0>();
}
EPGEN_KERNEL(late, Args, late_body, 64, RelayedRow)

CASE("policies but uniform let some copies come after all else that can happen") {
    constexpr uint32_t kNumRounds = 100;
    for (Policy::Kind kind : kKinds) {
        uint32_t num_late = 0;
        for (uint64_t seed = 1; seed <= 40; ++seed) {
            Group group(2, seed, under(kind));
            group.enqueue_all(late_entry, 2, kNumRounds);
            expect(group.wait() == Status::done, group.fault().message);
            num_late += group.control(0).results[0] > 2 * 64 * kNumRounds * 9 / 10;
        }
        expect((num_late > 0) == (kind != Policy::Kind::uniform),
               std::to_string(num_late) + " of 40 under " + name_of(kind));
    }
}

/// Polls where kernels ought to park.
void poll_body(const Args& args) {
    const auto counter = EPGEN_FIELD(args.control(), counter);
    if (args.rank_idx == 0) {
        if (thread_idx() == 0) red_add_release_sys(EPGEN_FIELD(args.control_of(1), counter), 1);
    } else {
        while (atom_add_relaxed_gpu(counter, 0) == 0) {
        }
    }
}
EPGEN_KERNEL(poll, Args, poll_body, 32, uint32_t)

CASE("threads that poll don't keep others waiting for ever") {
    for (Policy::Kind kind : kKinds) {
        for (uint64_t seed = 1; seed <= 8; ++seed) {
            Group group(2, seed, under(kind));
            group.enqueue_all(poll_entry, 1);
            expect(group.wait() == Status::done, group.fault().message);
        }
    }
}

}  // namespace
}  // namespace epgen::test
