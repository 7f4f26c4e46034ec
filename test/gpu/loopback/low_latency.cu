// Runs a spec's low-latency kernels for all ranks on one GPU, through their loopback entries, whole and in halves, and
// compares every byte with the model. Prints `N passed, N failed`; the exit status is 0 when none failed.
//
//   low-latency [--deadline-ms N]
#include <chrono>
#include <random>
#include <string>

#include "low_latency_model.hpp"
#include "rig.hpp"

namespace {

using namespace low_latency;

static_assert(kNumRanks > 1, "a rank goes missing");

constexpr uint32_t kMaxTokens = spec::kMaxLlTokensPerRank;
constexpr uint32_t kBoth = epgen::kLlSend | epgen::kLlReceive;
constexpr uint32_t kHandleBytes = sizeof(spec::LlHandleHeader) + kMaxTokens * kNumTopk * sizeof(int32_t);
#if EPGEN_LL_FP8
constexpr size_t kNumBufferScaleWords = spec::kLlRecvXScales.count;
#else
constexpr size_t kNumBufferScaleWords = 0;
#endif

uint64_t deadline_ns = 20'000'000'000;
int num_passed = 0;
int num_failed = 0;

void check(bool ok, const std::string& what) {
    ++(ok ? num_passed : num_failed);
    if (!ok) std::printf("FAILED %s\n", what.c_str());
}

template <class T>
void check_equal(const std::vector<T>& seen, const std::vector<T>& expected, const std::string& what) {
    const auto [at, end] = std::mismatch(expected.begin(), expected.end(), seen.begin(), seen.end());
    if (at == expected.end()) return check(end == seen.end(), what);
    check(false, what + " [" + std::to_string(at - expected.begin()) + "]: expected " + std::to_string(*at) +
                     ", received " + (end == seen.end() ? "nothing" : std::to_string(*end)));
}

// Routings.

enum class Pattern { distinct, duplicates, some_none, all_none, one_rank, one_expert, bad };

struct Case {
    const char* name;
    Pattern pattern;
    bool is_unequal;  // one rank without tokens, one with all, the others between
    uint32_t num_tokens;
    uint32_t dispatch_grid;
    uint32_t combine_grid;
    bool is_staged;  // expert outputs lie elsewhere
};

int64_t random_expert(std::mt19937& random, Pattern pattern) {
    const int64_t any = random() % kNumExperts;
    switch (pattern) {
        case Pattern::distinct: return any;
        case Pattern::duplicates: return random() % 3;
        case Pattern::some_none: return random() % 3 ? any : -1;
        case Pattern::all_none: return -1;
        case Pattern::one_rank: return int64_t{kNumRanks - 1} * kNumLocalExperts + random() % kNumLocalExperts;
        case Pattern::one_expert: return kNumExperts / 2;
        case Pattern::bad: return random() % 7 ? any : (random() % 2 ? kNumExperts : -7 - any);
    }
    return -1;
}

std::vector<uint16_t> random_rows(std::mt19937& random, size_t num_rows) {
    std::vector<uint16_t> rows(num_rows * kHidden);
    for (size_t i = 0; i < rows.size(); ++i) {
        // Blocks of any bits, and blocks of numbers of ordinary size.
        const bool is_any = i / 64 % 3 == 0;
        rows[i] = static_cast<uint16_t>(is_any ? random() : 0x3c00 + random() % 0x480 + random() % 2 * 0x8000);
    }
    return rows;
}

std::vector<Input> make_inputs(const Case& test, std::mt19937& random) {
    std::vector<Input> inputs(kNumRanks);
    const uint32_t empty_rank = random() % kNumRanks;
    for (uint32_t rank = 0; rank < kNumRanks; ++rank) {
        Input& input = inputs[rank];
        input.num_tokens = test.num_tokens;
        if (test.is_unequal && rank != (empty_rank + 1) % kNumRanks) {
            input.num_tokens = rank == empty_rank ? 0 : random() % (test.num_tokens + 1);
        }
        input.x = random_rows(random, input.num_tokens);
        while (input.topk_idx.size() < size_t{input.num_tokens} * kNumTopk) {
            const int64_t expert = random_expert(random, test.pattern);
            const auto token = input.topk_idx.begin() + input.topk_idx.size() / kNumTopk * kNumTopk;
            const bool is_repeated = std::find(token, input.topk_idx.end(), expert) != input.topk_idx.end();
            if (test.pattern == Pattern::distinct && is_repeated) continue;
            if (!names_expert(expert) && expert != -1 && input.first_bad_choice < 0) {
                input.first_bad_choice = static_cast<int64_t>(input.topk_idx.size());
            }
            input.topk_idx.push_back(expert);
            // Of few magnitudes, so that sums are no NaNs for the most part.
            input.topk_weights.push_back((random() & 0x81ffffffu) | 0x3e000000u);
        }
    }
    return inputs;
}

/// One dispatch and its combine, of all ranks.
struct Flight {
    const Case* test;
    std::vector<Input> inputs;
    std::vector<Received> received;
    std::vector<std::vector<uint16_t>> outputs;
    uint32_t call_idx = 0;  // since the reset
    struct {
        std::byte* handle;
        uint32_t* topk_weights;
        uint8_t* out;
    } memory[kNumRanks];

