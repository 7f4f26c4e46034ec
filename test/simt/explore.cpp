// Exploration of orders: kernels so small that one can count their classes by hand.
#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "harness.hpp"
#include "verify/explorer.hpp"

namespace epgen::test {

using verify::Explorer;

struct Explored {
    uint64_t num_classes = 0;
    uint64_t num_runs = 0;
    uint64_t num_deadlocks = 0;
    std::vector<uint64_t> results;  // that some run left in `results[0]` of rank 0's window, each once
};

/// One run of the machine as somebody steers it.
static Explored run_once(simt::Steering& steering, const KernelEntry& entry, uint32_t num_ranks, uint32_t grid,
                         uint32_t num_calls) {
    MachineOptions options;
    options.policy.rank_skew = false;
    options.check_races = true;
    options.steering = &steering;
    Group group(num_ranks, 1, options);
    group.machine->hold();
    for (uint32_t call = 0; call < num_calls; ++call) group.enqueue_all(entry, grid, call, UINT64_MAX);
    group.machine->release();
    group.wait();
    Explored explored;
    explored.num_deadlocks = group.faults.size() == 1 && group.fault().kind == FaultKind::deadlock;
    explored.results = {group.control(0).results[0]};
    return explored;
}

static Explored explore(Explorer& explorer, const KernelEntry& entry, uint32_t num_ranks, uint32_t grid = 1,
                        uint32_t num_calls = 1) {
    Explored explored;
    while (explorer.start_run()) {
        const Explored run = run_once(explorer, entry, num_ranks, grid, num_calls);
        explorer.end_run();
        expect(!explorer.has_diverged(), "expected runs to repeat the choices of others");
        explored.num_deadlocks += run.num_deadlocks;
        auto& results = explored.results;
        if (std::find(results.begin(), results.end(), run.results[0]) == results.end()) {
            results.push_back(run.results[0]);
        }
    }
    explored.num_classes = explorer.num_classes();
    explored.num_runs = explorer.num_runs();
    return explored;
}

static Explored explore(const KernelEntry& entry, uint32_t num_ranks, uint32_t grid = 1, uint32_t num_calls = 1) {
    Explorer explorer;
    return explore(explorer, entry, num_ranks, grid, num_calls);
}

static void expect_classes(const Explored& explored, uint64_t num_classes) {
    expect(explored.num_classes == num_classes, "expected " + std::to_string(num_classes) + " classes but received " +
                                                    std::to_string(explored.num_classes));
    expect(explored.num_runs < 2 * num_classes + 1,
           "expected few runs more than classes but received " + std::to_string(explored.num_runs));
}

static uint64_t load_word(const Args& args) {
    return cpu::load<uint64_t>("ld_acquire_sys", simt::Order::acquire, simt::Scope::sys,
                               EPGEN_FIELD(args.control(), word), Place::here());
}

/// Ranks 1 and 2 each write rank 0's word, and rank 0 reads it.
static void writers_body(const Args& args) {
    if (thread_idx() != 0) return;
    if (args.rank_idx == 0) {
        st(args.results(), static_cast<uint32_t>(load_word(args)));
    } else {
        st_release_sys(EPGEN_FIELD(args.control_of(0), word), args.rank_idx);
    }
}
EPGEN_KERNEL(writers, Args, writers_body, 32, uint32_t)

CASE("two writers and a reader of a word have 6 orders") {
    const Explored explored = explore(writers_entry, 3);
    expect_classes(explored, 6);
    expect(explored.results.size() == 3, "expected the reader to see nothing, 1 and 2");
}

/// All write words of their own.
static void apart_body(const Args& args) {
    if (thread_idx() == 0) st_release_sys(EPGEN_FIELD(args.control_of(args.rank_idx), word), 1);
}
EPGEN_KERNEL(apart, Args, apart_body, 32, uint32_t)

CASE("operations on different words have one order") { expect_classes(explore(apart_entry, 8), 1); }

/// Rank 0 writes, ranks 1 to 3 read.
static void onlookers_body(const Args& args) {
    if (thread_idx() != 0) return;
    const auto word = EPGEN_FIELD(args.control_of(0), word);
    if (args.rank_idx == 0) {
        st_release_sys(word, 1);
    } else {
        cpu::load<uint64_t>("ld_acquire_sys", simt::Order::acquire, simt::Scope::sys, word, Place::here());
    }
}
EPGEN_KERNEL(onlookers, Args, onlookers_body, 32, uint32_t)

CASE("each of three readers comes before or after the writer: 8 orders") {
    expect_classes(explore(onlookers_entry, 4), 8);
}

/// Two blocks of each rank add to a counter of rank 0, which waits for all.
static void adders_body(const Args& args) {
    if (thread_idx() == 0) red_add_release_sys(EPGEN_FIELD(args.control_of(0), counter), 1);
    if (args.rank_idx != 0 || block_idx() != 0 || thread_idx() != 1) return;
    const auto counter = EPGEN_FIELD(args.control(), counter);
    wait_acquire_sys(args.call(), Site{Phase::arrivals, -1, -1}, counter, AtLeast{2 * args.num_ranks});
}
EPGEN_KERNEL(adders, Args, adders_body, 32, uint32_t)

CASE("additions that are all awaited have one order") { expect_classes(explore(adders_entry, 3, 2), 1); }

/// Three blocks take a ticket.
static void tickets_body(const Args& args) {
    if (thread_idx() == 0) atom_add_relaxed_gpu(EPGEN_FIELD(args.control(), counter), 1);
}
EPGEN_KERNEL(tickets, Args, tickets_body, 32, uint32_t)

CASE("three tickets are taken in 6 orders") { expect_classes(explore(tickets_entry, 1, 3), 6); }

/// A word of epoch 1 that is awaited may be written over before it was seen.
static void overwritten_body(const Args& args) {
    if (thread_idx() != 0) return;
    if (args.rank_idx == 0) {
        wait_acquire_sys(args.call(), Site{Phase::ready, -1, -1}, EPGEN_FIELD(args.control(), word), HasEpoch{1});
    } else {
        st_release_sys(EPGEN_FIELD(args.control_of(0), word), pack_word(0, args.rank_idx));
    }
}
EPGEN_KERNEL(overwritten, Args, overwritten_body, 32, uint32_t)

CASE("a wait may miss its word in one order of three") {
    const Explored explored = explore(overwritten_entry, 3);
    expect_classes(explored, 3);
    expect(explored.num_deadlocks == 1, "expected 1 deadlock but received " + std::to_string(explored.num_deadlocks));
}

/// Lanes, warps and calls that come after each other anyway.
static void ordered_body(const Args& args) {
    const auto word = EPGEN_FIELD(args.control_of(0), word);
    if (args.rank_idx != 0) return;
    if (thread_idx() == 0) st_release_sys(word, 1);
    sync_warp();
    if (thread_idx() == 1) st_release_sys(word, 2);
    sync_block();
    if (thread_idx() == 40) st_release_sys(word, 3);
}
EPGEN_KERNEL(ordered, Args, ordered_body, 64, uint32_t)

CASE("barriers and streams leave one order") { expect_classes(explore(ordered_entry, 2, 1, 3), 1); }

/// As combine: both ranks tell each other that they are ready, in call after call, by words of as many parities.
template <uint32_t kParities>
void ready_body(const Args& args) {
    const uint32_t epoch = args.parameter + 1;
    const auto word_of = [&](uint32_t rank_idx) { return EPGEN_FIELD(args.control_of(rank_idx), results); };
    if (thread_idx() >= args.num_ranks) return;
    const uint64_t slot = 2 * (epoch % kParities * args.num_ranks);
    const auto at = [&](auto words, uint64_t idx) {
        using Word = Pointer<decltype(words)::space, uint64_t>;
        auto* data = reinterpret_cast<uint64_t*>(words.raw + idx);
        return Word{data, data, data + 1, "ready"};
    };
    st_release_sys(at(word_of(thread_idx()), slot + 2 * args.rank_idx), pack_word(0, epoch));
    const auto own = at(args.results(), slot + 2 * thread_idx());
    wait_acquire_sys(args.call(), Site{Phase::ready, -1, -1}, own, HasEpoch{epoch});
}
EPGEN_KERNEL(one_parity, Args, ready_body<1>, 32, uint32_t)
EPGEN_KERNEL(two_parities, Args, ready_body<2>, 32, uint32_t)

CASE("ready words of one parity are missed in some order, of two in none") {
    const Explored two = explore(two_parities_entry, 2, 1, 4);
    expect_classes(two, 1);
    expect(two.num_deadlocks == 0, "expected no deadlock");
    const Explored one = explore(one_parity_entry, 2, 1, 2);
    expect(one.num_deadlocks > 0, "expected a deadlock");
}

/// Words that are written over, tickets, additions and barriers: a bit of everything.
static void mixture_body(const Args& args) {
    const uint32_t next = (args.rank_idx + 1) % args.num_ranks;
    const uint32_t epoch = args.parameter + 1;
    const auto counter = EPGEN_FIELD(args.control(), counter);
    if (thread_idx() == 0) st_release_sys(EPGEN_FIELD(args.control_of(next), word), pack_word(0, epoch));
    if (thread_idx() == 1) red_add_release_sys(EPGEN_FIELD(args.control_of(next), counter), 1);
    sync_block();
    if (thread_idx() == 2) {
        wait_acquire_sys(args.call(), Site{Phase::ready, -1, -1}, EPGEN_FIELD(args.control(), word), HasEpoch{epoch});
    }
    if (thread_idx() == 33 && args.rank_idx == 0) atom_add_relaxed_gpu(counter, 1);
    sync_block();
    if (thread_idx() == 34) wait_acquire_sys(args.call(), Site{Phase::arrivals, -1, -1}, counter, AtLeast{epoch});
}
EPGEN_KERNEL(mixture, Args, mixture_body, 64, uint32_t)

/// What tells the classes of runs apart: each word's operations in order, where neighbours that commute are sorted.
class Log {
public:
    void add(const simt::WordOperation& operation) {
        const simt::Fiber& fiber = *operation.fiber;
        const bool is_load = operation.access.kind == simt::AccessKind::load;
        const bool is_add = std::string(operation.access.what).starts_with("red_");
        const std::string kind = is_load ? "load" : is_add ? "add" : "write";
        std::vector<Group>& groups = words_[operation.access.address];
        if (groups.empty() || groups.back().kind != kind || groups.back().kind == "write") groups.push_back({kind, {}});
        groups.back().threads.insert(uint64_t{fiber.rank_idx} << 32 | fiber.block_idx << 16 | fiber.thread_idx);
    }
    std::string text() const {
        std::string text;
        for (const auto& [_, groups] : words_) {
            for (const Group& group : groups) {
                text += " " + group.kind;
                for (const uint64_t thread : group.threads) text += " " + std::to_string(thread);
            }
            text += ";";
        }
        return text;
    }

private:
    struct Group {
        std::string kind;
        std::multiset<uint64_t> threads;
    };
    std::map<const void*, std::vector<Group>> words_;
};

class LoggedExplorer : public Explorer {
public:
    Log log;
    size_t choose(const std::vector<simt::WordOperation>& pending) override {
        const size_t chosen = Explorer::choose(pending);
        log.add(pending[chosen]);
        return chosen;
    }
};

class RandomSteering : public simt::Steering {
public:
    Log log;
    explicit RandomSteering(uint32_t seed) : random_(seed) {}
    size_t choose(const std::vector<simt::WordOperation>& pending) override {
        const size_t chosen = random_() % pending.size();
        log.add(pending[chosen]);
        return chosen;
    }
    void wait_starts(const simt::WordOperation&) override {}
    void block_starts(const simt::Block&) override {}
    void block_ends(const simt::Block&) override {}
    void meet(simt::Fiber* const*, uint32_t) override {}
    void mbarrier_arrive(const simt::Fiber&, const void*) override {}
    void mbarrier_phase_ends(const void*) override {}
    void mbarrier_pass(const simt::Fiber&, const void*) override {}

private:
    std::mt19937 random_;
};

CASE("random orders are all of explored classes") {
    for (const uint32_t num_calls : {1u, 2u}) {
        LoggedExplorer explorer;
        std::set<std::string> explored;
        while (explorer.start_run()) {
            explorer.log = {};
            run_once(explorer, mixture_entry, 2, 1, num_calls);
            explorer.end_run();
            explored.insert(explorer.log.text());
        }
        expect(explored.size() == explorer.num_classes(), "expected " + std::to_string(explored.size()) +
                                                              " classes but received " +
                                                              std::to_string(explorer.num_classes()));
        std::set<std::string> met;
        for (uint32_t seed = 0; seed < 500; ++seed) {
            RandomSteering steering(seed);
            run_once(steering, mixture_entry, 2, 1, num_calls);
            met.insert(steering.log.text());
            expect(explored.contains(steering.log.text()), "expected no class that exploration missed");
        }
        note("exploration: " + std::to_string(explored.size()) + " classes of " + std::to_string(num_calls) +
             " calls, random orders met " + std::to_string(met.size()));
    }
}

}  // namespace epgen::test
