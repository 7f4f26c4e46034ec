#include "runtime/cuda_rank.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>
#include <utility>

#include "device/kernel.cuh"
#include "runtime/expect.hpp"

namespace epgen {
namespace {

constexpr uint64_t kCacheLineBytes = 128;
constexpr uint32_t kNumRecords = kNumCountRecords + kNumSharedRecords;

constexpr uint64_t round_up(uint64_t value, uint64_t step) {
    return (value + step - 1) / step * step;
}

uint64_t record_stride(const Module& module) {
    return round_up(module.record_bytes, kCacheLineBytes);
}

}  // namespace

CudaRank::CudaRank(const Module& module, Place place, CudaCallNames& names, Doorbell& doorbell)
    : module_(module), place_(place), api_(place.device, names), events_(api_, doorbell) {
    while (completions_.size() < 1 + place.num_windows) {
        completions_.push_back(std::make_unique<CudaCompletions>(api_, doorbell));
    }
}

uint64_t CudaRank::record_bytes() const {
    return kNumRecords * record_stride(module_) + num_windows() * sizeof(FaultRecord);
}

RankMemory CudaRank::memory() const {
    const uint64_t stride = record_stride(module_);
    RankMemory memory{{}, arena_.get(), records_.get(), stride};
    auto* faults = reinterpret_cast<FaultRecord*>(records_.get() + kNumRecords * stride);
    for (const DeviceMemory& window : windows_) memory.windows.push_back({window.get(), faults++});
    return memory;
}

void CudaRank::push(uint32_t stream_idx, std::function<void()> enqueue, End end) {
    worker_.push([this, stream_idx, enqueue = std::move(enqueue), end = std::move(end)]() mutable {
        if (!closed_) {
            try {
                enqueue();
                if (end) completions_[stream_idx]->append(stream(stream_idx), std::exchange(end, nullptr));
                return;
            } catch (Error& error) {
                fail(std::move(error));
            }
        }
        if (end) completions_[stream_idx]->append_dropped(std::move(end));
    });
}

void CudaRank::record_event(uint32_t stream_idx, uint32_t event_idx, End end) {
    worker_.push([this, stream_idx, event_idx, end = std::move(end)]() mutable {
        if (closed_) {
            events_.append_dropped(std::move(end));
            return;
        }
        try {
            events_.record(stream(stream_idx), event_idx, std::move(end));
        } catch (Error& error) {
            fail(std::move(error));
        }
    });
}

void CudaRank::wait_event(uint32_t stream_idx, uint32_t event_idx) {
    const auto enqueue = [this, stream_idx, event_idx] {
        api_.call(EPGEN_CUDA(cudaStreamWaitEvent), stream(stream_idx), events_[event_idx], 0u);
    };
    push(stream_idx, enqueue, nullptr);
}

void CudaRank::open_stream(uint32_t stream_idx) {
    const CudaContextScope scope = make_current();
    cudaStream_t stream;
    api_.call(EPGEN_CUDA(cudaStreamCreateWithFlags), &stream, cudaStreamNonBlocking);
    own_streams_.emplace_back(stream);
    streams_[stream_idx] = stream;
}

void CudaRank::import_stream(uint32_t stream_idx, cudaStream_t stream) {
    if (stream == nullptr || stream == cudaStreamLegacy || stream == cudaStreamPerThread) {
        refuse("stream", "a stream that was created", "a default stream");
    }
    int device;
    api_.call(EPGEN_CUDA(cudaStreamGetDevice), stream, &device);
    if (device != static_cast<int>(api_.device())) {
        refuse("stream", "on device " + std::to_string(api_.device()) + ", that of rank " +
                             std::to_string(place_.rank_idx),
               "one on device " + std::to_string(device));
    }
    streams_[stream_idx] = stream;
}

void CudaRank::fail(Error error) {
    if (on_error_) on_error_(std::move(error));
}

CudaStaging::Chunk CudaRank::take_staging(uint64_t num_bytes) {
    for (;;) {
        const uint32_t num_seen = completions_.front()->num_retired();
        if (const auto chunk = staging_->take(num_bytes)) return *chunk;
        completions_.front()->wait_for_retired(num_seen);
    }
}

void CudaRank::upload(std::byte* to, HostBytes from) {
    const auto bytes = std::make_shared<HostBytes>(std::move(from));
    const auto enqueue = [this, to, bytes] {
        for (uint64_t offset = 0; offset < bytes->size; offset += CudaStaging::kMaxChunkBytes) {
            const uint64_t length = std::min(CudaStaging::kMaxChunkBytes, bytes->size - offset);
            const CudaStaging::Chunk chunk = take_staging(length);
            std::memcpy(chunk.data, bytes->data.get() + offset, length);
            api_.call(EPGEN_CUDA(cudaMemcpyAsync), to + offset, chunk.data, length, cudaMemcpyHostToDevice, stream());
            completions_.front()->append(stream(), [this, chunk](bool) { staging_->give_back(chunk.end); });
        }
    };
    push(kMainStream, enqueue, nullptr);
}

void CudaRank::download(const std::byte* from, uint64_t num_bytes, Backend::BytesEnd end) {
    const auto bytes = std::make_shared<HostBytes>(
        HostBytes{std::make_unique_for_overwrite<std::byte[]>(num_bytes), num_bytes});
    const auto enqueue = [this, from, bytes] {
        for (uint64_t offset = 0; offset < bytes->size; offset += CudaStaging::kMaxChunkBytes) {
            const uint64_t length = std::min(CudaStaging::kMaxChunkBytes, bytes->size - offset);
            const CudaStaging::Chunk chunk = take_staging(length);
            api_.call(EPGEN_CUDA(cudaMemcpyAsync), chunk.data, from + offset, length, cudaMemcpyDeviceToHost, stream());
            completions_.front()->append(stream(), [this, chunk, bytes, offset, length](bool done) {
                if (done) std::memcpy(bytes->data.get() + offset, chunk.data, length);
                staging_->give_back(chunk.end);
            });
        }
    };
    push(kMainStream, enqueue,
         [bytes, end = std::move(end)](bool done) { end(done, done ? std::move(*bytes) : HostBytes{}); });
}

void CudaRank::launch(const Launch& launch, cudaStream_t stream) const {
    const Size size{launch.grid, launch.entry->num_threads, launch.entry->shared_bytes};
    this->launch(launch.entry->function, size, launch.args.data(), stream);
}

void CudaRank::launch(const void* function, Size size, const std::byte* args, cudaStream_t stream) const {
    void* arguments[] = {const_cast<std::byte*>(args)};
    api_.call(EPGEN_CUDA(cudaLaunchKernel), function, dim3(size.grid), dim3(size.num_threads), arguments,
              static_cast<size_t>(size.shared_bytes), stream);
}

void CudaRank::close() {
    if (closed_.exchange(true)) return;
    for (uint32_t window_idx = 0; window_idx < windows_.size(); ++window_idx) abort_window(window_idx);
}

void CudaRank::abandon_other_windows(uint32_t window_idx) {
    for (uint32_t other_idx = 0; other_idx < windows_.size(); ++other_idx) {
        if (other_idx != window_idx) abort_window(other_idx);
    }
}

/// Host memory: a driver call may wait for another group's cudaFree, which waits for the kernels that are to leave.
void CudaRank::tell_window(uint32_t window_idx) const {
    if (!records_) return;  // opening failed before
    std::atomic_ref(memory().windows[window_idx].fault->host_abort).store(1, std::memory_order_release);
}

void CudaRank::tell_kernels(std::optional<uint32_t> but_window_idx) const {
    if (closed_) return;  // it was told then, and its memory may be gone
    for (uint32_t window_idx = 0; window_idx < windows_.size(); ++window_idx) {
        if (window_idx != but_window_idx) tell_window(window_idx);
    }
}

/// A device that can't be told any more has no kernel that waits.
void CudaRank::abort_window(uint32_t window_idx) const {
    tell_window(window_idx);
    const CudaContextScope scope = make_current();
    api_.attempt(EPGEN_CUDA(cudaMemcpyAsync), static_cast<void*>(abort_word(window_idx)),
                 static_cast<const void*>(control_.get() + module_.control_bytes), sizeof(uint32_t),
                 cudaMemcpyHostToDevice, abort_stream_.get());
}

void CudaRank::begin_reset(uint32_t epoch) {
    std::memset(records_.get(), 0, record_bytes());
    module_.reset_control(control_.get(), epoch);
    const CudaContextScope scope = make_current();
    for (const DeviceMemory& window : windows_) {
        api_.call(EPGEN_CUDA(cudaMemcpyAsync), window.get(), control_.get(), module_.control_bytes,
                  cudaMemcpyHostToDevice, stream());
    }
    closed_ = false;
}

bool CudaRank::is_quiet() const {
    const CudaContextScope scope = make_current();
    std::vector<cudaStream_t> streams{abort_stream_.get()};
    streams.insert(streams.end(), streams_.begin(), streams_.begin() + static_cast<ptrdiff_t>(completions_.size()));
    for (const cudaStream_t stream : streams) {
        const cudaError_t code = api_.attempt(EPGEN_CUDA(cudaStreamQuery), stream);
        if (code == cudaErrorNotReady) return false;
        if (code != cudaSuccess) throw cuda_error("cudaStreamQuery", code, api_.device());
    }
    return true;
}

bool CudaRank::retire(const std::function<void(Error)>& on_error) {
    bool any = events_.retire(on_error);
    for (const auto& completions : completions_) any |= completions->retire(on_error);
    return any;
}

bool CudaRank::is_empty() const {
    return events_.is_empty() &&
           std::ranges::all_of(completions_, [](const auto& completions) { return completions->is_empty(); });
}

void CudaRank::look_at_records(const std::function<void(uint32_t record_idx)>& on_counts) {
    const RankMemory memory = this->memory();
    for (uint32_t record_idx = 0; record_idx < kNumCountRecords; ++record_idx) {
        CountRecord& record = *memory.count_record(record_idx);
        const uint32_t tag = std::atomic_ref(record.tag).load(std::memory_order_acquire);
        if (tag == 0 || std::exchange(seen_tags_[record_idx], tag) == tag) continue;
        on_counts(record_idx);
    }
}

}  // namespace epgen