    Flight() {
        for (auto& rank : memory) {
            rank.handle = device_memory<std::byte>(kHandleBytes);
            rank.topk_weights = device_memory<uint32_t>(size_t{kMaxTokens} * kNumTopk);
            rank.out = device_memory<uint8_t>(size_t{kMaxTokens} * spec::kLlInputRowBytes);
        }
    }

    std::string at(uint32_t rank, const char* what) const {
        return std::string(test->name) + ", rank " + std::to_string(rank) + ", " + what;
    }
};

/// What all flights share.
struct Bench {
    Rig rig{kMaxTokens};
    uint16_t* y[kNumRanks];  // expert outputs outside the window
    int32_t* expert_stats[kNumRanks];
    int64_t* wait_stats[kNumRanks];
    std::vector<int32_t> expected_stats[kNumRanks];
    uint32_t num_calls = 0;

    Bench() {
        for (uint32_t rank = 0; rank < kNumRanks; ++rank) {
            y[rank] = device_memory<uint16_t>(kNumRows * kHidden);
            expert_stats[rank] = device_memory<int32_t>(kNumLocalExperts);
            wait_stats[rank] = device_memory<int64_t>(kNumRanks);
            expected_stats[rank].assign(kNumLocalExperts, 0);
            upload(expert_stats[rank], expected_stats[rank]);
            upload(wait_stats[rank], std::vector<int64_t>(kNumRanks));
        }
    }
};

template <class T>
std::byte* buffer(const RankMemory& rank, const epgen::Region<T>& region, uint32_t call_idx) {
    return rank.window + region.offset_bytes + call_idx % region.num_buffers * region.stride_bytes;
}

template <class T>
void poison(const RankMemory& rank, const epgen::Region<T>& region, uint32_t call_idx) {
    CHECK_CUDA(cudaMemset(buffer(rank, region, call_idx), kPoison, region.count * sizeof(T)));
}

// Calls.

epgen::Launch dispatch_launch(Bench& bench, const Flight& flight, uint32_t rank_idx, uint32_t phases, uint32_t grid,
                              uint64_t wait_ns) {
    const RankMemory& rank = bench.rig.ranks[rank_idx];
    epgen::LlDispatchCall call{};
    call.rank_idx = rank_idx;
    call.num_tokens = flight.inputs[rank_idx].num_tokens;
    call.grid = grid;
    call.phases = phases;
    call.record_tag = flight.call_idx + 1;
    call.deadline_ns = wait_ns;
    call.x = rank.x;
    call.topk_idx = rank.topk_idx;
    call.handle = flight.memory[rank_idx].handle;
    call.expert_stats = bench.expert_stats[rank_idx];
    call.wait_stats = bench.wait_stats[rank_idx];
    call.record = phases & epgen::kLlSend ? rank.record : nullptr;
    call.fault = rank.fault;
    for (uint32_t peer = 0; peer < kNumRanks; ++peer) call.window[peer] = bench.rig.ranks[peer].window;
    return epgen::module().ll_dispatch(call);
}

epgen::Launch combine_launch(Bench& bench, const Flight& flight, uint32_t rank_idx, uint32_t phases, uint32_t grid,
                             uint64_t wait_ns) {
    const RankMemory& rank = bench.rig.ranks[rank_idx];
    epgen::LlCombineCall call{};
    call.rank_idx = rank_idx;
    call.num_tokens = flight.inputs[rank_idx].num_tokens;
    call.grid = grid;
    call.phases = phases;
    call.deadline_ns = wait_ns;
    call.input_offset = buffer(rank, spec::kLlOutput, flight.call_idx) - rank.window;
    call.handle = flight.memory[rank_idx].handle;
    call.topk_weights = flight.memory[rank_idx].topk_weights;
    call.out = flight.memory[rank_idx].out;
    call.wait_stats = bench.wait_stats[rank_idx];
    call.fault = rank.fault;
    for (uint32_t peer = 0; peer < kNumRanks; ++peer) call.window[peer] = bench.rig.ranks[peer].window;
    return epgen::module().ll_combine(call);
}

epgen::Launch stage_launch(Bench& bench, const Flight& flight, uint32_t rank_idx, uint32_t grid) {
    const RankMemory& rank = bench.rig.ranks[rank_idx];
    epgen::LlStageCall call{};
    call.rank_idx = rank_idx;
    call.grid = grid;
    call.deadline_ns = deadline_ns;
    call.output_offset = buffer(rank, spec::kLlOutput, flight.call_idx) - rank.window;
    call.handle = flight.memory[rank_idx].handle;
    call.x = bench.y[rank_idx];
    call.fault = rank.fault;
    for (uint32_t peer = 0; peer < kNumRanks; ++peer) call.window[peer] = bench.rig.ranks[peer].window;
    return epgen::module().ll_stage(call);
}

template <class Make>
void run(Bench& bench, uint32_t grid, const Make& make) {
    std::vector<epgen::Launch> launches;
    for (uint32_t rank = 0; rank < kNumRanks; ++rank) launches.push_back(make(rank));
    bench.rig.run(launches, grid);
}

void check_no_fault(Rig& rig, const Flight& flight, const char* what) {
    for (uint32_t rank = 0; rank < kNumRanks; ++rank) {
        const epgen::FaultRecord& fault = *rig.ranks[rank].fault;
        check(fault.state == 0, flight.at(rank, what) + ": gave up waiting for " + epgen::phase_name(fault.phase) +
                                    " of rank " + std::to_string(fault.peer_idx));
    }
}

void expect_stats(Bench& bench, const Flight& flight) {
    for (uint32_t rank = 0; rank < kNumRanks; ++rank) {
        for (uint32_t e = 0; e < kNumLocalExperts; ++e) {
            bench.expected_stats[rank][e] += flight.received[rank].num_tokens_per_expert[e];
        }
    }
}

/// Draws a call's inputs, poisons what it may write, and sends; also receives where `phases` say so.
void send_rows(Bench& bench, Flight& flight, const Case& test, std::mt19937& random, uint32_t phases) {
    flight.test = &test;
    flight.inputs = make_inputs(test, random);
    flight.received = dispatch(flight.inputs, kNumBufferScaleWords, kPoison);
    flight.call_idx = bench.num_calls++;
    for (uint32_t i = 0; i < kNumRanks; ++i) {
        const RankMemory& rank = bench.rig.ranks[i];
        upload(rank.x, flight.inputs[i].x);
        upload(rank.topk_idx, flight.inputs[i].topk_idx);
        upload(flight.memory[i].topk_weights, flight.inputs[i].topk_weights);
        rank.record->tag = 0;
        rank.record->bad_token_idx = epgen::kNoToken;
        poison(rank, spec::kLlRecvX, flight.call_idx);
        poison(rank, spec::kLlRecvSrcIdx, flight.call_idx);
#if EPGEN_LL_FP8
        poison(rank, spec::kLlRecvXScales, flight.call_idx);
#endif
        CHECK_CUDA(cudaMemset(flight.memory[i].handle, kPoison, kHandleBytes));
    }
    run(bench, test.dispatch_grid,
        [&](uint32_t i) { return dispatch_launch(bench, flight, i, phases, test.dispatch_grid, deadline_ns); });
    check_no_fault(bench.rig, flight, "send");
    if (phases & epgen::kLlReceive) expect_stats(bench, flight);
    for (uint32_t i = 0; i < kNumRanks; ++i) {
        const epgen::CountRecord& record = *bench.rig.ranks[i].record;
        const int64_t bad = flight.inputs[i].first_bad_choice;
        check(record.tag == flight.call_idx + 1, flight.at(i, "record.tag"));
        check(bad < 0 ? record.bad_token_idx == epgen::kNoToken
                      : record.bad_token_idx == bad / kNumTopk && record.bad_choice_idx == bad % kNumTopk &&
                            record.bad_value == flight.inputs[i].topk_idx[bad],
              flight.at(i, "record of the first bad choice"));
    }
}

void receive_rows(Bench& bench, const Flight& flight) {
    run(bench, 1, [&](uint32_t i) { return dispatch_launch(bench, flight, i, epgen::kLlReceive, 1, deadline_ns); });
    check_no_fault(bench.rig, flight, "receive");
    expect_stats(bench, flight);
}

void check_received(Bench& bench, const Flight& flight) {
    for (uint32_t i = 0; i < kNumRanks; ++i) {
        const RankMemory& rank = bench.rig.ranks[i];
        const Received& expected = flight.received[i];
        const uint32_t call = flight.call_idx;
        const auto header = download<spec::LlHandleHeader>(flight.memory[i].handle, 1)[0];
        const auto line = [](const auto& from) { return std::vector(std::begin(from), std::end(from)); };
        check_equal(download<uint8_t>(buffer(rank, spec::kLlRecvX, call), expected.x.size()), expected.x,
                    flight.at(i, "x"));
        check_equal(download<int32_t>(buffer(rank, spec::kLlRecvSrcIdx, call), kNumRows), expected.src_idx,
                    flight.at(i, "src_idx"));
#if EPGEN_LL_FP8
        check_equal(download<uint32_t>(buffer(rank, spec::kLlRecvXScales, call), kNumBufferScaleWords), expected.scales,
                    flight.at(i, "scales"));
#endif
        check_equal(line(header.num_tokens_per_expert), expected.num_tokens_per_expert, flight.at(i, "counts"));
        check_equal(line(header.layout_range), expected.layout_range, flight.at(i, "layout_range"));
        check_equal(download<int32_t>(flight.memory[i].handle + sizeof(header), expected.slot.size()), expected.slot,
                    flight.at(i, "slot"));
        if (!epgen::module().has_ll_stats) continue;
        check_equal(download<int32_t>(bench.expert_stats[i], kNumLocalExperts), bench.expected_stats[i],
                    flight.at(i, "expert stats"));
    }
}

/// Brings the experts' outputs to where they are pulled from.
void give_outputs(Bench& bench, Flight& flight, std::mt19937& random) {
    flight.outputs.resize(kNumRanks);
    const bool is_staged = kCastsOutputs || flight.test->is_staged;
    for (uint32_t i = 0; i < kNumRanks; ++i) {
        flight.outputs[i] = random_rows(random, kNumRows);
        void* output = buffer(bench.rig.ranks[i], spec::kLlOutput, flight.call_idx);
        upload(is_staged ? static_cast<void*>(bench.y[i]) : output, flight.outputs[i]);
        CHECK_CUDA(cudaMemset(flight.memory[i].out, kPoison, size_t{kMaxTokens} * spec::kLlInputRowBytes));
    }
    if (!is_staged) return;
    const uint32_t grid = flight.test->combine_grid;
    run(bench, grid, [&](uint32_t i) { return stage_launch(bench, flight, i, grid); });
    check_no_fault(bench.rig, flight, "stage");
}

void run_combine(Bench& bench, const Flight& flight, uint32_t phases) {
    const uint32_t grid = phases == epgen::kLlSend ? 1 : flight.test->combine_grid;
    run(bench, grid, [&](uint32_t i) { return combine_launch(bench, flight, i, phases, grid, deadline_ns); });
    check_no_fault(bench.rig, flight, "combine");
}

void check_sums(const Flight& flight) {
    for (uint32_t i = 0; i < kNumRanks; ++i) {
        std::vector<uint16_t> expected = combine(flight.inputs[i], flight.received[i], flight.outputs);
        const auto rest = poisoned<uint16_t>(size_t{kMaxTokens} * kHidden - expected.size(), kPoison);
        expected.insert(expected.end(), rest.begin(), rest.end());
        check_equal(download<uint16_t>(flight.memory[i].out, expected.size()), expected, flight.at(i, "sums"));
    }
}

/// The last rank takes part in an exchange of its own, so nobody hears of it: all must leave, with a record each.
void run_without_last_rank(Bench& bench, Flight& flight, epgen::Op op, uint32_t grid) {
    constexpr uint64_t kShortWaitNs = 50'000'000;
    constexpr uint32_t kLastRank = kNumRanks - 1;
    Rig& rig = bench.rig;
    rig.reset(40);
    bench.num_calls = 0;
    flight.call_idx = 0;
    for (uint32_t i = 0; i < kNumRanks; ++i) {
        CHECK_CUDA(cudaMemset(flight.memory[i].handle, 0, kHandleBytes));
        if (op == epgen::Op::ll_combine) flight.inputs[i].num_tokens = 0;
    }
    std::vector<epgen::Launch> launches;
    for (uint32_t i = 0; i < kNumRanks; ++i) {
        launches.push_back(op == epgen::Op::ll_dispatch ? dispatch_launch(bench, flight, i, kBoth, grid, kShortWaitNs)
                                                        : combine_launch(bench, flight, i, kBoth, grid, kShortWaitNs));
    }
    // Arguments begin with the windows. The lonely ones hold control words only: a rank that has lower ranks gets no
    // further than their counts.
    epgen::Windows lonely{};
    for (uint32_t peer = 0; peer < kNumRanks; ++peer) lonely.base[peer] = rig.ranks[peer].lonely_window;
    std::memcpy(launches[kLastRank].args.data(), &lonely, sizeof(lonely));
    rig.run(launches, grid);
    for (uint32_t i = 0; i < kNumRanks; ++i) {
        const epgen::FaultRecord& fault = *rig.ranks[i].fault;
        const std::string at = std::string(epgen::op_name(op)) + " without the last rank, rank " + std::to_string(i);
        check(fault.state == 2 && fault.op == op && fault.rank_idx == i && fault.epoch == 41, at + ": fault record");
        check(i == kLastRank || fault.reason == 2 || fault.peer_idx == static_cast<int32_t>(kLastRank),
              at + ": blames rank " + std::to_string(fault.peer_idx));
    }
    rig.reset(40);
}

void run_all() {
    constexpr uint32_t kAll = spec::kNumLlChannels;
    constexpr uint32_t kFew = kAll > 1 ? kAll - 1 : 1;
    const Case cases[] = {
        {"distinct experts", Pattern::distinct, false, kMaxTokens, kAll, kAll, false},
        {"one block a rank", Pattern::distinct, false, kMaxTokens, 1, 1, true},
        {"unequal token counts", Pattern::distinct, true, kMaxTokens, kFew, kAll, false},
        {"repeated experts", Pattern::duplicates, false, kMaxTokens / 2 + 1, kAll, kFew, true},
        {"some choices are -1", Pattern::some_none, true, kMaxTokens, kAll, 1, false},
        {"all choices are -1", Pattern::all_none, false, kMaxTokens, 1, kAll, true},
        {"no tokens", Pattern::distinct, false, 0, kAll, kAll, false},
        {"one token", Pattern::distinct, false, 1, kAll, kAll, true},
        {"all to the last rank", Pattern::one_rank, false, kMaxTokens, kAll, kAll, false},
        {"all to one expert", Pattern::one_expert, false, kMaxTokens, kFew, kFew, true},
        {"indices outside the experts", Pattern::bad, false, kMaxTokens - 1, kAll, kAll, false},
    };
    for (const auto& launch : {epgen::module().ll_dispatch({}), epgen::module().ll_combine({})}) {
        if (most_resident_blocks(*launch.entry) >= kAll * kNumRanks) continue;
        std::printf("%u blocks of %s can't be resident at a time on this GPU\n", kAll * kNumRanks, launch.entry->name);
        std::exit(2);
    }

    Bench bench;
    Flight flights[2];
    std::mt19937 random(17);
    for (const uint32_t first_epoch : {0u, 0u - epgen::kLlEpochStep}) {
        bench.rig.reset(first_epoch);
        bench.num_calls = 0;
        for (const Case& test : cases) {
            Flight& flight = flights[0];
            send_rows(bench, flight, test, random, kBoth);
            check_received(bench, flight);
            give_outputs(bench, flight, random);
            run_combine(bench, flight, kBoth);
            check_sums(flight);
        }
        // Halves; where the spec allows it, of two calls at once, received in either order.
        constexpr uint32_t kAtOnce = spec::kLlInFlight > 1 ? 2 : 1;
        for (size_t i = 0; i + kAtOnce <= std::size(cases); i += kAtOnce) {
            const uint32_t first = i / kAtOnce % kAtOnce;
            for (uint32_t f = 0; f < kAtOnce; ++f) send_rows(bench, flights[f], cases[i + f], random, epgen::kLlSend);
            for (uint32_t f = 0; f < kAtOnce; ++f) receive_rows(bench, flights[f ^ first]);
            for (uint32_t f = 0; f < kAtOnce; ++f) check_received(bench, flights[f]);
            for (uint32_t f = 0; f < kAtOnce; ++f) {
                give_outputs(bench, flights[f], random);
                run_combine(bench, flights[f], epgen::kLlSend);
            }
            for (uint32_t f = 0; f < kAtOnce; ++f) run_combine(bench, flights[f ^ first], epgen::kLlReceive);
            for (uint32_t f = 0; f < kAtOnce; ++f) check_sums(flights[f]);
        }
    }
    for (const uint32_t grid : {kAll, 1u}) {
        run_without_last_rank(bench, flights[0], epgen::Op::ll_dispatch, grid);
        run_without_last_rank(bench, flights[0], epgen::Op::ll_combine, grid);
    }
    // After a fault and a reset everything works again.
    bench.num_calls = 0;
    send_rows(bench, flights[0], cases[0], random, kBoth);
    check_received(bench, flights[0]);
    give_outputs(bench, flights[0], random);
    run_combine(bench, flights[0], kBoth);
    check_sums(flights[0]);
}

}  // namespace

int main(int argc, char** argv) {
    for (int i = 1; i + 1 < argc; i += 2) {
        if (std::strcmp(argv[i], "--deadline-ms") == 0) deadline_ns = std::strtoull(argv[i + 1], nullptr, 10) * 1000000;
    }
    const auto start = std::chrono::steady_clock::now();
    run_all();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    std::printf("%s, low-latency calls of all ranks on one GPU: %d passed, %d failed in %.1f s\n", epgen::module().name,
                num_passed, num_failed, seconds.count());
    return num_failed == 0 ? 0 : 1;
}
