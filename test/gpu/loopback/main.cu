// Runs a spec's kernels for all ranks on one GPU, through their loopback entries, and compares every result with the
// model, bit for bit. Prints `N passed, N failed`; the exit status is 0 when none failed.
//
//   loopback [--deadline-ms N] [--max-tokens N]
//
// Sanitizers and profilers run this program: kernels of one rank a GPU can't be run under them.

#include <algorithm>
#include <chrono>
#include <random>
#include <string>

#include "rig.hpp"
#include "verify/model.hpp"

namespace {

static_assert(spec::kRowBytes == 2 * spec::kHidden && spec::kCombineRowBytes == 2 * spec::kHidden,
              "this program knows bf16 rows only");
static_assert(spec::kControl.offset_bytes == 0, "a window begins with its control words");

constexpr uint32_t kNumRanks = spec::kNumRanks;
constexpr model::Shape kShape{kNumRanks,     spec::kNumExperts, spec::kNumTopk,         spec::kNumChannels,
                              spec::kHidden, spec::kRowBytes,   spec::kMaxTokensPerRank};

uint64_t deadline_ns = 20'000'000'000;
int num_passed = 0;
int num_failed = 0;

void check(bool ok, const std::string& what) {
    ++(ok ? num_passed : num_failed);
    if (!ok) std::printf("FAILED %s\n", what.c_str());
}

template <class T>
void check_equal(const std::vector<T>& seen, const std::vector<T>& expected, const std::string& what) {
    const size_t count = std::min(seen.size(), expected.size());
    size_t i = 0;
    while (i < count && seen[i] == expected[i]) ++i;
    const bool ok = i == count && seen.size() == expected.size();
    const std::string where = i < count ? " [" + std::to_string(i) + "]: expected " + std::to_string(expected[i]) +
                                              ", received " + std::to_string(seen[i])
                                        : "";
    check(ok, what + where);
}

// Routings.

enum class Pattern { distinct, duplicates, some_none, all_none, one_rank, one_expert, none_to_self, bad };

struct Case {
    const char* name;
    Pattern pattern;
    bool is_unequal;            // one rank without tokens, one with all, the others between
    uint32_t num_tokens;
    uint32_t dispatch_grid;
    uint32_t combine_grid;
    bool combines_in_place;     // in the receive buffer instead of the output region
};

std::vector<uint8_t> random_rows(std::mt19937& random, size_t num_rows) {
    std::vector<uint8_t> rows(num_rows * spec::kRowBytes);
    for (uint8_t& byte : rows) byte = static_cast<uint8_t>(random());
    return rows;
}

int64_t random_expert(std::mt19937& random, Pattern pattern, uint32_t rank) {
    const uint32_t num_local = kShape.num_local_experts();
    const int64_t any = random() % spec::kNumExperts;
    switch (pattern) {
        case Pattern::distinct: return any;
        case Pattern::duplicates: return random() % 3;
        case Pattern::some_none: return random() % 3 ? any : -1;
        case Pattern::all_none: return -1;
        case Pattern::one_rank: return int64_t{kNumRanks - 1} * num_local + random() % num_local;
        case Pattern::one_expert: return spec::kNumExperts / 2;
        case Pattern::none_to_self: return any / num_local == rank ? -1 : any;
        case Pattern::bad: return random() % 7 ? any : (random() % 2 ? spec::kNumExperts : -7 - any);
    }
    return -1;
}

std::vector<model::Input> make_inputs(const Case& test, std::mt19937& random) {
    std::vector<model::Input> inputs(kNumRanks);
    const uint32_t empty_rank = random() % kNumRanks;
    for (uint32_t rank = 0; rank < kNumRanks; ++rank) {
        model::Input& input = inputs[rank];
        input.num_tokens = test.num_tokens;
        if (test.is_unequal && rank != (empty_rank + 1) % kNumRanks) {
            input.num_tokens = rank == empty_rank ? 0 : random() % (test.num_tokens + 1);
        }
        input.x = random_rows(random, input.num_tokens);
        for (uint32_t token_idx = 0; token_idx < input.num_tokens; ++token_idx) {
            const size_t first = input.topk_idx.size();
            while (input.topk_idx.size() < first + spec::kNumTopk) {
                const int64_t expert = random_expert(random, test.pattern, rank);
                const auto begin = input.topk_idx.begin() + first;
                const bool is_repeated = std::find(begin, input.topk_idx.end(), expert) != input.topk_idx.end();
                if (test.pattern == Pattern::distinct && is_repeated) continue;
                input.topk_idx.push_back(expert);
                input.topk_weights.push_back(random());
            }
        }
    }
    return inputs;
}

// Calls.

epgen::Launch dispatch_launch(Rig& rig, uint32_t rank_idx, uint32_t num_tokens, uint32_t grid, uint32_t buffer_idx,
                              uint32_t tag, uint64_t wait_ns) {
    const RankMemory& rank = rig.ranks[rank_idx];
    epgen::DispatchCall call{};
    call.mode = epgen::DispatchMode::topk;
    call.rank_idx = rank_idx;
    call.num_tokens = num_tokens;
    call.grid = grid;
    call.buffer_idx = buffer_idx;
    call.record_tag = tag;
    call.expert_alignment = 1;
    call.deadline_ns = wait_ns;
    call.x = rank.x;
    call.topk_idx = rank.topk_idx;
    call.topk_weights = rank.topk_weights;
    call.handle = rank.handle;
    call.record = rank.record;
    call.fault = rank.fault;
    for (uint32_t peer = 0; peer < kNumRanks; ++peer) call.window[peer] = rig.ranks[peer].window;
    return epgen::module().dispatch(call);
}

epgen::Launch combine_launch(Rig& rig, uint32_t rank_idx, uint32_t num_tokens, uint32_t grid, uint64_t input_offset,
                             uint64_t wait_ns) {
    const RankMemory& rank = rig.ranks[rank_idx];
    epgen::CombineCall call{};
    call.rank_idx = rank_idx;
    call.num_tokens = num_tokens;
    call.grid = grid;
    call.deadline_ns = wait_ns;
    call.input_offset = input_offset;
    call.handle = rank.handle;
    call.out = rank.out;
    call.fault = rank.fault;
    for (uint32_t peer = 0; peer < kNumRanks; ++peer) call.window[peer] = rig.ranks[peer].window;
    return epgen::module().combine(call);
}

void upload_inputs(Rig& rig, const std::vector<model::Input>& inputs) {
    for (uint32_t rank = 0; rank < kNumRanks; ++rank) {
        upload(rig.ranks[rank].x, inputs[rank].x);
        upload(rig.ranks[rank].topk_idx, inputs[rank].topk_idx);
        upload(rig.ranks[rank].topk_weights, inputs[rank].topk_weights);
    }
}

template <class T>
void poison_region(std::byte* window, epgen::Region<T> region, uint32_t buffer_idx) {
    CHECK_CUDA(cudaMemset(window + region.offset_bytes + buffer_idx * region.stride_bytes, kPoison,
                          region.count * sizeof(T)));
}

template <class T>
std::vector<T> region(const RankMemory& rank, epgen::Region<T> region, uint32_t buffer_idx, size_t count) {
    return download<T>(rank.window + region.offset_bytes + buffer_idx * region.stride_bytes, count);
}

/// Whether the elements of a buffer from `first` on are as they were before the call; looks at no more than 64 KiB.
template <class T>
bool is_untouched_from(const RankMemory& rank, epgen::Region<T> from, uint32_t buffer_idx, size_t first) {
    const size_t count = std::min<size_t>(from.count - first, 65536 / sizeof(T));
    const std::byte* data = rank.window + from.offset_bytes + buffer_idx * from.stride_bytes + first * sizeof(T);
    const auto bytes = download<uint8_t>(data, count * sizeof(T));
    return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == kPoison; });
}

