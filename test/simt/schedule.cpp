// Seeds, residency, streams, numbers and speed.
#include <bit>
#include <cmath>
#include <cstring>
#include <ctime>
#include <future>
#include <set>
#include <stdexcept>

#include "harness.hpp"

namespace epgen::test {

struct Sum {
    uint32_t total;
};

static void barriers_body(const Args& args) {
    const auto smem = shared_memory<Sum>();
    if (thread_idx() == 0) st(EPGEN_FIELD(smem, total), 0);
    for (uint32_t round = 0; round < args.parameter; ++round) sync_block();
    red_add_shared(EPGEN_FIELD(smem, total), 1);
    sync_block();
    if (thread_idx() == 0) st(args.results() + block_idx(), ld(EPGEN_FIELD(smem, total)));
}
EPGEN_KERNEL(barriers, Args, barriers_body, 256, Sum)

static std::vector<Policy> all_policies() {
    std::vector<Policy> policies;
    for (auto kind : {Policy::Kind::uniform, Policy::Kind::priority, Policy::Kind::frozen_rank,
                      Policy::Kind::starved_block}) {
        for (bool rank_skew : {false, true}) {
            Policy policy;
            policy.kind = kind;
            policy.rank_skew = rank_skew;
            policies.push_back(policy);
        }
    }
    return policies;
}

static Counters run(uint64_t seed, const Policy& policy) {
    MachineOptions options;
    options.policy = policy;
    Group group(2, seed, options);
    std::promise<void> ends[2];
    // A task that comes while kernels run may move a turn: all that decides the schedule is there from the start.
    group.machine->hold();
    group.enqueue_all(barriers_entry, 3, 5);
    for (uint32_t rank_idx = 0; rank_idx < 2; ++rank_idx) {
        group.machine->enqueue(rank_idx, Callback{[&, rank_idx](Status) { ends[rank_idx].set_value(); }});
    }
    group.machine->release();
    for (auto& end : ends) end.get_future().wait();
    return group.machine->counters();
}

CASE("equal seeds give equal schedules, other seeds others, under every policy") {
    std::set<uint64_t> hashes;
    for (uint64_t seed = 1; seed <= 10; ++seed) {
        for (const Policy& policy : all_policies()) {
            const Counters first = run(seed, policy);
            const Counters second = run(seed, policy);
            expect(first.trace_hash == second.trace_hash && first.num_steps == second.num_steps,
                   "equal seeds " + std::to_string(seed) + " policy " + std::to_string(static_cast<int>(policy.kind)) +
                       (policy.rank_skew ? " with" : " without") + " skew: " + std::to_string(first.num_steps) +
                       " and " + std::to_string(second.num_steps) + " steps");
            hashes.insert(first.trace_hash);
        }
    }
    expect(hashes.size() == 10 * all_policies().size(), std::to_string(hashes.size()) + " distinct schedules");
}

static void ticket_body(const Args& args) {
    if (thread_idx() != 0) return;
    const uint32_t ticket = atom_add_relaxed_gpu(EPGEN_FIELD(args.control(), counter), 1);
    st(args.results() + ticket, block_idx());
}
EPGEN_KERNEL(ticket, Args, ticket_body, 32, Sum)

CASE("one resident block at a time, in either order or shuffled") {
    for (BlockOrder order : {BlockOrder::ascending, BlockOrder::descending, BlockOrder::shuffled}) {
        MachineOptions options;
        options.policy.max_resident_blocks = 1;
        options.policy.block_order = order;
        Group group(2, 3, options);
        group.enqueue_all(ticket_entry, 32);
        expect(group.wait() == Status::done, group.fault().message);
        bool is_ascending = true;
        bool is_descending = true;
        std::set<uint32_t> seen;
        for (uint32_t idx = 0; idx < 32; ++idx) {
            is_ascending = is_ascending && group.control(0).results[idx] == idx;
            is_descending = is_descending && group.control(0).results[idx] == 31 - idx;
            seen.insert(group.control(0).results[idx]);
        }
        expect(is_ascending == (order == BlockOrder::ascending), "ascending");
        expect(is_descending == (order == BlockOrder::descending), "descending");
        expect(seen.size() == 32, "every block ran");
    }
}

static void all_blocks_body(const Args& args) {
    if (thread_idx() != 0) return;
    const auto counter = EPGEN_FIELD(args.control(), counter);
    atom_add_relaxed_gpu(counter, 1);
    wait_acquire_sys(args.call(), {Phase::arrivals, -1, -1}, counter, AtLeast{num_blocks()});
}
EPGEN_KERNEL(all_blocks, Args, all_blocks_body, 32, Sum)

CASE("a grid that must be resident at once deadlocks where it can't be") {
    MachineOptions options;
    options.policy.max_resident_blocks = 2;
    Group group(1, 1, options);
    group.enqueue_all(all_blocks_entry, 2);
    expect(group.wait() == Status::done, "two fit");
    group.control(0).counter = 0;
    group.enqueue_all(all_blocks_entry, 3);
    expect(group.wait() == Status::dropped, "three don't");
    expect_contains(group.fault().message, "1 blocks of all_blocks on rank 0 have not started: 2 may be resident");
}

CASE("stream tasks run in order around kernels") {
    Group group(1);
    Machine& machine = *group.machine;
    std::promise<std::pair<Status, Bytes>> downloaded;
    uint8_t* data = group.data(0);
    const uint8_t bytes[4] = {1, 2, 3, 4};
    machine.enqueue(0, Fill{data, 0xee, 64});
    machine.enqueue(0, Upload{data, Bytes::copy_of(bytes, 4)});
    machine.enqueue(0, Copy{data + 16, data, 8});
    group.enqueue_all(ticket_entry, 4);
    machine.enqueue(0, Copy{data + 32, &group.control(0).counter, 4});
    machine.enqueue(0, Download{data, 64, [&](Status status, Bytes got) {
                                    downloaded.set_value({status, std::move(got)});
                                }});
    const auto [status, got] = downloaded.get_future().get();
    const uint8_t wanted[10] = {1, 2, 3, 4, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee};
    expect(status == Status::done && got.size == 64, "size");
    expect(std::memcmp(got.data.get(), wanted, 10) == 0, "upload over fill");
    expect(std::memcmp(got.data.get() + 16, wanted, 8) == 0, "copy");
    expect(static_cast<uint8_t>(got.data[32]) == 4, "kernel before copy");
}

CASE("launches that no GPU takes are refused") {
    const KernelEntry odd{"odd", 40, 0, nullptr};
    const KernelEntry large{"large", 32, 300'000, nullptr};
    Group group(1);
    for (const KernelEntry* entry : {&odd, &large}) {
        std::string message;
        try {
            group.enqueue(0, *entry, 1);
        } catch (const std::invalid_argument& error) {
            message = error.what();
        }
        expect_contains(message, entry->name);
    }
}

CASE("numbers round as on the device") {
    const auto bits = [](float value) { return std::bit_cast<uint32_t>(value); };
    expect(bits(add_rn(INFINITY, -INFINITY)) == 0x7fffffffu, "NaN of an addition");
    expect(bits(add_rn(std::bit_cast<float>(0xffc12345u), 1)) == 0x7fffffffu, "NaN is canonical");
    expect(bits(add_rn(std::bit_cast<float>(1u), std::bit_cast<float>(1u))) == 2, "subnormals stay");
    expect(bits(add_rn(-0.0f, -0.0f)) == 0x80000000u, "minus zero");
    expect(f32_to_bf16x2_rn(1.0f, -2.0f) == 0xc0003f80u, "halves");
    const auto value = [](uint32_t pattern) { return std::bit_cast<float>(pattern); };
    expect(f32_to_bf16x2_rn(value(0x3f808000u), value(0x3f818000u)) == 0x3f823f80u, "ties to even");
    expect(f32_to_bf16x2_rn(std::bit_cast<float>(0xff800001u), std::bit_cast<float>(0x7f7fffffu)) == 0x7f807fffu,
           "NaN and overflow");
    expect(bits(bf16_lo_to_f32(0xc0003f80u)) == 0x3f800000u, "lower half");
    expect(bits(bf16_hi_to_f32(0xc0003f80u)) == 0xc0000000u, "upper half");
}

CASE("speed") {
    for (uint32_t round = 0; round < 2; ++round) {
        constexpr uint32_t kNumRounds = 50;
        Group group(8);
        for (uint32_t launch = 0; launch < 2; ++launch) {
            const Counters before = group.machine->counters();
            const std::clock_t start = std::clock();
            group.enqueue_all(barriers_entry, 16, kNumRounds);
            expect(group.wait() == Status::done, group.fault().message);
            const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
            const uint64_t num_steps = group.machine->counters().num_steps - before.num_steps;
            note("8 ranks x 16 blocks x 256 threads x " + std::to_string(kNumRounds) + " barriers, launch " +
                 std::to_string(launch) + ": " + std::to_string(seconds) + " s of processor time, " +
                 std::to_string(num_steps / seconds / 1e6) + " M steps/s");
        }
        for (uint32_t block = 0; block < 16; ++block) expect(group.control(7).results[block] == 256, "sum");
    }
}

}  // namespace epgen::test
