// A litmus program on GPUs: many instances a launch, again and again, in fresh words each round.
//
// A group of blocks, one per role, meets before every round, and each warp then waits for a moment of its own. Blocks
// that play no role hammer memory. Nothing spins for longer than its deadline: whoever gives up tells everyone through
// the abort words of the windows, and all leave at their next meeting.
#pragma once

#include "outcome.hpp"

namespace epgen::litmus {

struct LaunchArgs {
    Args args;
    uint32_t num_groups;
    uint32_t num_rounds;
    uint32_t blocks_a_group;     // on all GPUs together
    uint32_t max_delay_cycles;   // of a warp before a round
    uint32_t seed;
    uint32_t stress_accesses;    // of a thread of a block without a role
    uint32_t* meetings;          // [num_groups], a line each
    uint32_t* scratch;           // [kScratchWords]
};
constexpr uint32_t kMeetingStride = kLineBytes / sizeof(uint32_t);
constexpr uint32_t kScratchWords = 1 << 20;

EPGEN_HOST_DEVICE uint32_t mixed(uint32_t value) {
    value = (value ^ value >> 16) * 0x7feb352du;
    value = (value ^ value >> 15) * 0x846ca68bu;
    return value ^ value >> 16;
}

#if defined(__CUDACC__)

/// All blocks of a group come, or false; the block itself is together. Relaxed: a meeting orders nothing that a program
/// does.
EPGEN_DEVICE bool meet_group(const LaunchArgs& launch, uint32_t round) {
    __shared__ uint32_t has_met;
    if (thread_idx() == 0) {
        const Call call = launch.args.call();
        uint32_t* word = launch.meetings + launch.args.group_idx() * kMeetingStride;
        asm volatile("red.relaxed.sys.global.add.u32 [%0], %1;" ::"l"(word), "r"(1u) : "memory");
        has_met = wait_relaxed_sys(call, kSite, make_local(word, 1, "meeting"),
                                   AtLeast{launch.blocks_a_group * (round + 1)})
                      .ok;
    }
    sync_block();
    return has_met != 0;
}

EPGEN_DEVICE void delay(const LaunchArgs& launch, uint32_t round) {
    const uint32_t draw = mixed(launch.seed ^ mixed(round ^ mixed(block_idx() * 8 + warp_idx())));
    const int64_t cycles = draw % (launch.max_delay_cycles + 1);
    const int64_t start = clock64();
    while (clock64() - start < cycles) {
    }
}

EPGEN_DEVICE void stress(const LaunchArgs& launch) {
    uint32_t at = mixed(launch.seed + block_idx() * num_threads() + thread_idx());
    for (uint32_t count = 0; count < launch.stress_accesses; ++count) {
        at = mixed(at + count);
        uint32_t* word = launch.scratch + at % kScratchWords;
        if (at >> 30 == 0) {
            atomicAdd(word, 1u);
        } else if (at >> 31 == 0) {
            *static_cast<volatile uint32_t*>(word) = at;
        } else {
            at ^= *static_cast<volatile uint32_t*>(word);
        }
    }
}

template <class Program>
__global__ void __launch_bounds__(kMaxRoles * 64) litmus_kernel(const __grid_constant__ LaunchArgs launch) {
    const Args& args = launch.args;
    if (block_idx() >= launch.num_groups * args.num_launch_roles) return stress(launch);
    if (Program::shape.uses_shared) init_mbarriers(args);
    for (uint32_t round = 0; round < launch.num_rounds; ++round) {
        begin_round<Program>();
        if (!meet_group(launch, round)) return;
        delay(launch, round);
        play<Program>(args, (uint64_t{round} * launch.num_groups + args.group_idx()) * args.num_lanes, round);
    }
}

/// What tally needs of a program: the register's word in the end, or kNoWord.
struct Finals {
    int word[kMaxRegisters];
};

/// Counts the outcomes of all instances. Registers are 0 in the windows whose rank doesn't set them.
__global__ void tally(const __grid_constant__ Args args, const __grid_constant__ Finals finals,
                      unsigned long long* counts) {
    __shared__ uint32_t here[kNumOutcomes];
    for (uint32_t idx = threadIdx.x; idx < kNumOutcomes; idx += blockDim.x) here[idx] = 0;
    __syncthreads();
    const uint64_t stride = uint64_t{gridDim.x} * blockDim.x;
    const uint64_t first = uint64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    for (uint64_t instance = first; instance < args.layout.num_instances; instance += stride) {
        uint32_t registers = 0;
        for (uint32_t rank_idx = 0; rank_idx < args.num_ranks; ++rank_idx) {
            registers |= *reinterpret_cast<const uint32_t*>(args.windows.base[rank_idx] +
                                                            args.layout.register_of(instance));
        }
        uint32_t outcome = 0;
        for (uint32_t idx = 0; idx < kMaxRegisters; ++idx) {
            uint64_t value = registers >> 8 * idx & 255;
            if (const int word = finals.word[idx]; word != kNoWord) {
                value = *reinterpret_cast<const uint64_t*>(args.windows.base[args.home_of_word[word]] +
                                                           args.layout.word(word, instance));
            }
            outcome |= clamped(value) << 2 * idx;
        }
        atomicAdd(&here[outcome], 1u);
    }
    __syncthreads();
    for (uint32_t idx = threadIdx.x; idx < kNumOutcomes; idx += blockDim.x) {
        if (here[idx] > 0) atomicAdd(&counts[idx], static_cast<unsigned long long>(here[idx]));
    }
}

#endif

}  // namespace epgen::litmus
