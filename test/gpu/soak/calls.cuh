// What stands beside the calls of a pair on each rank's stream: inputs, expert outputs, delays, and checks that compare
// every result with what traffic.cuh says and leave poison behind.
#pragma once

#include <cuda_bf16.h>

#include <type_traits>

#include "traffic.cuh"

namespace soak {

using Index = std::remove_const_t<std::remove_pointer_t<decltype(spec::LlDispatchArgs::topk_idx)>>;

constexpr uint32_t kPoison = 0xa5a5a5a5u;
constexpr uint32_t kLanes = 32;
constexpr uint32_t kThreads = 256;
constexpr uint32_t kAllLanes = 0xffffffffu;

enum class Result : uint32_t { none, row, scale, source, beyond, count, range, sum, beyond_sums };

constexpr const char* result_name(Result result) {
    switch (result) {
        case Result::none: return "nothing";
        case Result::row: return "dispatch x [local expert, row, word]";
        case Result::scale: return "dispatch scale [local expert, row, block]";
        case Result::source: return "dispatch source [local expert, row]";
        case Result::beyond: return "dispatch wrote behind the last row [local expert, row]";
        case Result::count: return "dispatch count [local expert]";
        case Result::range: return "dispatch layout range [local expert, source]";
        case Result::sum: return "combine out [token, word]";
        case Result::beyond_sums: return "combine wrote behind the last token [token]";
    }
    return "unknown";
}

/// The first value of a rank that was wrong.
struct Mismatch {
    Result result;
    uint32_t pair_idx;
    uint32_t at[3];
    uint64_t expected, seen;
};

/// What a rank has seen so far, in its device's memory.
struct Tally {
    uint32_t num_pairs;  // of batches that have ended
    uint32_t num_delays;
    uint32_t has_mismatch;
    unsigned long long delay_ns;
    unsigned long long num_values;  // that were compared
    unsigned long long num_mismatches;
    Mismatch first;
};

/// One pair on one rank, by its place in a batch.
struct Task {
    uint64_t seed;
    Tally* tally;
    uint32_t offset;  // among the batch's pairs
    uint32_t rank;
    uint32_t num_tokens[kNumRanks];
};

/// Where the rows of this rank's experts come from.
struct Sources {
    uint32_t count[kNumLocalExperts][kNumRanks];
    uint32_t total[kNumLocalExperts];
    uint32_t of[kNumLocalExperts][kMaxRows];  // source << 16 | token
};

__device__ inline Pair pair_of(const Task& task) {
    Pair pair{task.seed, task.tally->num_pairs + task.offset, {}};
    for (uint32_t r = 0; r < kNumRanks; ++r) pair.num_tokens[r] = task.num_tokens[r];
    return pair;
}

/// This thread's warp among those of the launch, and its lane.
struct Place {
    uint32_t warp, num_warps, lane;
};

__device__ inline Place place() {
    const uint32_t thread = blockIdx.x * blockDim.x + threadIdx.x;
    return {thread / kLanes, gridDim.x * blockDim.x / kLanes, thread % kLanes};
}

__device__ inline float max_of_warp(float value) {
    for (uint32_t distance = kLanes / 2; distance > 0; distance /= 2) {
        value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, distance));
    }
    return value;
}

/// Compares values, and keeps count; one warp's, each lane for itself.
class Comparison {
public:
    __device__ explicit Comparison(const Task& task, uint32_t pair_idx) : tally_(task.tally), pair_idx_(pair_idx) {}

    __device__ void expect(uint64_t seen, uint64_t expected, Result result, uint32_t a, uint32_t b = 0,
                           uint32_t c = 0) {
        ++num_values_;
        if (seen == expected) return;
        atomicAdd(&tally_->num_mismatches, 1ull);
        if (atomicExch(&tally_->has_mismatch, 1u) == 0) tally_->first = {result, pair_idx_, {a, b, c}, expected, seen};
    }

    /// By all lanes, at the end.
    __device__ void count(uint32_t lane) {
        for (uint32_t distance = kLanes / 2; distance > 0; distance /= 2) {
            num_values_ += __shfl_xor_sync(kAllLanes, num_values_, distance);
        }
        if (lane == 0) atomicAdd(&tally_->num_values, static_cast<unsigned long long>(num_values_));
    }

private:
    Tally* tally_;
    uint32_t pair_idx_;
    uint32_t num_values_ = 0;
};

