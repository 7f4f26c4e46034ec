// Followers beside dispatches on the emulator: `cpu <first seed> <seeds>`. The checker looks on, stores come late, and a
// line tells of each seed that went wrong.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <memory>
#include <string>

#include "exchange.hpp"
#include "runtime/module.hpp"
#include "simt/check/race_report.hpp"
#include "simt/machine.hpp"

namespace epgen::EPGEN_SPEC {
namespace {

constexpr uint32_t kNumCalls = 3;  // the last along the handle of the second
constexpr uint8_t kUntouched = 0xa5;

struct Rank {
    simt::Reservation window{kWindowBytes};
    simt::Reservation arena{1 << 22};
    simt::Reservation records{4096};
    uint64_t used = 0;

    std::byte* take(uint64_t bytes) {
        std::byte* data = arena.data() + used;
        used += (bytes + 255) / 256 * 256;
        return data;
    }
    template <class T>
    std::byte* take_copy(const std::vector<T>& values) {
        std::byte* data = take(values.size() * sizeof(T));
        if (!values.empty()) std::memcpy(data, values.data(), values.size() * sizeof(T));
        return data;
    }
};

/// One schedule; what went wrong, or nothing.
struct Schedule {
    std::vector<Rank> ranks{kNumRanks};
    Found* found[kNumCalls][kNumRanks];
    std::string wrong;
    uint32_t num_early = 0;  // sources that were added up before all had come

    void run(uint64_t seed, uint32_t num_callers) {
        simt::MachineOptions options;
        options.num_ranks = kNumRanks;
        options.seed = seed;
        options.policy.kind = static_cast<simt::Policy::Kind>(seed % 4);
        options.policy.rank_skew = seed % 2 == 0;
        options.weak_memory = true;
        options.check_races = true;
        options.on_fault = [&](const simt::FaultReport& report) { wrong += report.message + "; "; };
        options.on_race = [&](const simt::RaceReport&) { wrong += "race; "; };
        simt::Machine machine(options);
        std::vector<std::promise<void>> ends(2 * kNumRanks);
        for (uint32_t r = 0; r < kNumRanks; ++r) prepare(machine, r);
        machine.hold();
        for (uint32_t r = 0; r < kNumRanks; ++r) {
            if (r < num_callers) enqueue(machine, r);
            for (uint32_t s = 0; s < 2; ++s) {
                machine.enqueue(simt::StreamId{r, s},
                                simt::Callback{[&, r, s](simt::Status) { ends[2 * r + s].set_value(); }});
            }
        }
        machine.release();
        for (auto& end : ends) end.get_future().wait();
    }

    void prepare(simt::Machine& machine, uint32_t r) {
        Rank& rank = ranks[r];
        module().reset_control(rank.window.data(), 0);
        machine.add_region({"window", r, rank.window.data(), rank.window.size()});
        machine.add_region({"arena", r, rank.arena.data(), rank.arena.size()});
        machine.add_region({"host records", r, rank.records.data(), rank.records.size()});
    }

