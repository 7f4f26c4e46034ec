// Barriers, votes and shuffles, and threads that miss them.
#include "harness.hpp"

namespace epgen::test {

struct Counts {
    uint32_t total;
    uint32_t per_warp[8];
};

static void count_body(const Args& args) {
    const auto counts = shared_memory<Counts>();
    const auto total = EPGEN_FIELD(counts, total);
    if (thread_idx() == 0) st(total, 0);
    sync_block();
    red_add_shared(total, thread_idx());
    sync_block();
    const uint32_t sum = ld(total);
    const uint32_t odd = ballot(lane_idx() % 2 == 1);
    const bool all_true = all(true);
    const bool all_but_one = all(lane_idx() != 7);
    const uint32_t neighbour = shfl(thread_idx() * 10, (lane_idx() + 1) % kWarpSize);
    sync_warp();
    const uint32_t wanted = (warp_idx() * kWarpSize + (lane_idx() + 1) % kWarpSize) * 10;
    const bool is_right = sum == num_threads() * (num_threads() - 1) / 2 && odd == 0xaaaaaaaau && all_true &&
                          !all_but_one && neighbour == wanted;
    st(args.results() + (block_idx() * num_threads() + thread_idx()), is_right ? 1 : 2);
}
EPGEN_KERNEL(count, Args, count_body, 256, Counts)

CASE("barriers, votes and shuffles carry values") {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        Group group(2, seed);
        group.enqueue_all(count_entry, 4);
        expect(group.wait() == Status::done, "dropped: " + group.fault().message);
        for (uint32_t idx = 0; idx < 1024; ++idx) {
            expect(group.control(1).results[idx] == 1,
                   "thread " + std::to_string(idx) + " of seed " + std::to_string(seed));
        }
    }
}

static void divergent_block_body(const Args&) {
    if (thread_idx() < 40) sync_block();
}
EPGEN_KERNEL(divergent_block, Args, divergent_block_body, 64, Counts)

CASE("a thread that ends while others wait at sync_block is found") {
    Group group(1);
    group.enqueue_all(divergent_block_entry, 2);
    expect(group.wait() == Status::dropped, "not dropped");
    expect(group.fault().kind == FaultKind::mismatch, "kind");
    expect_contains(group.fault().message, "sync_block waits for a thread that has ended");
    expect_contains(group.fault().message, "at rendezvous.cpp:");
}

static void divergent_warp_body(const Args&) {
    if (lane_idx() < 16) {
        ballot(true);
    } else {
        shfl(1, 0);
    }
}
EPGEN_KERNEL(divergent_warp, Args, divergent_warp_body, 32, Counts)

CASE("lanes at different votes are found, with both places") {
    Group group(1);
    group.enqueue_all(divergent_warp_entry, 1);
    expect(group.wait() == Status::dropped, "not dropped");
    const std::string message = group.fault().message;
    expect_contains(message, "ballot");
    expect_contains(message, "shfl");
    expect(message.find("rendezvous.cpp:") != message.rfind("rendezvous.cpp:"), "both places in " + message);
}

static void vote_against_barrier_body(const Args&) {
    if (lane_idx() < 31) {
        sync_warp();
    } else {
        sync_block();
    }
}
EPGEN_KERNEL(vote_against_barrier, Args, vote_against_barrier_body, 64, Counts)

CASE("a lane at sync_block while its warp waits at sync_warp is found") {
    Group group(1);
    group.enqueue_all(vote_against_barrier_entry, 1);
    group.wait();
    expect(group.fault().kind == FaultKind::mismatch, "kind");
    expect_contains(group.fault().message, "sync_block");
    expect_contains(group.fault().message, "sync_warp");
}

}  // namespace epgen::test
