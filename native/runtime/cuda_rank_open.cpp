// The steps of opening a rank: what takes memory, and what a driver may do once while nothing waits for anything.
#include "runtime/cuda_rank.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>

#include "device/kernel.cuh"
#include "runtime/cuda_kernels.hpp"

namespace epgen {
namespace {

constexpr uint64_t kWarmUpBytes = 128;
/// kAborted and kRecorded of device/wait.cuh: leave, and leave no record, for the host knows why.
constexpr uint32_t kAbortedByHost = 3;

std::string gigabytes(uint64_t num_bytes) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3f GiB", static_cast<double>(num_bytes) / (1 << 30));
    return text;
}

std::string windows_text(uint64_t window_bytes, uint32_t num_windows) {
    if (num_windows == 1) return gigabytes(window_bytes) + " for its window";
    return std::to_string(num_windows) + " x " + gigabytes(window_bytes) + " for its windows";
}

}  // namespace

std::future<void> CudaRank::allocate() {
    return worker_.ask([this] {
        api_.call(EPGEN_CUDA(cudaSetDevice), static_cast<int>(api_.device()));
        context_ = current_context(api_);
        ignore_other_captures();
        for (uint32_t stream_idx = 0; stream_idx < completions_.size(); ++stream_idx) open_stream(stream_idx);
        cudaStream_t stream;
        api_.call(EPGEN_CUDA(cudaStreamCreateWithFlags), &stream, cudaStreamNonBlocking);
        capture_stream_.reset(stream);
        int least, greatest;
        api_.call(EPGEN_CUDA(cudaDeviceGetStreamPriorityRange), &least, &greatest);
        api_.call(EPGEN_CUDA(cudaStreamCreateWithPriority), &stream, cudaStreamNonBlocking, greatest);
        abort_stream_.reset(stream);

        while (windows_.size() < num_windows()) {
            windows_.push_back(allocate_device(module_.window_bytes, "window"));
            api_.call(EPGEN_CUDA(cudaMemsetAsync), windows_.back().get(), 0, module_.window_bytes, this->stream());
        }
        arena_ = allocate_device(module_.arena_bytes, "arena");
        api_.call(EPGEN_CUDA(cudaMemsetAsync), arena_.get(), 0, module_.arena_bytes, this->stream());
        records_ = allocate_pinned(record_bytes(), "records");
        std::memset(records_.get(), 0, record_bytes());
        control_ = allocate_pinned(module_.control_bytes + sizeof(uint32_t), "control words");
        std::memcpy(control_.get() + module_.control_bytes, &kAbortedByHost, sizeof kAbortedByHost);
        staging_.emplace(allocate_pinned(CudaStaging::kBytes, "staging memory"));

        for (const auto& completions : completions_) completions->open();
        events_.open();
        while (timing_events_.size() < kNumTimingEvents) {
            cudaEvent_t event;
            api_.call(EPGEN_CUDA(cudaEventCreate), &event);
            timing_events_.emplace_back(event);
        }
        load_kernels();
    });
}

DeviceMemory CudaRank::allocate_device(uint64_t num_bytes, const char* purpose) const {
    void* data;
    const cudaError_t code = api_.attempt(EPGEN_CUDA(cudaMalloc), &data, std::max<uint64_t>(num_bytes, 1));
    if (code == cudaSuccess) return DeviceMemory(static_cast<std::byte*>(data));
    size_t free_bytes = 0, total_bytes = 0;
    api_.attempt(EPGEN_CUDA(cudaMemGetInfo), &free_bytes, &total_bytes);
    const std::string found = " of " + std::to_string(num_bytes) + " bytes (" + gigabytes(num_bytes) + ") for the " +
                              purpose + " of rank " + std::to_string(place_.rank_idx) + ", with " +
                              gigabytes(free_bytes) +
                              " of " + gigabytes(total_bytes) + " free (a rank takes " +
                              windows_text(module_.window_bytes, num_windows()) + " and " +
                              gigabytes(module_.arena_bytes) + " for its arena),";
    throw cuda_error("cudaMalloc", code, api_.device(), found);
}

DeviceMemory CudaRank::allocate_shared(uint64_t num_bytes) {
    DeviceMemory memory;
    worker_.ask([&] { memory = allocate_device(num_bytes, "start barrier"); }).get();
    return memory;
}

PinnedMemory CudaRank::allocate_pinned(uint64_t num_bytes, const char* purpose) const {
    void* data;
    const cudaError_t code = api_.attempt(EPGEN_CUDA(cudaHostAlloc), &data, num_bytes,
                                          static_cast<unsigned>(cudaHostAllocMapped | cudaHostAllocPortable));
    if (code == cudaSuccess) return PinnedMemory(static_cast<std::byte*>(data));
    throw cuda_error("cudaHostAlloc", code, api_.device(),
                     " of " + std::to_string(num_bytes) + " bytes for the " + purpose + " of rank " +
                         std::to_string(place_.rank_idx));
}

