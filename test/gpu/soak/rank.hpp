// One rank: its memory on its device, and the launches of a batch on its stream.
#pragma once

#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "calls.cuh"
#include "plan.hpp"
#include "runtime/module.hpp"

namespace soak {

inline void check_cuda(cudaError_t error, const char* call, int line) {
    if (error == cudaSuccess) return;
    std::printf("%s failed in line %d: %s\n", call, line, cudaGetErrorString(error));
    std::fflush(stdout);
    std::_Exit(3);
}
#define CHECK_CUDA(call) ::soak::check_cuda(call, #call, __LINE__)

constexpr uint32_t kInFlight = spec::kLlInFlight;
/// Handles, weights and sums take turns: as many pairs may be under way, a dispatch apart from its combine.
constexpr uint32_t kNumTurns = 2 * kInFlight;
constexpr uint32_t kHandleBytes = sizeof(spec::LlHandleHeader) + kMaxTokens * kNumTopk * sizeof(int32_t);
constexpr size_t kNumInputRows = size_t{kNumLocalExperts} * kMaxRows;

template <class T>
T* device_memory(size_t count) {
    void* data = nullptr;
    CHECK_CUDA(cudaMalloc(&data, count * sizeof(T)));
    return static_cast<T*>(data);
}

template <class T>
T* mapped_memory(size_t bytes) {
    void* data = nullptr;
    CHECK_CUDA(cudaHostAlloc(&data, bytes, cudaHostAllocMapped | cudaHostAllocPortable));
    std::memset(data, 0, bytes);
    return static_cast<T*>(data);
}

/// Launches `kernel` with its arguments. Launches of more than one block leave room beside the calls.
template <class Args>
void launch(void (*kernel)(Args), const Args& args, uint32_t grid, uint32_t num_threads, cudaStream_t stream) {
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(grid);
    config.blockDim = dim3(num_threads);
    config.stream = stream;
    CHECK_CUDA(cudaLaunchKernelEx(&config, kernel, args));
}

/// Members that end in `_of` have one element a turn.
struct RankMemory {
    std::byte* window;
    uint32_t* x;
    Index* topk_idx;
    uint32_t* weights_of[kNumTurns];
    std::byte* handle_of[kNumTurns];
    uint32_t* out_of[kNumTurns];
    Sources* sources_of[kNumTurns];
    uint32_t* y;  // expert outputs outside the window
    Tally* tally;
    epgen::CountRecord* record;
    epgen::FaultRecord* fault;
};

/// Memory on the current device; the window is as after `epoch` calls.
inline RankMemory open_memory(uint32_t epoch) {
    RankMemory memory{};
    memory.window = device_memory<std::byte>(spec::kWindowBytes);
    CHECK_CUDA(cudaMemset(memory.window, kPoison & 0xff, spec::kWindowBytes));
    std::vector<std::byte> control(epgen::module().control_bytes);
    epgen::module().reset_control(control.data(), epoch);
    CHECK_CUDA(cudaMemcpy(memory.window, control.data(), control.size(), cudaMemcpyHostToDevice));
    memory.x = device_memory<uint32_t>(size_t{kMaxTokens} * kRowWords);
    memory.topk_idx = device_memory<Index>(size_t{kMaxTokens} * kNumTopk);
    for (uint32_t turn = 0; turn < kNumTurns; ++turn) {
        memory.weights_of[turn] = device_memory<uint32_t>(size_t{kMaxTokens} * kNumTopk);
        memory.handle_of[turn] = device_memory<std::byte>(kHandleBytes);
        memory.out_of[turn] = device_memory<uint32_t>(size_t{kMaxTokens} * kRowWords);
        CHECK_CUDA(cudaMemset(memory.out_of[turn], kPoison & 0xff, size_t{kMaxTokens} * kRowWords * 4));
        memory.sources_of[turn] = device_memory<Sources>(1);
    }
    memory.y = device_memory<uint32_t>(kNumInputRows * kRowWords);
    memory.tally = device_memory<Tally>(1);
    CHECK_CUDA(cudaMemset(memory.tally, 0, sizeof(Tally)));
    memory.record = mapped_memory<epgen::CountRecord>(spec::kRecordBytes);
    memory.fault = mapped_memory<epgen::FaultRecord>(sizeof(epgen::FaultRecord));
    return memory;
}

/// Every rank's window, as all ranks address it.
struct Exchange {
    std::byte* window[kNumRanks];
    uint64_t seed;
    uint64_t deadline_ns;
};

class Rank {
public:
    Rank(const RankMemory& memory, const Exchange& exchange, uint32_t rank_idx, cudaStream_t stream)
        : memory_(memory), exchange_(exchange), rank_idx_(rank_idx), stream_(stream) {}

