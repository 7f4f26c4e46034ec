// Launches litmus programs on one GPU or two, until an outcome has had its chances.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "gpu.cuh"

namespace epgen::litmus {

inline void check_cuda(cudaError_t error, const char* call, int line) {
    if (error == cudaSuccess) return;
    std::printf("%s failed in line %d: %s\n", call, line, cudaGetErrorString(error));
    std::exit(3);
}
#define CHECK_CUDA(call) check_cuda(call, #call, __LINE__)

using Clock = std::chrono::steady_clock;
inline double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// A program on a GPU.
struct Program {
    const Shape* shape;
    const void* kernel;
};

/// One test: a program in a placement.
struct Test {
    const Program* program;
    Placement placement;
    const Expectation* line;
    Histogram histogram;
    double seconds;
    bool gave_up;
};

constexpr uint64_t kWindowBytes = uint64_t{1} << 30;
constexpr uint64_t kMaxDelays[] = {0, 64, 512, 4096};
constexpr uint64_t kWordStrides[] = {8, 32, 128};

class Bench {
public:
    explicit Bench(uint32_t num_gpus) : num_gpus_(num_gpus) {
        for (uint32_t gpu = 0; gpu < num_gpus; ++gpu) {
            CHECK_CUDA(cudaSetDevice(gpu));
            for (uint32_t peer = 0; peer < num_gpus; ++peer) {
                if (peer != gpu) CHECK_CUDA(cudaDeviceEnablePeerAccess(peer, 0));
            }
            CHECK_CUDA(cudaDeviceGetAttribute(&num_sms_, cudaDevAttrMultiProcessorCount, gpu));
            CHECK_CUDA(cudaStreamCreateWithFlags(&streams_[gpu], cudaStreamNonBlocking));
            CHECK_CUDA(cudaMalloc(&windows_[gpu], kWindowBytes));
            CHECK_CUDA(cudaMalloc(&scratch_[gpu], kScratchWords * sizeof(uint32_t)));
            CHECK_CUDA(cudaMemset(scratch_[gpu], 0, kScratchWords * sizeof(uint32_t)));
            CHECK_CUDA(cudaHostAlloc(&faults_[gpu], sizeof(FaultRecord), cudaHostAllocMapped | cudaHostAllocPortable));
        }
        CHECK_CUDA(cudaSetDevice(0));
        CHECK_CUDA(cudaMalloc(&meetings_, kMaxGroups * kLineBytes));
        CHECK_CUDA(cudaMalloc(&counts_, sizeof(Histogram)));
    }

    /// Until it has `iterations` or its time is over. At least one launch.
    void run(Test& test, uint64_t iterations, double seconds) {
        const auto start = Clock::now();
        CHECK_CUDA(cudaSetDevice(0));
        CHECK_CUDA(cudaMemset(counts_, 0, sizeof(Histogram)));
        uint64_t count = 0;
        while (!test.gave_up && (count == 0 || (count < iterations && seconds_since(start) < seconds))) {
            count += launch(test);
        }
        CHECK_CUDA(cudaMemcpy(test.histogram.counts, counts_, sizeof(Histogram), cudaMemcpyDeviceToHost));
        test.seconds = seconds_since(start);
    }

private:
    static constexpr uint32_t kMaxGroups = 8192;