/// Loading may wait for kernels that run, so nothing may be left to load.
void CudaRank::load_kernels() const {
    for (const KernelEntry* entry : module_.kernels) {
        cudaFuncAttributes attributes;
        api_.call(EPGEN_CUDA(cudaFuncSetAttribute), entry->function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                  static_cast<int>(entry->shared_bytes));
        api_.call(EPGEN_CUDA(cudaFuncGetAttributes), &attributes, entry->function);
    }
    for (const void* kernel : {kDelayKernel, kBarrierKernel}) {
        cudaFuncAttributes attributes;
        api_.call(EPGEN_CUDA(cudaFuncGetAttributes), &attributes, kernel);
    }
}

std::future<void> CudaRank::reach(const std::vector<std::unique_ptr<CudaRank>>& ranks) {
    return worker_.ask([this, &ranks] {
        for (const auto& peer : ranks) {
            const int device = static_cast<int>(peer->api_.device());
            if (device == static_cast<int>(api_.device())) continue;
            const cudaError_t code = api_.attempt(EPGEN_CUDA(cudaDeviceEnablePeerAccess), device, 0u);
            if (code == cudaErrorPeerAccessAlreadyEnabled) {
                cudaGetLastError();  // another group of this process has enabled it
            } else if (code != cudaSuccess) {
                throw cuda_error("cudaDeviceEnablePeerAccess", code, api_.device(),
                                 " to device " + std::to_string(device));
            }
        }
    });
}

/// A kernel of the spec that finds nothing to do: the layout of no tokens, or what came of a dispatch that never was.
Launch CudaRank::idle_launch() const {
    if (module_.dispatch_layout == nullptr) {
        LlStageCall stage{};
        stage.rank_idx = place_.rank_idx;
        stage.grid = 1;
        stage.handle = stage.x = arena_.get();
        stage.fault = memory().windows[0].fault;
        stage.window[place_.rank_idx] = windows_[0].get();
        return module_.ll_stage(stage);
    }
    DispatchLayoutCall query{};
    query.rank_idx = place_.rank_idx;
    query.record_tag = 1;
    query.num_tokens_per_rank = arena_.get();
    query.num_tokens_per_expert = arena_.get() + module_.num_ranks * sizeof(int32_t);
    query.record = memory().count_record(0);
    return module_.dispatch_layout(query);
}

/// Everything that can be on a stream is on it once, while nothing waits for anything.
std::future<void> CudaRank::warm_up() {
    return worker_.ask([this] {
        launch(idle_launch(), stream());
        launch_small(kDelayKernel, DelayArgs{0, abort_word()}, stream());

        std::byte* const staging = staging_->take(kWarmUpBytes)->data;
        const auto copy = [&](std::byte* to, const std::byte* from) {
            api_.call(EPGEN_CUDA(cudaMemcpyAsync), to, from, kWarmUpBytes, cudaMemcpyDefault, stream());
        };
        staging_->give_back(kWarmUpBytes);
        copy(staging, arena_.get());
        copy(arena_.get(), staging);
        copy(arena_.get() + kWarmUpBytes, arena_.get());
        api_.call(EPGEN_CUDA(cudaMemsetAsync), arena_.get(), 0, module_.arena_bytes, stream());
        // On a stream of its own: the idle kernel must not find that word, for it knows no windows to pass it on to.
        api_.call(EPGEN_CUDA(cudaStreamSynchronize), stream());
        abort_window(0);
        for (uint32_t stream_idx = 1; stream_idx < completions_.size(); ++stream_idx) {
            api_.call(EPGEN_CUDA(cudaEventRecord), events_[0], stream());
            api_.call(EPGEN_CUDA(cudaStreamWaitEvent), stream(stream_idx), events_[0], 0u);
            launch_small(kDelayKernel, DelayArgs{0, abort_word()}, stream(stream_idx));
        }
        for (const CudaEvent& event : timing_events_) {
            api_.call(EPGEN_CUDA(cudaEventRecord), event.get(), stream());
            if (event == timing_events_[1]) break;
        }
        // Not the device: other groups' kernels may run on it, and other threads may capture.
        for (const CudaStream& own : own_streams_) api_.call(EPGEN_CUDA(cudaStreamSynchronize), own.get());
        api_.call(EPGEN_CUDA(cudaStreamSynchronize), abort_stream_.get());
        float elapsed_ms;
        api_.call(EPGEN_CUDA(cudaEventElapsedTime), &elapsed_ms, timing_event(0), timing_event(1));
    });
}

}  // namespace epgen