    const RankMemory& memory() const { return memory_; }
    cudaStream_t stream() const { return stream_; }

    /// Launches a batch, or captures it.
    void enqueue(const Batch& batch) const {
        for (size_t i = 0; i < batch.actions.size(); ++i) {
            const auto [step, pair] = batch.actions[i];
            const RankPlan& plan = batch.pairs[pair][rank_idx_];
            const bool is_followed = i + 1 < batch.actions.size() && batch.actions[i + 1].pair == pair;
            switch (step) {
                case Step::dispatch_send: {
                    const bool is_whole = is_followed && plan.dispatches_whole;
                    draw_inputs(batch, pair);
                    if (plan.delays_dispatch) delay(batch, pair, 0);
                    dispatch(plan, pair, is_whole ? epgen::kLlSend | epgen::kLlReceive : epgen::kLlSend);
                    if (is_whole) check_received(batch, batch.actions[++i].pair);
                    break;
                }
                case Step::dispatch_receive:
                    dispatch(plan, pair, epgen::kLlReceive);
                    check_received(batch, pair);
                    break;
                case Step::combine_send: {
                    const bool is_whole = is_followed && plan.combines_whole;
                    give_outputs(batch, pair);
                    if (plan.delays_combine) delay(batch, pair, 1);
                    combine(plan, pair, is_whole ? epgen::kLlSend | epgen::kLlReceive : epgen::kLlSend);
                    if (is_whole) check_combined(batch, batch.actions[++i].pair);
                    break;
                }
                case Step::combine_receive:
                    combine(plan, pair, epgen::kLlReceive);
                    check_combined(batch, pair);
                    break;
            }
        }
        const EndArgs args{memory_.tally, static_cast<uint32_t>(batch.pairs.size())};
        launch(end_batch, args, 1, 1, stream_);
    }

private:
    /// Blocks of the kernels beside the calls.
    static constexpr uint32_t kGrid = 48;

    Task task_of(const Batch& batch, uint32_t pair) const {
        Task task{exchange_.seed, memory_.tally, pair, rank_idx_, {}};
        for (uint32_t r = 0; r < kNumRanks; ++r) task.num_tokens[r] = batch.pairs[pair][r].num_tokens;
        return task;
    }

    template <class T>
    std::byte* buffer(const epgen::Region<T>& region, uint32_t pair) const {
        return memory_.window + region.offset_bytes + pair % region.num_buffers * region.stride_bytes;
    }

    void draw_inputs(const Batch& batch, uint32_t pair) const {
        const uint32_t turn = pair % kNumTurns;
        const DrawArgs args{task_of(batch, pair),
                            memory_.x,
                            memory_.topk_idx,
                            memory_.weights_of[turn],
                            reinterpret_cast<uint32_t*>(memory_.handle_of[turn]),
                            kHandleBytes / 4,
                            memory_.sources_of[turn]};
        launch(draw, args, kGrid, kThreads, stream_);
    }

    void delay(const Batch& batch, uint32_t pair, uint32_t place) const {
        launch(hold_back, DelayArgs{task_of(batch, pair), place}, 1, 1, stream_);
    }

