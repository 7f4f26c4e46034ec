// Followers beside dispatches on one GPU, all ranks of the spec on it. Each follower is launched before the dispatch
// that it follows, so that it can only end by running beside it. Prints what went wrong, and a count of what was early.
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>

#include "exchange.hpp"
#include "runtime/module.hpp"

namespace spec = epgen::EPGEN_SPEC;

namespace {

void check_cuda(cudaError_t error, const char* call, int line) {
    if (error == cudaSuccess) return;
    std::printf("%s failed in line %d: %s\n", call, line, cudaGetErrorString(error));
    std::exit(3);
}
#define CHECK_CUDA(call) check_cuda(call, #call, __LINE__)

/// Device memory that lives until the program ends.
std::byte* device_memory(size_t bytes) {
    void* data = nullptr;
    CHECK_CUDA(cudaMalloc(&data, bytes + 16));
    return static_cast<std::byte*>(data);
}

template <class T>
std::byte* upload(const std::vector<T>& from) {
    std::byte* data = device_memory(from.size() * sizeof(T));
    CHECK_CUDA(cudaMemcpy(data, from.data(), from.size() * sizeof(T), cudaMemcpyHostToDevice));
    return data;
}

struct Rank {
    std::byte *window, *handle, *topk_idx, *topk_weights;
    spec::Found* found;
    epgen::CountRecord* record;
    epgen::FaultRecord* fault;
    cudaStream_t stream;
};

Rank open_rank(uint32_t rank_idx) {
    Rank rank{};
    rank.window = device_memory(spec::kWindowBytes);
    std::vector<std::byte> control(spec::kControl.offset_bytes + sizeof(spec::Control));
    epgen::module().reset_control(control.data(), 0);
    CHECK_CUDA(cudaMemcpy(rank.window, control.data(), control.size(), cudaMemcpyHostToDevice));
    rank.handle = device_memory(sizeof(spec::HandleHeader) +
                                size_t{spec::tokens_of(rank_idx)} * spec::kNumRanks * sizeof(int32_t));
    const std::vector<int64_t> choices = spec::choices_of(rank_idx);
    rank.topk_idx = upload(choices);
    rank.topk_weights = upload(std::vector<float>(choices.size()));
    rank.found = reinterpret_cast<spec::Found*>(device_memory(spec::kNumRanks * sizeof(spec::Found)));
    CHECK_CUDA(cudaHostAlloc(&rank.record, spec::kRecordBytes, cudaHostAllocMapped));
    CHECK_CUDA(cudaHostAlloc(&rank.fault, sizeof(epgen::FaultRecord), cudaHostAllocMapped));
    std::memset(rank.fault, 0, sizeof(epgen::FaultRecord));
    CHECK_CUDA(cudaStreamCreateWithFlags(&rank.stream, cudaStreamNonBlocking));
    return rank;
}

void follow(const Rank& rank, uint32_t rank_idx, uint32_t call, uint32_t buffer_idx) {
    spec::FollowerArgs args{
        {rank.window, reinterpret_cast<const spec::HandleHeader*>(rank.handle), call + 1, rank_idx},
        reinterpret_cast<const uint8_t*>(rank.window + spec::kRecvX.offset_bytes +
                                         buffer_idx * spec::kRecvX.stride_bytes),
        rank.found};
    void* parameters[] = {&args};
    const epgen::KernelEntry& entry = spec::follower_entry;
    CHECK_CUDA(cudaLaunchKernel(entry.function, dim3(spec::kNumRanks), dim3(entry.num_threads), parameters,
                                entry.shared_bytes, rank.stream));
}

constexpr uint32_t kGrid = 2;

/// A dispatch of all ranks whose memory is there: nothing that could wait for followers stands between it and its launch.
struct Dispatch {
    const epgen::KernelEntry* entry;
    std::byte* args;

