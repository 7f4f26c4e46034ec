// All ranks of a spec on one GPU: their windows, their buffers, and launches of the loopback kernels.
#pragma once

#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "layout.cuh"
#include "runtime/module.hpp"

namespace spec = epgen::EPGEN_SPEC;

inline void check_cuda(cudaError_t error, const char* call, int line) {
    if (error == cudaSuccess) return;
    std::printf("%s failed in line %d: %s\n", call, line, cudaGetErrorString(error));
    std::exit(3);
}
#define CHECK_CUDA(call) check_cuda(call, #call, __LINE__)

/// Device memory that lives until the program ends.
template <class T>
T* device_memory(size_t count) {
    T* data = nullptr;
    CHECK_CUDA(cudaMalloc(&data, count * sizeof(T) + (count == 0)));
    return data;
}

template <class T>
void upload(void* to, const std::vector<T>& from) {
    if (!from.empty()) CHECK_CUDA(cudaMemcpy(to, from.data(), from.size() * sizeof(T), cudaMemcpyHostToDevice));
}

template <class T>
std::vector<T> download(const void* from, size_t count) {
    std::vector<T> to(count);
    if (count > 0) CHECK_CUDA(cudaMemcpy(to.data(), from, count * sizeof(T), cudaMemcpyDeviceToHost));
    return to;
}

/// One rank's memory. Pointers are device addresses but for `record` and `fault`, which are mapped host memory.
struct RankMemory {
    std::byte* window;
    std::byte* lonely_window;  // of an exchange that nobody else takes part in
    uint8_t* x;
    int64_t* topk_idx;
    uint32_t* topk_weights;
    std::byte* handle;
    uint8_t* out;
    int32_t* num_tokens_per_rank;
    int32_t* num_tokens_per_expert;
    uint8_t* is_token_in_rank;
    epgen::CountRecord* record;
    epgen::FaultRecord* fault;
};

/// What every byte that a call may write holds before it.
constexpr int kPoison = 0xa5;

/// Blocks of a loopback kernel that this GPU runs at a time.
inline uint32_t most_resident_blocks(const epgen::KernelEntry& entry) {
    int blocks = 0, multiprocessors = 0;
    CHECK_CUDA(cudaFuncSetAttribute(entry.loopback_function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    entry.shared_bytes));
    CHECK_CUDA(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, entry.loopback_function, entry.num_threads,
                                                             entry.shared_bytes));
    CHECK_CUDA(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0));
    return blocks * multiprocessors;
}

class Rig {
public:
    /// `max_tokens` of each rank; a spec that plans for more is given no more memory for inputs than that.
    explicit Rig(uint32_t max_tokens) : max_tokens(max_tokens) {
        for (RankMemory& rank : ranks) {
            rank.window = device_memory<std::byte>(spec::kWindowBytes);
            rank.lonely_window = device_memory<std::byte>(epgen::module().control_bytes);
            rank.x = device_memory<uint8_t>(size_t{max_tokens} * spec::kRowBytes);
            rank.topk_idx = device_memory<int64_t>(size_t{max_tokens} * spec::kNumTopk);
            rank.topk_weights = device_memory<uint32_t>(size_t{max_tokens} * spec::kNumTopk);
            rank.handle = device_memory<std::byte>(handle_bytes());
            rank.out = device_memory<uint8_t>(size_t{max_tokens} * spec::kCombineRowBytes);
            rank.num_tokens_per_rank = device_memory<int32_t>(spec::kNumRanks);
            rank.num_tokens_per_expert = device_memory<int32_t>(spec::kNumExperts);
            rank.is_token_in_rank = device_memory<uint8_t>(size_t{max_tokens} * spec::kNumRanks);
            CHECK_CUDA(cudaHostAlloc(&rank.record, spec::kRecordBytes, cudaHostAllocMapped));
            CHECK_CUDA(cudaHostAlloc(&rank.fault, sizeof(epgen::FaultRecord), cudaHostAllocMapped));
            CHECK_CUDA(cudaMemset(rank.window, kPoison, spec::kWindowBytes));
        }
        args = device_memory<std::byte>(4096 * spec::kNumRanks);
        reset(0);
    }

    size_t handle_bytes() const {
        return sizeof(spec::HandleHeader) + size_t{max_tokens} * spec::kNumRanks * sizeof(int32_t);
    }

    /// Makes all control words those of a group that has made `epoch` calls, and forgets faults.
    void reset(uint32_t epoch) {
        std::vector<std::byte> control(epgen::module().control_bytes);
        epgen::module().reset_control(control.data(), epoch);
        for (RankMemory& rank : ranks) {
            upload(rank.window, control);
            upload(rank.lonely_window, control);
            std::memset(rank.fault, 0, sizeof(epgen::FaultRecord));
        }
    }

    /// Runs one kernel for all ranks: `launches[r]` has the arguments of rank r. Returns when it has ended.
    void run(const std::vector<epgen::Launch>& launches, uint32_t grid) {
        const epgen::KernelEntry& entry = *launches[0].entry;
        const size_t args_bytes = launches[0].args.size();
        for (size_t r = 0; r < launches.size(); ++r) upload(args + r * args_bytes, launches[r].args);
        CHECK_CUDA(cudaFuncSetAttribute(entry.loopback_function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                        entry.shared_bytes));
        void* parameters[] = {&args};
        CHECK_CUDA(cudaLaunchCooperativeKernel(entry.loopback_function, dim3(grid, spec::kNumRanks),
                                               dim3(entry.num_threads), parameters, entry.shared_bytes, nullptr));
        CHECK_CUDA(cudaDeviceSynchronize());
    }

    const uint32_t max_tokens;
    RankMemory ranks[spec::kNumRanks];

private:
    std::byte* args;
};