    void dispatch(const RankPlan& plan, uint32_t pair, uint32_t phases) const {
        epgen::LlDispatchCall call{};
        call.rank_idx = rank_idx_;
        call.num_tokens = plan.num_tokens;
        call.grid = phases == epgen::kLlReceive ? 1 : plan.send_grid;
        call.phases = phases;
        call.record_tag = 1;
        call.deadline_ns = exchange_.deadline_ns;
        call.x = memory_.x;
        call.topk_idx = memory_.topk_idx;
        call.handle = memory_.handle_of[pair % kNumTurns];
        call.record = memory_.record;
        call.fault = memory_.fault;
        std::copy(std::begin(exchange_.window), std::end(exchange_.window), call.window);
        launch_call(epgen::module().ll_dispatch(call));
    }

    void check_received(const Batch& batch, uint32_t pair) const {
        const uint32_t turn = pair % kNumTurns;
        RowsArgs args{task_of(batch, pair),
                      memory_.sources_of[turn],
                      reinterpret_cast<const spec::LlHandleHeader*>(memory_.handle_of[turn]),
                      reinterpret_cast<uint8_t*>(buffer(spec::kLlRecvX, pair)),
                      nullptr,
                      reinterpret_cast<int32_t*>(buffer(spec::kLlRecvSrcIdx, pair))};
#if EPGEN_LL_FP8
        args.scales = reinterpret_cast<uint32_t*>(buffer(spec::kLlRecvXScales, pair));
#endif
        launch(check_rows, args, kGrid, kThreads, stream_);
    }

    /// Expert outputs, where they are pulled from or to be staged from.
    void give_outputs(const Batch& batch, uint32_t pair) const {
        const RankPlan& plan = batch.pairs[pair][rank_idx_];
        std::byte* output = buffer(spec::kLlOutput, pair);
        auto* y = plan.is_staged ? memory_.y : reinterpret_cast<uint32_t*>(output);
        const OutputsArgs args{task_of(batch, pair), memory_.sources_of[pair % kNumTurns], y};
        launch(write_outputs, args, kGrid, kThreads, stream_);
        if (!plan.is_staged) return;
        epgen::LlStageCall call{};
        call.rank_idx = rank_idx_;
        call.grid = plan.stage_grid;
        call.deadline_ns = exchange_.deadline_ns;
        call.output_offset = output - memory_.window;
        call.handle = memory_.handle_of[pair % kNumTurns];
        call.x = memory_.y;
        call.fault = memory_.fault;
        std::copy(std::begin(exchange_.window), std::end(exchange_.window), call.window);
        launch_call(epgen::module().ll_stage(call));
    }

    void combine(const RankPlan& plan, uint32_t pair, uint32_t phases) const {
        const uint32_t turn = pair % kNumTurns;
        epgen::LlCombineCall call{};
        call.rank_idx = rank_idx_;
        call.num_tokens = plan.num_tokens;
        call.grid = phases == epgen::kLlSend ? 1 : plan.sum_grid;
        call.phases = phases;
        call.deadline_ns = exchange_.deadline_ns;
        call.input_offset = buffer(spec::kLlOutput, pair) - memory_.window;
        call.handle = memory_.handle_of[turn];
        call.topk_weights = memory_.weights_of[turn];
        call.out = memory_.out_of[turn];
        call.fault = memory_.fault;
        std::copy(std::begin(exchange_.window), std::end(exchange_.window), call.window);
        launch_call(epgen::module().ll_combine(call));
    }

    void check_combined(const Batch& batch, uint32_t pair) const {
        const SumsArgs args{task_of(batch, pair), memory_.out_of[pair % kNumTurns]};
        launch(check_sums, args, kGrid, kThreads, stream_);
    }

    void launch_call(const epgen::Launch& call) const {
        std::vector<std::byte> bytes = call.args;
        void* parameters[] = {bytes.data()};
        const epgen::KernelEntry& entry = *call.entry;
        CHECK_CUDA(cudaLaunchKernel(entry.function, dim3(call.grid), dim3(entry.num_threads), parameters,
                                    entry.shared_bytes, stream_));
    }

    RankMemory memory_;
    Exchange exchange_;
    uint32_t rank_idx_;
    cudaStream_t stream_;
};

}  // namespace soak