// Checks.

void check_no_fault(Rig& rig, const std::string& what) {
    for (uint32_t rank = 0; rank < kNumRanks; ++rank) {
        const epgen::FaultRecord& fault = *rig.ranks[rank].fault;
        check(fault.state == 0, what + ", rank " + std::to_string(rank) + ": gave up waiting for " +
                                    epgen::phase_name(fault.phase) + " of rank " + std::to_string(fault.peer_idx));
    }
}

void check_bad_choice(const epgen::CountRecord& record, const model::Input& input, int64_t first_bad,
                      const std::string& what) {
    if (first_bad < 0) return check(record.bad_token_idx == epgen::kNoToken, what + "record.bad_token_idx");
    check(record.bad_token_idx == first_bad / spec::kNumTopk && record.bad_choice_idx == first_bad % spec::kNumTopk &&
              record.bad_value == input.topk_idx[first_bad],
          what + "record of the first bad choice");
}

void run_layout(Rig& rig, const Case& test, const std::vector<model::Input>& inputs, uint32_t tag) {
    std::vector<epgen::Launch> launches;
    for (uint32_t i = 0; i < kNumRanks; ++i) {
        const RankMemory& rank = rig.ranks[i];
        rank.record->tag = 0;
        rank.record->bad_token_idx = epgen::kNoToken;
        launches.push_back(epgen::module().dispatch_layout({i, inputs[i].num_tokens, tag, rank.topk_idx,
                                                            rank.num_tokens_per_rank, rank.num_tokens_per_expert,
                                                            rank.is_token_in_rank, rank.record}));
    }
    rig.run(launches, 1);
    for (uint32_t i = 0; i < kNumRanks; ++i) {
        const RankMemory& rank = rig.ranks[i];
        const model::Layout expected = model::layout(kShape, inputs[i]);
        const std::string at = std::string(test.name) + ", rank " + std::to_string(i) + ", layout: ";
        check(rank.record->tag == tag, at + "record.tag");
        check_bad_choice(*rank.record, inputs[i], expected.first_bad_choice, at);
        check_equal(download<int32_t>(rank.num_tokens_per_rank, kNumRanks), expected.num_tokens_per_rank,
                    at + "num_tokens_per_rank");
        check_equal(download<int32_t>(rank.num_tokens_per_expert, spec::kNumExperts), expected.num_tokens_per_expert,
                    at + "num_tokens_per_expert");
        check_equal(download<uint8_t>(rank.is_token_in_rank, expected.is_token_in_rank.size()),
                    expected.is_token_in_rank, at + "is_token_in_rank");
    }
}

