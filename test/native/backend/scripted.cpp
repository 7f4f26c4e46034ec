#include "scripted.hpp"

#include "device/kernel.cuh"

namespace epgen {
namespace {

constexpr uint64_t kBytes = 1 << 16;

const KernelEntry kNoKernel{"none", 32, 0, nullptr};

Launch launch_with(CountRecord* record) {
    std::vector<std::byte> args(sizeof record);
    std::memcpy(args.data(), &record, sizeof record);
    return {&kNoKernel, 1, std::move(args)};
}

}  // namespace

const Module& module() {
    static const Module instance = [] {
        Module m{};
        m.name = "scripted";
        m.num_ranks = 2;
        m.num_channels = m.num_local_experts = m.num_topk = m.num_recv_buffers = 1;
        m.num_experts = 2;
        m.max_tokens_per_rank = m.max_recv_tokens = 4;
        m.window_bytes = m.arena_bytes = kBytes;
        m.control_bytes = m.handle_header_bytes = m.row_bytes = m.combine_row_bytes = 128;
        m.topk_idx_bytes = sizeof(int64_t);
        m.record_bytes = sizeof(CountRecord) + sizeof(int32_t);
        m.has_worst_tokens = true;
        m.num_ll_channels = 1;
        m.max_ll_tokens_per_rank = 4;
        m.max_ll_recv_tokens = 8;
        m.ll_handle_header_bytes = m.ll_input_row_bytes = m.ll_output_row_bytes = 128;
        m.dispatch = [](const DispatchCall& call) { return launch_with(call.record); };
        m.combine = [](const CombineCall&) { return launch_with(nullptr); };
        m.ll_dispatch = [](const LlDispatchCall& call) { return launch_with(call.record); };
        m.ll_combine = [](const LlCombineCall&) { return launch_with(nullptr); };
        return m;
    }();
    return instance;
}

const char* backend_name() { return "scripted"; }

std::unique_ptr<Backend> open_backend(const Module&, BackendOptions options) {
    return std::make_unique<scripted::ScriptedBackend>(options);
}

namespace scripted {

ScriptedBackend* backend = nullptr;

struct ScriptedBackend::Memory {
    static constexpr uint64_t kStride = 128;

    std::vector<std::unique_ptr<std::byte[]>> windows;
    std::unique_ptr<std::byte[]> arena = std::make_unique<std::byte[]>(kBytes);
    std::unique_ptr<std::byte[]> records =
        std::make_unique<std::byte[]>((kNumCountRecords + kNumSharedRecords) * kStride);
    FaultRecord faults[kMaxWindows] = {};
};

ScriptedBackend::ScriptedBackend(const BackendOptions& options) : on_failure_(options.on_failure) {
    backend = this;
    for (uint32_t rank_idx = 0; rank_idx < module().num_ranks; ++rank_idx) {
        Memory& memory = *memory_.emplace_back(std::make_unique<Memory>());
        while (memory.windows.size() < options.num_windows) {
            memory.windows.push_back(std::make_unique<std::byte[]>(kBytes));
        }
    }
}

ScriptedBackend::~ScriptedBackend() = default;

RankMemory ScriptedBackend::memory(uint32_t rank_idx) const {
    Memory& memory = *memory_[rank_idx];
    RankMemory found{{}, memory.arena.get(), memory.records.get(), Memory::kStride};
    for (uint32_t i = 0; i < memory.windows.size(); ++i) {
        found.windows.push_back({memory.windows[i].get(), &memory.faults[i]});
    }
    return found;
}

void ScriptedBackend::push(uint32_t rank_idx, uint32_t stream_idx, End end) {
    streams_[{rank_idx, stream_idx}].push_back(std::move(end));
}

void ScriptedBackend::step(uint32_t rank_idx, uint32_t stream_idx) {
    auto& ends = streams_[{rank_idx, stream_idx}];
    const End end = std::move(ends.front());
    ends.pop_front();
    end(true);
}

void ScriptedBackend::fail(Error error) {
    on_failure_(std::nullopt, std::move(error));
    for (auto& [stream, ends] : std::exchange(streams_, {})) {
        for (const End& end : ends) end(false);
    }
}

void ScriptedBackend::launch(uint32_t rank_idx, uint32_t stream_idx, Launch launch, End end) {
    find_record(rank_idx, launch);
    push(rank_idx, stream_idx, std::move(end));
}

void ScriptedBackend::capture(uint32_t rank_idx, uint32_t, std::vector<GraphStep> steps, Ready ready) {
    for (const GraphStep& step : steps) {
        if (const auto* launch = std::get_if<Launch>(&step)) find_record(rank_idx, *launch);
    }
    ready(std::nullopt);
}

void ScriptedBackend::find_record(uint32_t rank_idx, const Launch& launch) {
    CountRecord* record = nullptr;
    std::memcpy(&record, launch.args.data(), sizeof record);
    if (record) records_[rank_idx] = record;
}

void ScriptedBackend::download(uint32_t rank_idx, const std::byte*, uint64_t, BytesEnd end) {
    push(rank_idx, kMainStream, [end = std::move(end)](bool done) { end(done, HostBytes{}); });
}

void ScriptedBackend::record_event(uint32_t rank_idx, uint32_t stream_idx, uint32_t, End end) {
    push(rank_idx, stream_idx, std::move(end));
}

void ScriptedBackend::open_stream(uint32_t, uint32_t) {
    if (refuses_streams) throw Error(ErrorCode::argument, "no such stream");
}

}  // namespace scripted
}  // namespace epgen