/// Two elements as fp8, the first in the lower byte.
__device__ inline uint32_t cast_word(uint32_t word, float factor) {
    return fp8_of(float_of(word << 16) * factor) | fp8_of(float_of(word & 0xffff0000u) * factor) << 8;
}

struct DrawArgs {
    Task task;
    uint32_t* x;
    Index* topk_idx;
    uint32_t* topk_weights;
    uint32_t* handle;
    uint32_t num_handle_words;
    Sources* sources;
};

/// Lists the tokens that choose one of this rank's experts, in the order in which they must arrive.
__device__ inline void list_sources(const Pair& pair, uint32_t rank, uint32_t local_expert, uint32_t lane,
                                    Sources& sources) {
    uint32_t row = 0;
    for (uint32_t source = 0; source < kNumRanks; ++source) {
        const uint32_t first_row = row;
        for (uint32_t first = 0; first < kMaxTokens; first += kLanes) {
            const uint32_t token = first + lane;
            const bool comes = chooses(pair, source, token, rank * kNumLocalExperts + local_expert);
            const uint32_t mask = __ballot_sync(kAllLanes, comes);
            if (comes) sources.of[local_expert][row + __popc(mask & ((1u << lane) - 1))] = source << 16 | token;
            row += __popc(mask);
        }
        if (lane == 0) sources.count[local_expert][source] = row - first_row;
    }
    if (lane == 0) sources.total[local_expert] = row;
}

/// Draws what a rank sends, poisons the handle, and lists what it must receive.
__global__ void __launch_bounds__(kThreads) draw(const __grid_constant__ DrawArgs args) {
    const Pair pair = pair_of(args.task);
    const uint32_t rank = args.task.rank, num_tokens = pair.num_tokens[rank];
    const auto [warp, num_warps, lane] = place();
    for (uint32_t i = warp * kLanes + lane; i < args.num_handle_words; i += num_warps * kLanes) {
        args.handle[i] = kPoison;
    }
    for (uint32_t item = warp; item < num_tokens + kNumLocalExperts; item += num_warps) {
        if (item >= num_tokens) {
            list_sources(pair, rank, item - num_tokens, lane, *args.sources);
            continue;
        }
        const uint32_t key = row_key(pair, rank, item);
        for (uint32_t word = lane; word < kRowWords; word += kLanes) {
            args.x[item * kRowWords + word] = row_word(key, word);
        }
        for (uint32_t k = lane; k < kNumTopk; k += kLanes) {
            args.topk_idx[item * kNumTopk + k] = static_cast<Index>(expert_of(pair, rank, item, k));
            args.topk_weights[item * kNumTopk + k] = weight_bits(pair, rank, item, k);
        }
    }
}

struct RowsArgs {
    Task task;
    const Sources* sources;
    const spec::LlHandleHeader* handle;
    uint8_t* x;
    uint32_t* scales;
    int32_t* src_idx;
};

__device__ inline void check_row(const RowsArgs& args, Comparison& all, uint32_t key, uint32_t local_expert,
                                 uint32_t row, uint32_t lane) {
    auto* words = reinterpret_cast<uint32_t*>(args.x + (size_t{local_expert} * kMaxRows + row) * spec::kLlRowBytes);
    for (uint32_t word = lane; word < kRowWords; word += kLanes) {
        all.expect(words[word], row_word(key, word), Result::row, local_expert, row, word);
        words[word] = kPoison;
    }
}

__device__ inline void check_cast_row(const RowsArgs& args, Comparison& all, uint32_t key, uint32_t local_expert,
                                      uint32_t row, uint32_t lane) {
    constexpr uint32_t kWords = kBlockWords / kLanes;
    auto* pairs = reinterpret_cast<uint16_t*>(args.x + (size_t{local_expert} * kMaxRows + row) * spec::kLlRowBytes);
    for (uint32_t block = 0; block < kNumBlocks; ++block) {
        uint32_t words[kWords];
        float amax = 0;
        for (uint32_t i = 0; i < kWords; ++i) {
            words[i] = row_word(key, block * kBlockWords + i * kLanes + lane);
            amax = fmaxf(amax, fmaxf(fabsf(float_of(words[i] << 16)), fabsf(float_of(words[i] & 0xffff0000u))));
        }
        const Scale scale = scale_of(max_of_warp(amax), kRoundsScales);
        for (uint32_t i = 0; i < kWords; ++i) {
            const uint32_t word = block * kBlockWords + i * kLanes + lane;
            all.expect(pairs[word], cast_word(words[i], scale.factor), Result::row, local_expert, row, word);
            pairs[word] = static_cast<uint16_t>(kPoison);
        }
        if (lane > 0) continue;
        uint32_t& seen = args.scales[scale_word_at(local_expert, row, kPacksScales ? block / 4 : block)];
        const uint32_t bits = bits_of(scale.scale);
        if (kPacksScales) {
            all.expect(seen >> block % 4 * 8 & 0xff, bits >> 23, Result::scale, local_expert, row, block);
        } else {
            all.expect(seen, bits, Result::scale, local_expert, row, block);
        }
        if (!kPacksScales || block % 4 == 3) seen = kPoison;
    }
}