    /// Returns the number of instances that ran.
    uint64_t launch(Test& test) {
        const Shape& shape = *test.program->shape;
        const bool in_warps = test.placement == Placement::warps;
        const uint32_t num_lanes = in_warps ? 64 : 128;
        const uint32_t num_threads = in_warps ? num_lanes * shape.num_roles : num_lanes;
        LaunchArgs launches[2] = {};
        uint32_t blocks_a_group = 0, most_roles = 0;
        for (uint32_t gpu = 0; gpu < num_gpus_; ++gpu) {
            launches[gpu].args = args_of(shape, test.placement, gpu, num_lanes, {});
            blocks_a_group += launches[gpu].args.num_launch_roles;
            most_roles = std::max(most_roles, launches[gpu].args.num_launch_roles);
        }

        // Every launch has another shape.
        int resident = 0;
        CHECK_CUDA(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, test.program->kernel, num_threads,
                                                                 shared_bytes(shape)));
        const uint32_t capacity = resident * num_sms_;
        const uint32_t num_stress_blocks = draw(2) == 0 ? 0 : num_sms_ / 4;
        const uint32_t most_groups = std::min((capacity - num_stress_blocks) / most_roles, kMaxGroups);
        const uint32_t num_groups = draw(4) == 0 ? std::max(1u, most_groups / 8) : most_groups;
        Layout layout{0, kWordStrides[draw(3)]};
        const uint64_t bytes_an_instance = kMaxWords * layout.word_bytes + kRowBytes + kMaxRegisters;
        const auto num_rounds = static_cast<uint32_t>(std::min<uint64_t>(
            64, (kWindowBytes - 2 * kLineBytes) / bytes_an_instance / (uint64_t{num_groups} * num_lanes)));
        layout.num_instances = uint64_t{num_groups} * num_lanes * num_rounds;
        const uint32_t lane_shift = draw(num_lanes);
        const auto max_delay = static_cast<uint32_t>(kMaxDelays[draw(4)]);

        CHECK_CUDA(cudaSetDevice(0));
        CHECK_CUDA(cudaMemset(meetings_, 0, uint64_t{num_groups} * kLineBytes));
        for (uint32_t gpu = 0; gpu < num_gpus_; ++gpu) {
            CHECK_CUDA(cudaSetDevice(gpu));
            CHECK_CUDA(cudaMemset(windows_[gpu], 0, layout.window_bytes()));
            CHECK_CUDA(cudaDeviceSynchronize());
        }
        for (uint32_t gpu = 0; gpu < num_gpus_; ++gpu) {
            LaunchArgs& launch = launches[gpu];
            Args& args = launch.args;
            args.layout = layout;
            args.deadline_ns = 500'000'000;
            args.fault = faults_[gpu];
            std::memset(faults_[gpu], 0, sizeof(FaultRecord));
            for (uint32_t peer = 0; peer < num_gpus_; ++peer) args.windows.base[peer] = windows_[peer];
            args.lane_shift = lane_shift;
            launch.num_groups = num_groups;
            launch.num_rounds = num_rounds;
            launch.blocks_a_group = blocks_a_group;
            launch.max_delay_cycles = max_delay;
            launch.seed = static_cast<uint32_t>(random_());
            launch.stress_accesses = num_rounds * 32;
            launch.meetings = meetings_;
            launch.scratch = scratch_[gpu];
            if (args.num_launch_roles == 0) continue;
            CHECK_CUDA(cudaSetDevice(gpu));
            void* parameters[] = {&launch};
            CHECK_CUDA(cudaLaunchCooperativeKernel(test.program->kernel,
                                                   dim3(num_groups * args.num_launch_roles + num_stress_blocks),
                                                   dim3(num_threads), parameters, shared_bytes(shape), streams_[gpu]));
        }
        for (uint32_t gpu = 0; gpu < num_gpus_; ++gpu) {
            CHECK_CUDA(cudaSetDevice(gpu));
            CHECK_CUDA(cudaStreamSynchronize(streams_[gpu]));
            test.gave_up = test.gave_up || faults_[gpu]->state != 0;
        }
        if (test.gave_up) return 0;
        Finals finals;
        for (uint32_t idx = 0; idx < kMaxRegisters; ++idx) finals.word[idx] = shape.registers[idx].final_word;
        CHECK_CUDA(cudaSetDevice(0));
        tally<<<num_sms_ * 4, 256, 0, streams_[0]>>>(launches[0].args, finals, counts_);
        CHECK_CUDA(cudaGetLastError());
        CHECK_CUDA(cudaStreamSynchronize(streams_[0]));
        return layout.num_instances;
    }

    uint32_t draw(uint32_t bound) { return static_cast<uint32_t>(random_() % bound); }

    uint32_t num_gpus_;
    int num_sms_ = 0;
    std::mt19937 random_{1};
    cudaStream_t streams_[2] = {};
    std::byte* windows_[2] = {};
    uint32_t* scratch_[2] = {};
    FaultRecord* faults_[2] = {};
    uint32_t* meetings_ = nullptr;
    unsigned long long* counts_ = nullptr;
};

}  // namespace epgen::litmus