void check_received(const RankMemory& rank, const model::Input& input, const model::Received& expected,
                    uint32_t buffer_idx, uint32_t tag, const std::string& at) {
    const auto* counts = reinterpret_cast<const int32_t*>(rank.record + 1);
    check(rank.record->tag == tag && rank.record->num_recv_tokens == expected.num_rows, at + "record");
    check_bad_choice(*rank.record, input, model::layout(kShape, input).first_bad_choice, at);
    check_equal({counts, counts + spec::kNumLocalExperts}, expected.num_tokens_per_expert, at + "record.counts");

    const size_t num_rows = expected.num_rows;
    check_equal(region(rank, spec::kRecvX, buffer_idx, num_rows * spec::kRowBytes), expected.x, at + "x");
    check_equal(region(rank, spec::kRecvTopkIdx, buffer_idx, num_rows * spec::kNumTopk), expected.topk_idx,
                at + "topk_idx");
    check_equal(region(rank, spec::kRecvTopkWeights, buffer_idx, num_rows * spec::kNumTopk), expected.topk_weights,
                at + "topk_weights");
    check_equal(region(rank, spec::kRecvSrcIdx, buffer_idx, num_rows), expected.src_idx, at + "src_idx");
    check(is_untouched_from(rank, spec::kRecvX, buffer_idx, num_rows * spec::kRowBytes) &&
              is_untouched_from(rank, spec::kRecvTopkIdx, buffer_idx, num_rows * spec::kNumTopk) &&
              is_untouched_from(rank, spec::kRecvTopkWeights, buffer_idx, num_rows * spec::kNumTopk) &&
              is_untouched_from(rank, spec::kRecvSrcIdx, buffer_idx, num_rows),
          at + "nothing is written after the last row");

    const auto header = download<spec::HandleHeader>(rank.handle, 1)[0];
    const auto line = [](const auto& from, size_t count) { return std::vector<int32_t>(from, from + count); };
    check(header.num_recv_tokens == static_cast<int32_t>(num_rows), at + "handle.num_recv_tokens");
    check_equal(line(header.num_tokens_per_expert, spec::kNumLocalExperts), expected.num_tokens_per_expert,
                at + "handle.num_tokens_per_expert");
    check_equal(line(header.rank_prefix, kNumRanks * kNumRanks), expected.rank_prefix, at + "handle.rank_prefix");
    check_equal(line(header.channel_prefix, kNumRanks * spec::kNumChannels), expected.channel_prefix,
                at + "handle.channel_prefix");
    check_equal(line(header.recv_channel_prefix, kNumRanks * spec::kNumChannels), expected.recv_channel_prefix,
                at + "handle.recv_channel_prefix");
    check_equal(download<int32_t>(rank.handle + sizeof(header), expected.slot.size()), expected.slot,
                at + "handle.slot");
}