    void enqueue(simt::Machine& machine, uint32_t r) {
        Rank& rank = ranks[r];
        const std::vector<int64_t> choices = choices_of(r);
        DispatchCall call{};
        call.rank_idx = r;
        call.num_tokens = tokens_of(r);
        call.grid = 2;
        call.expert_alignment = 1;
        call.deadline_ns = 50'000'000;
        call.topk_idx = rank.take_copy(choices);
        call.topk_weights = rank.take(choices.size() * sizeof(float));
        call.fault = reinterpret_cast<FaultRecord*>(rank.records.data() + 2048);
        for (uint32_t peer = 0; peer < kNumRanks; ++peer) call.window[peer] = ranks[peer].window.data();
        for (uint32_t i = 0; i < kNumCalls; ++i) {
            call.mode = i + 1 < kNumCalls ? DispatchMode::topk : DispatchMode::cached;
            call.buffer_idx = i % kNumRecvBuffers;
            call.x = rank.take_copy(rows_of(r, i));
            if (call.mode == DispatchMode::topk) {
                call.handle = rank.take(sizeof(HandleHeader) + call.num_tokens * kNumRanks * sizeof(int32_t));
            }
            call.record = reinterpret_cast<CountRecord*>(rank.records.data() + i * 512);
            call.record_tag = i + 1;
            const Launch dispatch = module().dispatch(call);
            machine.enqueue(simt::StreamId{r, 0}, simt::Kernel{dispatch.entry, dispatch.grid, dispatch.args, {}});
            found[i][r] = reinterpret_cast<Found*>(rank.take(kNumRanks * sizeof(Found)));
            std::memset(found[i][r], kUntouched, kNumRanks * sizeof(Found));
            const FollowerArgs args{
                {rank.window.data(), static_cast<const HandleHeader*>(call.handle), i + 1, r},
                reinterpret_cast<const uint8_t*>(rank.window.data() + kRecvX.offset_bytes +
                                                 call.buffer_idx * kRecvX.stride_bytes),
                found[i][r]};
            std::vector<std::byte> bytes(sizeof args);
            std::memcpy(bytes.data(), &args, sizeof args);
            machine.enqueue(simt::StreamId{r, 1}, simt::Kernel{&follower_entry, kNumRanks, std::move(bytes), {}});
        }
    }

    void compare() {
        for (uint32_t i = 0; i < kNumCalls; ++i) {
            for (uint32_t r = 0; r < kNumRanks; ++r) {
                for (uint32_t source = 0; source < kNumRanks; ++source) compare(i, r, source);
            }
        }
    }

    void compare(uint32_t i, uint32_t r, uint32_t source) {
        const Found got = found[i][r][source];
        const Found want = expected(r, source, i);
        num_early += got.num_ready < kNumRanks;
        if (got.first == want.first && got.count == want.count && got.sum == want.sum) return;
        wrong += "call " + std::to_string(i) + ", rank " + std::to_string(r) + ", source " + std::to_string(source) +
                 ": rows " + std::to_string(got.first) + " + " + std::to_string(got.count) + " add up to " +
                 std::to_string(got.sum) + ", expected " + std::to_string(want.first) + " + " +
                 std::to_string(want.count) + " and " + std::to_string(want.sum) + "; ";
    }

    /// The group gave up: no follower has used a row.
    void expect_untouched() {
        for (uint32_t i = 0; i < kNumCalls; ++i) {
            for (uint32_t r = 0; r + 1 < kNumRanks; ++r) {
                const auto* bytes = reinterpret_cast<const uint8_t*>(found[i][r]);
                if (std::any_of(bytes, bytes + kNumRanks * sizeof(Found),
                                [](uint8_t byte) { return byte != kUntouched; })) {
                    wrong += "call " + std::to_string(i) + ", rank " + std::to_string(r) + ": rows were used; ";
                }
            }
        }
    }
};

}  // namespace
}  // namespace epgen::EPGEN_SPEC

int main(int argc, char** argv) {
    namespace spec = epgen::EPGEN_SPEC;
    if (argc != 3) return 2;
    const uint64_t first = std::strtoull(argv[1], nullptr, 10);
    const uint64_t num_seeds = std::strtoull(argv[2], nullptr, 10);
    uint64_t num_early = 0;
    bool ok = true;
    for (uint64_t seed = first; seed < first + num_seeds; ++seed) {
        spec::Schedule all;
        all.run(seed, spec::kNumRanks);
        all.compare();
        num_early += all.num_early;
        spec::Schedule some;
        if (seed == first) {
            some.run(seed, spec::kNumRanks - 1);
            some.expect_untouched();
        }
        for (const std::string& wrong : {all.wrong, some.wrong}) {
            if (wrong.empty()) continue;
            ok = false;
            std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), wrong.c_str());
        }
    }
    std::printf("%llu sources were added up before all had come\n", static_cast<unsigned long long>(num_early));
    return ok && num_early > 0 ? 0 : 1;
}