    void launch(cudaStream_t stream) {
        void* parameters[] = {&args};
        CHECK_CUDA(cudaLaunchCooperativeKernel(entry->loopback_function, dim3(kGrid, spec::kNumRanks),
                                               dim3(entry->num_threads), parameters, entry->shared_bytes, stream));
    }
};

Dispatch prepare(const std::vector<Rank>& ranks, uint32_t call_idx, epgen::DispatchMode mode, uint32_t buffer_idx) {
    std::vector<std::byte> bytes;
    const epgen::KernelEntry* entry = nullptr;
    for (uint32_t r = 0; r < spec::kNumRanks; ++r) {
        epgen::DispatchCall call{};
        call.mode = mode;
        call.rank_idx = r;
        call.num_tokens = spec::tokens_of(r);
        call.grid = kGrid;
        call.buffer_idx = buffer_idx;
        call.record_tag = call_idx + 1;
        call.expert_alignment = 1;
        call.deadline_ns = 2'000'000'000;
        call.x = upload(spec::rows_of(r, call_idx));
        call.topk_idx = ranks[r].topk_idx;
        call.topk_weights = ranks[r].topk_weights;
        call.handle = ranks[r].handle;
        call.record = ranks[r].record;
        call.fault = ranks[r].fault;
        for (uint32_t peer = 0; peer < spec::kNumRanks; ++peer) call.window[peer] = ranks[peer].window;
        const epgen::Launch launch = epgen::module().dispatch(call);
        entry = launch.entry;
        bytes.insert(bytes.end(), launch.args.begin(), launch.args.end());
    }
    CHECK_CUDA(cudaFuncSetAttribute(entry->loopback_function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(entry->shared_bytes)));
    return {entry, upload(bytes)};
}

/// Compares what one follower found; returns how many of its sources were early, or -1.
int compare(const Rank& rank, uint32_t rank_idx, uint32_t call) {
    spec::Found found[spec::kNumRanks];
    CHECK_CUDA(cudaMemcpy(found, rank.found, sizeof found, cudaMemcpyDeviceToHost));
    int num_early = 0;
    for (uint32_t source = 0; source < spec::kNumRanks; ++source) {
        const spec::Found got = found[source];
        const spec::Found want = spec::expected(rank_idx, source, call);
        if (got.first != want.first || got.count != want.count || got.sum != want.sum) {
            std::printf("call %u, rank %u, source %u: rows %u + %u add up to %u, expected %u + %u and %u\n", call,
                        rank_idx, source, got.first, got.count, got.sum, want.first, want.count, want.sum);
            return -1;
        }
        num_early += got.num_ready < spec::kNumRanks;
    }
    return num_early;
}

}  // namespace

int main() {
    // Kernels that were loaded on their first launch would wait for the followers.
    setenv("CUDA_MODULE_LOADING", "EAGER", 1);
    constexpr uint32_t kNumCalls = 300;  // every third along the handle of the one before
    std::vector<Rank> ranks;
    for (uint32_t r = 0; r < spec::kNumRanks; ++r) ranks.push_back(open_rank(r));
    cudaStream_t stream;
    CHECK_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    uint64_t num_early = 0;
    for (uint32_t call = 0; call < kNumCalls; ++call) {
        const uint32_t buffer_idx = call % spec::kNumRecvBuffers;
        const auto mode = call % 3 == 2 ? epgen::DispatchMode::cached : epgen::DispatchMode::topk;
        Dispatch dispatch = prepare(ranks, call, mode, buffer_idx);
        for (uint32_t r = 0; r < spec::kNumRanks; ++r) follow(ranks[r], r, call, buffer_idx);
        dispatch.launch(stream);
        CHECK_CUDA(cudaDeviceSynchronize());
        for (uint32_t r = 0; r < spec::kNumRanks; ++r) {
            const int early = compare(ranks[r], r, call);
            if (early < 0 || ranks[r].fault->state != 0) return 1;
            num_early += early;
        }
    }
    std::printf("%u calls followed, %llu sources added up before all had come\n", kNumCalls,
                static_cast<unsigned long long>(num_early));
    return 0;
}