/// Compares counts and ranges of one expert.
__device__ inline void check_counts(const RowsArgs& args, Comparison& all, uint32_t local_expert) {
    uint64_t first = 0;
    for (uint32_t source = 0; source < kNumRanks; ++source) {
        const uint32_t count = args.sources->count[local_expert][source];
        const auto range = static_cast<uint64_t>(args.handle->layout_range[local_expert * kNumRanks + source]);
        all.expect(range, first << 32 | count, Result::range, local_expert, source);
        first += count;
    }
    all.expect(args.handle->num_tokens_per_expert[local_expert], first, Result::count, local_expert);
}

/// Looks at the ends of a row that nobody may write.
__device__ inline void check_beyond(const RowsArgs& args, Comparison& all, uint32_t item) {
    const auto* words = reinterpret_cast<const uint32_t*>(args.x + size_t{item} * spec::kLlRowBytes);
    const uint32_t local_expert = item / kMaxRows, row = item % kMaxRows;
    all.expect(words[0], kPoison, Result::beyond, local_expert, row);
    all.expect(words[spec::kLlRowBytes / 4 - 1], kPoison, Result::beyond, local_expert, row);
    all.expect(static_cast<uint32_t>(args.src_idx[item]), kPoison, Result::beyond, local_expert, row);
}

/// Compares what a dispatch gave with what it had to, and poisons it.
__global__ void __launch_bounds__(kThreads) check_rows(const __grid_constant__ RowsArgs args) {
    constexpr uint32_t kNumItems = kNumLocalExperts * kMaxRows;
    const Pair pair = pair_of(args.task);
    const auto [warp, num_warps, lane] = place();
    const Sources& sources = *args.sources;
    Comparison all(args.task, pair.idx);
    for (uint32_t expert = warp; expert < kNumLocalExperts; expert += num_warps) {
        if (lane == 0) check_counts(args, all, expert);
    }
    for (uint32_t item = warp * kLanes + lane; item < kNumItems; item += num_warps * kLanes) {
        if (item % kMaxRows >= sources.total[item / kMaxRows]) check_beyond(args, all, item);
    }
    __syncwarp();
    for (uint32_t item = warp; item < kNumItems; item += num_warps) {
        const uint32_t local_expert = item / kMaxRows, row = item % kMaxRows;
        if (row >= sources.total[local_expert]) continue;
        const uint32_t from = sources.of[local_expert][row];
        const uint32_t source = from >> 16, token = from & 0xffff, key = row_key(pair, source, token);
        if constexpr (kCastsRows) {
            check_cast_row(args, all, key, local_expert, row, lane);
        } else {
            check_row(args, all, key, local_expert, row, lane);
        }
        if (lane > 0) continue;
        all.expect(args.src_idx[item], token, Result::source, local_expert, row);
        args.src_idx[item] = static_cast<int32_t>(kPoison);
    }
    all.count(lane);
}

struct OutputsArgs {
    Task task;
    const Sources* sources;
    uint32_t* y;  // [local expert][row][kRowWords]
};

/// The experts' work: what they make of each row.
__global__ void __launch_bounds__(kThreads) write_outputs(const __grid_constant__ OutputsArgs args) {
    const Pair pair = pair_of(args.task);
    const auto [warp, num_warps, lane] = place();
    for (uint32_t item = warp; item < kNumLocalExperts * kMaxRows; item += num_warps) {
        const uint32_t local_expert = item / kMaxRows, row = item % kMaxRows;
        if (row >= args.sources->total[local_expert]) continue;
        const uint32_t from = args.sources->of[local_expert][row];
        const uint32_t key =
            output_key(pair, args.task.rank * kNumLocalExperts + local_expert, from >> 16, from & 0xffff);
        for (uint32_t word = lane; word < kRowWords; word += kLanes) {
            args.y[size_t{item} * kRowWords + word] = output_word(key, word);
        }
    }
}

