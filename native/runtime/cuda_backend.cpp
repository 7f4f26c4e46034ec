#include "runtime/cuda_backend.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <string>
#include <utility>

#include "runtime/cuda_kernels.hpp"
#include "runtime/cuda_pointer.hpp"
#include "runtime/exit_gate.hpp"

namespace epgen {
namespace {

constexpr uint64_t kBarrierBytes = 256;

// How the poller waits while something runs: it stays awake for short kernels and sleeps between looks at long ones.
constexpr std::chrono::milliseconds kAwake{2};
constexpr std::chrono::microseconds kNap{50};

bool is_within(uint64_t address, const std::byte* base, uint64_t num_bytes) {
    return address - reinterpret_cast<uint64_t>(base) < num_bytes;
}

}  // namespace

CudaBackend::CudaBackend(const Module& module, BackendOptions options)
    : module_(module), options_(std::move(options)) {
    for (uint32_t rank_idx = 0; rank_idx < module.num_ranks; ++rank_idx) {
        const CudaRank::Place place{rank_idx, options_.devices[rank_idx], options_.num_windows};
        ranks_.push_back(std::make_unique<CudaRank>(module, place, names_, doorbell_));
        ranks_.back()->on_error([this, rank_idx](Error error) { rank_failed(rank_idx, std::move(error)); });
    }
    try {
        open();
    } catch (...) {
        give_back();
        throw;
    }
    names_.clear();
    poller_ = std::thread([this] { poll(); });
}

void CudaBackend::open() {
    for_all_ranks([](CudaRank& rank) { return rank.allocate(); });
    ExitGate::guard();
    for_all_ranks([this](CudaRank& rank) { return rank.reach(ranks_); });
    for_all_ranks([](CudaRank& rank) { return rank.warm_up_graph(); });
    for_all_ranks([](CudaRank& rank) { return rank.warm_up(); });
    barrier_counter_ = ranks_.front()->allocate_shared(kBarrierBytes);
    reset(0);
}

CudaBackend::~CudaBackend() {
    {
        const ExitGate::Pass pass;
        close_all();
    }
    for (const auto& rank : ranks_) rank->finish();
    stopping_ = true;
    doorbell_.ring();
    poller_.join();
    give_back();
}

/// Gives back what the devices have; any one of them will do for the calls.
void CudaBackend::give_back() {
    const ExitGate::Pass pass;
    const CudaContextScope scope = ranks_.front()->make_current();
    barrier_counter_.reset();
    ranks_.clear();
}

/// Runs a step on the threads of all ranks and waits for it; throws what the first rank that failed has thrown.
template <class Step>
void CudaBackend::for_all_ranks(Step step) {
    std::vector<std::future<void>> steps;
    for (const auto& rank : ranks_) steps.push_back(step(*rank));
    for (const auto& one : steps) one.wait();
    for (auto& one : steps) one.get();
}

void CudaBackend::launch(uint32_t rank_idx, uint32_t stream_idx, Launch launch, End end) {
    CudaRank& rank = *ranks_[rank_idx];
    const auto enqueue = [&rank, stream_idx, launch = std::move(launch)] {
        rank.launch(launch, rank.stream(stream_idx));
    };
    rank.push(stream_idx, enqueue, std::move(end));
}

void CudaBackend::copy(uint32_t rank_idx, uint32_t stream_idx, std::byte* to, const std::byte* from,
                       uint64_t num_bytes) {
    CudaRank& rank = *ranks_[rank_idx];
    const auto enqueue = [&rank, stream_idx, to, from, num_bytes] {
        rank.api().call(EPGEN_CUDA(cudaMemcpyAsync), to, from, num_bytes, cudaMemcpyDeviceToDevice,
                        rank.stream(stream_idx));
    };
    rank.push(stream_idx, enqueue, nullptr);
}

void CudaBackend::fill(uint32_t rank_idx, std::byte* to, uint64_t num_bytes, uint8_t value) {
    CudaRank& rank = *ranks_[rank_idx];
    const auto enqueue = [&rank, to, num_bytes, value] {
        rank.api().call(EPGEN_CUDA(cudaMemsetAsync), to, value, num_bytes, rank.stream());
    };
    rank.push(kMainStream, enqueue, nullptr);
}

void CudaBackend::upload(uint32_t rank_idx, std::byte* to, HostBytes from) {
    ranks_[rank_idx]->upload(to, std::move(from));
}

void CudaBackend::download(uint32_t rank_idx, const std::byte* from, uint64_t num_bytes, BytesEnd end) {
    ranks_[rank_idx]->download(from, num_bytes, std::move(end));
}

void CudaBackend::delay(uint32_t rank_idx, uint32_t stream_idx, uint64_t ns) {
    CudaRank& rank = *ranks_[rank_idx];
    const auto enqueue = [&rank, stream_idx, ns] {
        rank.launch_small(kDelayKernel, DelayArgs{ns, rank.abort_word()}, rank.stream(stream_idx));
    };
    rank.push(stream_idx, enqueue, nullptr);
}

void CudaBackend::reached(uint32_t rank_idx, uint32_t stream_idx, End end) {
    ranks_[rank_idx]->push(stream_idx, [] {}, std::move(end));
}

void CudaBackend::record_event(uint32_t rank_idx, uint32_t stream_idx, uint32_t event_idx, End end) {
    ranks_[rank_idx]->record_event(stream_idx, event_idx, std::move(end));
}

void CudaBackend::wait_event(uint32_t rank_idx, uint32_t stream_idx, uint32_t event_idx) {
    ranks_[rank_idx]->wait_event(stream_idx, event_idx);
}

void CudaBackend::abandon_other_windows(uint32_t window_idx) {
    for (const auto& rank : ranks_) rank->tell_kernels(window_idx);
    for (const auto& rank : ranks_) rank->abandon_other_windows(window_idx);
}

void CudaBackend::capture(uint32_t rank_idx, uint32_t graph_idx, std::vector<GraphStep> steps, Ready ready) {
    ranks_[rank_idx]->capture(graph_idx, std::move(steps), std::move(ready));
}

void CudaBackend::replay(uint32_t rank_idx, uint32_t graph_idx, End end) {
    ranks_[rank_idx]->replay(graph_idx, std::move(end));
}

void CudaBackend::free_graph(uint32_t rank_idx, uint32_t graph_idx) {
    ranks_[rank_idx]->free_graph(graph_idx);
}

std::optional<std::string> CudaBackend::refusal(uint32_t rank_idx, uint64_t address, uint64_t num_bytes) const {
    for (uint32_t owner_idx = 0; owner_idx < ranks_.size(); ++owner_idx) {
        const RankMemory memory = ranks_[owner_idx]->memory();
        const bool is_in_window = std::ranges::any_of(memory.windows, [&](const WindowMemory& window) {
            return is_within(address, window.data, module_.window_bytes);
        });
        const char* region = is_in_window                                            ? "window"
                             : is_within(address, memory.arena, module_.arena_bytes) ? "arena"
                                                                                     : nullptr;
        if (!region) continue;
        if (owner_idx == rank_idx) return std::string("no one tensor of the rank's ") + region;
        return std::string("the ") + region + " of rank " + std::to_string(owner_idx) + ", on device " +
               std::to_string(ranks_[owner_idx]->api().device());
    }
    const CudaContextScope scope = ranks_[rank_idx]->make_current();
    return refusal_of(ranks_[rank_idx]->api(), address, num_bytes);
}

/// The few waits here are for copies of control words, a megabyte at most, behind nothing.
void CudaBackend::reset(uint32_t epoch) {
    for (const auto& rank : ranks_) {
        while (!rank->is_quiet()) std::this_thread::yield();
    }
    for (const auto& rank : ranks_) rank->begin_reset(epoch);
    CudaRank& first = *ranks_.front();
    const CudaContextScope scope = first.make_current();
    first.api().call(EPGEN_CUDA(cudaMemsetAsync), barrier_counter_.get(), 0, kBarrierBytes, first.stream());
    num_barriers_ = 0;
    for (const auto& rank : ranks_) {
        while (!rank->is_quiet()) std::this_thread::yield();
    }
}

uint64_t CudaBackend::stream(uint32_t rank_idx, uint32_t stream_idx) const {
    return reinterpret_cast<uint64_t>(ranks_[rank_idx]->stream(stream_idx));
}

void CudaBackend::import_stream(uint32_t rank_idx, uint32_t stream_idx, uint64_t pointer) {
    ranks_[rank_idx]->import_stream(stream_idx, reinterpret_cast<cudaStream_t>(pointer));
}

void CudaBackend::record(uint32_t rank_idx, uint32_t event_idx) {
    CudaRank& rank = *ranks_[rank_idx];
    const auto enqueue = [&rank, event_idx] {
        rank.api().call(EPGEN_CUDA(cudaEventRecord), rank.timing_event(event_idx), rank.stream());
    };
    rank.push(kMainStream, enqueue, nullptr);
}

float CudaBackend::elapsed_ms(uint32_t rank_idx, uint32_t from_event_idx, uint32_t to_event_idx) const {
    const CudaRank& rank = *ranks_[rank_idx];
    float elapsed_ms = 0;
    rank.api().call(EPGEN_CUDA(cudaEventElapsedTime), &elapsed_ms, rank.timing_event(from_event_idx),
                    rank.timing_event(to_event_idx));
    return elapsed_ms;
}

void CudaBackend::start_barrier(uint64_t deadline_ns) {
    const uint32_t target = ++num_barriers_ * module_.num_ranks;
    for (const auto& one : ranks_) {
        CudaRank& rank = *one;
        const BarrierArgs args{reinterpret_cast<uint32_t*>(barrier_counter_.get()), target, deadline_ns,
                               rank.abort_word()};
        const auto enqueue = [&rank, args] {
            rank.launch_small(kBarrierKernel, args, rank.stream());
        };
        rank.push(kMainStream, enqueue, nullptr);
    }
}

/// The first one is the reason; ranks that wait for this one must leave.
void CudaBackend::rank_failed(uint32_t rank_idx, Error error) {
    {
        const std::lock_guard lock(failure_mutex_);
        if (!failure_) failure_ = Failure{rank_idx, std::move(error)};
        has_failure_ = true;
    }
    close_all();
    doorbell_.ring();
}

void CudaBackend::close_all() {
    for (const auto& rank : ranks_) rank->tell_kernels();  // all of them, before a driver call may wait
    for (const auto& rank : ranks_) rank->close();
}

void CudaBackend::poll() {
    const CudaContextScope scope = ranks_.front()->make_current();
    ignore_other_captures();
    auto awake_since = std::chrono::steady_clock::now();
    for (;;) {
        const uint32_t num_seen = doorbell_.num_rings();
        if (poll_once()) {
            awake_since = std::chrono::steady_clock::now();
        } else if (all_ended() && !has_failure_) {
            if (stopping_) return;
            doorbell_.wait(num_seen);
            awake_since = std::chrono::steady_clock::now();
        } else if (std::chrono::steady_clock::now() - awake_since < kAwake) {
            std::this_thread::yield();
        } else {
            std::this_thread::sleep_for(kNap);
        }
    }
}

/// Tells whatever there is to tell; false where there was nothing.
bool CudaBackend::poll_once() {
    const ExitGate::Pass pass;
    bool any = false;
    for (uint32_t rank_idx = 0; rank_idx < ranks_.size(); ++rank_idx) {
        tell_failure();
        CudaRank& rank = *ranks_[rank_idx];
        rank.look_at_records([&](uint32_t record_idx) { options_.on_counts(rank_idx, record_idx); });
        any |= rank.retire([&](Error error) {
            rank_failed(rank_idx, std::move(error));
            tell_failure();
        });
    }
    tell_failure();
    return any;
}

void CudaBackend::tell_failure() {
    if (!has_failure_) return;
    std::optional<Failure> failure;
    {
        const std::lock_guard lock(failure_mutex_);
        failure = std::exchange(failure_, std::nullopt);
        has_failure_ = false;
    }
    if (failure) options_.on_failure(failure->rank_idx, std::move(failure->error));
}

bool CudaBackend::all_ended() const {
    return std::ranges::all_of(ranks_, [](const auto& rank) { return rank->is_empty(); });
}

const char* backend_name() {
    return "cuda";
}

const char* backend_arch() {
    return EPGEN_ARCH;
}

std::unique_ptr<Backend> open_backend(const Module& module, BackendOptions options) {
    return std::make_unique<CudaBackend>(module, std::move(options));
}

}  // namespace epgen