void run_dispatch(Rig& rig, const Case& test, const std::vector<model::Input>& inputs,
                  const std::vector<model::Received>& expected, uint32_t buffer_idx, uint32_t tag) {
    std::vector<epgen::Launch> launches;
    for (uint32_t i = 0; i < kNumRanks; ++i) {
        const RankMemory& rank = rig.ranks[i];
        rank.record->tag = 0;
        rank.record->bad_token_idx = epgen::kNoToken;
        poison_region(rank.window, spec::kRecvX, buffer_idx);
        poison_region(rank.window, spec::kRecvTopkIdx, buffer_idx);
        poison_region(rank.window, spec::kRecvTopkWeights, buffer_idx);
        poison_region(rank.window, spec::kRecvSrcIdx, buffer_idx);
        CHECK_CUDA(cudaMemset(rank.handle, kPoison, rig.handle_bytes()));
        launches.push_back(
            dispatch_launch(rig, i, inputs[i].num_tokens, test.dispatch_grid, buffer_idx, tag, deadline_ns));
    }
    rig.run(launches, test.dispatch_grid);
    check_no_fault(rig, std::string(test.name) + ", dispatch");
    for (uint32_t i = 0; i < kNumRanks; ++i) {
        check_received(rig.ranks[i], inputs[i], expected[i], buffer_idx, tag,
                       std::string(test.name) + ", rank " + std::to_string(i) + ", dispatch: ");
    }
}

void run_combine(Rig& rig, const Case& test, const std::vector<model::Input>& inputs,
                 const std::vector<model::Received>& received, std::mt19937& random, uint32_t buffer_idx) {
    const auto& place = test.combines_in_place ? spec::kRecvX : spec::kOutput;
    const uint64_t offset = place.offset_bytes + buffer_idx % place.num_buffers * place.stride_bytes;
    std::vector<std::vector<uint8_t>> outputs(kNumRanks);
    std::vector<epgen::Launch> launches;
    for (uint32_t i = 0; i < kNumRanks; ++i) {
        outputs[i] = random_rows(random, received[i].num_rows);
        upload(rig.ranks[i].window + offset, outputs[i]);
        CHECK_CUDA(cudaMemset(rig.ranks[i].out, kPoison, size_t{rig.max_tokens} * spec::kCombineRowBytes));
        launches.push_back(combine_launch(rig, i, inputs[i].num_tokens, test.combine_grid, offset, deadline_ns));
    }
    rig.run(launches, test.combine_grid);
    check_no_fault(rig, std::string(test.name) + ", combine");
    std::vector<const uint8_t*> rows;
    for (const auto& rank_outputs : outputs) rows.push_back(rank_outputs.data());
    std::vector<uint8_t> expected;
    for (uint32_t i = 0; i < kNumRanks; ++i) {
        model::combine(kShape, received[i], rows, {}, expected);
        check_equal(download<uint8_t>(rig.ranks[i].out, expected.size()), expected,
                    std::string(test.name) + ", rank " + std::to_string(i) + ", combine: out");
    }
}