struct SumsArgs {
    Task task;
    uint32_t* out;  // [token][kRowWords]
};

/// The bf16 bits of a sum, rounded once.
__device__ inline uint32_t rounded(float sum) { return __bfloat16_as_ushort(__float2bfloat16_rn(sum)); }

/// What one expert adds to a lane's elements of a block.
__device__ inline void add_output(uint32_t key, uint32_t block, uint32_t lane, float weight,
                                  float (&sums)[kBlockWords / kLanes][2]) {
    constexpr uint32_t kWords = kBlockWords / kLanes;
    uint32_t words[kWords];
    float amax = 0;
    for (uint32_t i = 0; i < kWords; ++i) {
        words[i] = output_word(key, block * kBlockWords + i * kLanes + lane);
        amax = fmaxf(amax, fmaxf(fabsf(float_of(words[i] << 16)), fabsf(float_of(words[i] & 0xffff0000u))));
    }
    Scale scale{};
    if (kCastsOutputs) scale = scale_of(max_of_warp(amax), /*rounds=*/false);
    for (uint32_t i = 0; i < kWords; ++i) {
        float lo = float_of(words[i] << 16), hi = float_of(words[i] & 0xffff0000u);
        if (kCastsOutputs) {
            const uint32_t cast = cast_word(words[i], scale.factor);
            lo = float_of_fp8(cast & 0xff) * scale.scale;
            hi = float_of_fp8(cast >> 8) * scale.scale;
        }
        sums[i][0] = fmaf(weight, lo, sums[i][0]);
        sums[i][1] = fmaf(weight, hi, sums[i][1]);
    }
}

/// Compares what a combine gave with what it had to, and poisons it.
__global__ void __launch_bounds__(kThreads) check_sums(const __grid_constant__ SumsArgs args) {
    constexpr uint32_t kWords = kBlockWords / kLanes;
    const Pair pair = pair_of(args.task);
    const uint32_t rank = args.task.rank;
    const auto [warp, num_warps, lane] = place();
    Comparison all(args.task, pair.idx);
    for (uint32_t token = warp; token < kMaxTokens; token += num_warps) {
        uint32_t* out = args.out + size_t{token} * kRowWords;
        if (token >= pair.num_tokens[rank]) {
            for (uint32_t word = lane; word < kRowWords; word += kLanes) {
                all.expect(out[word], kPoison, Result::beyond_sums, token);
            }
            continue;
        }
        for (uint32_t block = 0; block < kNumBlocks; ++block) {
            float sums[kWords][2] = {};
            for (uint32_t k = 0; k < kNumTopk; ++k) {
                const int64_t expert = expert_of(pair, rank, token, k);
                if (!names_expert(expert)) continue;
                const uint32_t key = output_key(pair, static_cast<uint32_t>(expert), rank, token);
                add_output(key, block, lane, float_of(weight_bits(pair, rank, token, k)), sums);
            }
            for (uint32_t i = 0; i < kWords; ++i) {
                const uint32_t word = block * kBlockWords + i * kLanes + lane;
                const uint32_t expected = rounded(sums[i][0]) | rounded(sums[i][1]) << 16;
                all.expect(out[word], expected, Result::sum, token, word);
                out[word] = kPoison;
            }
        }
    }
    all.count(lane);
}

__device__ inline uint64_t clock_ns() {
    uint64_t now;
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
    return now;
}

struct DelayArgs {
    Task task;
    uint32_t place;  // which of the pair's delays
};

/// Holds the rank back: half of the times for up to 0.5 ms, else for up to 20 us.
__global__ void __launch_bounds__(1) hold_back(const __grid_constant__ DelayArgs args) {
    const uint64_t start = clock_ns();
    const uint32_t key = key_of(pair_of(args.task), Draw::delay, args.task.rank, args.place);
    const uint32_t ns = word_of(key, 0) % (word_of(key, 1) % 2 ? 500'000 : 20'000);
    while (clock_ns() - start < ns) __nanosleep(100);
    args.task.tally->num_delays += 1;
    args.task.tally->delay_ns += ns;
}

struct EndArgs {
    Tally* tally;
    uint32_t num_pairs;
};

__global__ void __launch_bounds__(1) end_batch(const __grid_constant__ EndArgs args) {
    args.tally->num_pairs += args.num_pairs;
}

}  // namespace soak