/// The last rank takes part in an exchange of its own, so nobody hears of it: all must leave, with a record each.
void run_without_last_rank(Rig& rig, epgen::Op op, uint32_t grid) {
    constexpr uint64_t kShortWaitNs = 50'000'000;
    constexpr uint32_t kLastRank = kNumRanks - 1;
    rig.reset(40);
    std::vector<epgen::Launch> launches;
    for (uint32_t i = 0; i < kNumRanks; ++i) {
        launches.push_back(op == epgen::Op::dispatch
                               ? dispatch_launch(rig, i, rig.max_tokens, grid, 0, 1, kShortWaitNs)
                               : combine_launch(rig, i, 0, grid, spec::kOutput.offset_bytes, kShortWaitNs));
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

void run_all(uint32_t max_tokens) {
    constexpr uint32_t kAll = spec::kNumChannels;
    constexpr uint32_t kFew = spec::kNumChannels > 1 ? spec::kNumChannels - 1 : 1;
    const Case cases[] = {
        {"distinct experts", Pattern::distinct, false, max_tokens, kAll, kAll, false},
        {"one block a rank", Pattern::distinct, false, max_tokens, 1, 1, true},
        {"unequal token counts", Pattern::distinct, true, max_tokens, kFew, kAll, true},
        {"repeated experts", Pattern::duplicates, false, max_tokens / 2 + 1, kAll, kFew, false},
        {"some choices are -1", Pattern::some_none, true, max_tokens, kAll, 1, true},
        {"all choices are -1", Pattern::all_none, false, max_tokens, 1, kAll, false},
        {"no tokens", Pattern::distinct, false, 0, kAll, kAll, false},
        {"one token", Pattern::distinct, false, 1, kAll, kAll, true},
        {"all to the last rank", Pattern::one_rank, false, max_tokens, kAll, kAll, false},
        {"all to one expert", Pattern::one_expert, false, max_tokens, kFew, kFew, true},
        {"none to itself", Pattern::none_to_self, false, max_tokens, kAll, kAll, false},
        {"indices outside the experts", Pattern::bad, false, max_tokens - 1, kAll, kAll, false},
    };
    for (const auto& launch : {epgen::module().dispatch({}), epgen::module().combine({})}) {
        if (most_resident_blocks(*launch.entry) >= kAll * kNumRanks) continue;
        std::printf("%u blocks of %s can't be resident at a time on this GPU\n", kAll * kNumRanks, launch.entry->name);
        std::exit(2);
    }

    Rig rig(max_tokens);
    std::mt19937 random(17);
    uint32_t num_calls = 0;
    for (const uint32_t first_epoch : {0u, 0xfffffffau}) {
        rig.reset(first_epoch);
        for (const Case& test : cases) {
            const uint32_t buffer_idx = num_calls % spec::kNumRecvBuffers;
            const uint32_t tag = ++num_calls;
            const auto inputs = make_inputs(test, random);
            const auto received = model::dispatch(kShape, inputs);
            upload_inputs(rig, inputs);
            run_layout(rig, test, inputs, tag);
            run_dispatch(rig, test, inputs, received, buffer_idx, tag);
            run_combine(rig, test, inputs, received, random, buffer_idx);
        }
    }
    if (kNumRanks == 1) return;
    for (const uint32_t grid : {kAll, 1u}) {
        run_without_last_rank(rig, epgen::Op::dispatch, grid);
        run_without_last_rank(rig, epgen::Op::combine, grid);
    }
    // After a fault and a reset everything works again.
    const auto inputs = make_inputs(cases[0], random);
    const auto received = model::dispatch(kShape, inputs);
    upload_inputs(rig, inputs);
    run_dispatch(rig, cases[0], inputs, received, 0, ++num_calls);
    run_combine(rig, cases[0], inputs, received, random, 0);
}

}  // namespace

int main(int argc, char** argv) {
    uint32_t max_tokens = std::min(spec::kMaxTokensPerRank, 257u);
    for (int i = 1; i + 1 < argc; i += 2) {
        if (std::strcmp(argv[i], "--deadline-ms") == 0) deadline_ns = std::strtoull(argv[i + 1], nullptr, 10) * 1000000;
        if (std::strcmp(argv[i], "--max-tokens") == 0) max_tokens = std::strtoul(argv[i + 1], nullptr, 10);
    }
    const auto start = std::chrono::steady_clock::now();
    run_all(max_tokens);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    std::printf("%s, all ranks on one GPU: %d passed, %d failed in %.1f s\n", epgen::module().name, num_passed,
                num_failed, seconds.count());
    return num_failed == 0 ? 0 : 1;
}
