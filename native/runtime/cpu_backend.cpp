// The CPU backend: lazily reserved memory, and the emulator's machine for the streams.
#include <atomic>
#include <bit>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "runtime/backend.hpp"
#include "runtime/cpu_trace.hpp"
#include "runtime/emulator_report.hpp"
#include "simt/machine.hpp"
#include "simt/reservation.hpp"

namespace epgen {
namespace {

constexpr uint64_t kCacheLineBytes = 128;
/// As in device/wait.cuh: a rank has given up.
constexpr uint32_t kAborted = 1;

constexpr uint64_t round_up(uint64_t value, uint64_t step) {
    return (value + step - 1) / step * step;
}

/// One rank's memory and the owner of it. The fault records, one for each window, follow the count records.
struct CpuRank {
    std::vector<simt::Reservation> windows;
    simt::Reservation arena, records;
    uint64_t record_stride;

    CpuRank(const Module& module, uint32_t num_windows)
        : arena(module.arena_bytes),
          records((kNumCountRecords + kNumSharedRecords) * round_up(module.record_bytes, kCacheLineBytes) +
                  num_windows * sizeof(FaultRecord)),
          record_stride(round_up(module.record_bytes, kCacheLineBytes)) {
        while (windows.size() < num_windows) windows.emplace_back(module.window_bytes);
    }

    uint64_t polled_bytes() const { return kNumCountRecords * record_stride; }
    uint64_t count_bytes() const { return polled_bytes() + kNumSharedRecords * record_stride; }
    FaultRecord* fault(uint32_t window_idx) const {
        return reinterpret_cast<FaultRecord*>(records.data() + count_bytes()) + window_idx;
    }
};

/// "the window", or "each of 2 windows".
std::string windows_text(uint32_t num_windows) {
    return num_windows == 1 ? "the window" : "each of " + std::to_string(num_windows) + " windows";
}

simt::Done done_of(Backend::End end) {
    return [end = std::move(end)](simt::Status status) { end(status == simt::Status::done); };
}

simt::Task task_of(const GraphStep& step) {
    if (const auto* copy = std::get_if<GraphCopy>(&step)) return simt::Copy{copy->to, copy->from, copy->num_bytes};
    const Launch& launch = std::get<Launch>(step);
    return simt::Kernel{launch.entry, launch.grid, launch.args, nullptr};
}

class CpuBackend final : public Backend {
public:
    CpuBackend(const Module& module, BackendOptions options)
        : module_(module),
          options_(std::move(options)),
          ranks_(ranks_of(module, options_.num_windows)),
          events_(module.num_ranks, std::vector<simt::Event>(kNumEvents)),
          trace_(open_trace(module, options_.seed)),
          machine_(machine_options()) {
        for (uint32_t rank_idx = 0; rank_idx < ranks_.size(); ++rank_idx) {
            const CpuRank& rank = ranks_[rank_idx];
            for (const simt::Reservation& window : rank.windows) {
                machine_.add_region({"window", rank_idx, window.data(), window.size()});
            }
            machine_.add_region({"arena", rank_idx, rank.arena.data(), rank.arena.size()});
            machine_.add_region({"host records", rank_idx, rank.records.data(), rank.records.size()});
        }
    }

    RankMemory memory(uint32_t rank_idx) const override {
        const CpuRank& rank = ranks_[rank_idx];
        RankMemory memory{{}, rank.arena.data(), rank.records.data(), rank.record_stride};
        for (uint32_t window_idx = 0; window_idx < rank.windows.size(); ++window_idx) {
            memory.windows.push_back({rank.windows[window_idx].data(), rank.fault(window_idx)});
        }
        return memory;
    }

    void launch(uint32_t rank_idx, uint32_t stream_idx, Launch launch, End end) override {
        machine_.enqueue({rank_idx, stream_idx},
                         simt::Kernel{launch.entry, launch.grid, std::move(launch.args), done_of(std::move(end))});
    }

    void copy(uint32_t rank_idx, uint32_t stream_idx, std::byte* to, const std::byte* from,
              uint64_t num_bytes) override {
        machine_.enqueue({rank_idx, stream_idx}, simt::Copy{to, from, num_bytes});
    }

    void fill(uint32_t rank_idx, std::byte* to, uint64_t num_bytes, uint8_t value) override {
        machine_.enqueue(rank_idx, simt::Fill{to, value, num_bytes});
    }

    void upload(uint32_t rank_idx, std::byte* to, HostBytes from) override {
        machine_.enqueue(rank_idx, simt::Upload{to, {std::move(from.data), from.size}});
    }

    void download(uint32_t rank_idx, const std::byte* from, uint64_t num_bytes, BytesEnd end) override {
        auto on_done = [end = std::move(end)](simt::Status status, simt::Bytes bytes) {
            end(status == simt::Status::done, {std::move(bytes.data), bytes.size});
        };
        machine_.enqueue(rank_idx, simt::Download{from, num_bytes, std::move(on_done)});
    }

    void delay(uint32_t rank_idx, uint32_t stream_idx, uint64_t ns) override {
        machine_.enqueue({rank_idx, stream_idx}, simt::Delay{ns});
    }

    void reached(uint32_t rank_idx, uint32_t stream_idx, End end) override {
        machine_.enqueue({rank_idx, stream_idx}, simt::Callback{done_of(std::move(end))});
    }

    void record_event(uint32_t rank_idx, uint32_t stream_idx, uint32_t event_idx, End end) override {
        simt::Event& event = events_[rank_idx][event_idx] = simt::make_event();
        machine_.enqueue({rank_idx, stream_idx}, simt::RecordEvent{event});
        reached(rank_idx, stream_idx, std::move(end));
    }

    void wait_event(uint32_t rank_idx, uint32_t stream_idx, uint32_t event_idx) override {
        machine_.enqueue({rank_idx, stream_idx}, simt::WaitEvent{events_[rank_idx][event_idx]});
    }

    // A stream of the machine is there as soon as it is used.
    void open_stream(uint32_t, uint32_t) override {}

    void abandon_other_windows(uint32_t window_idx) override {
        for (const CpuRank& rank : ranks_) {
            for (const simt::Reservation& window : rank.windows) {
                if (&window == &rank.windows[window_idx]) continue;
                std::atomic_ref(*reinterpret_cast<uint32_t*>(window.data())).fetch_or(kAborted);
            }
        }
        machine_.wake_waits();
    }

    void capture(uint32_t rank_idx, uint32_t graph_idx, std::vector<GraphStep> steps, Ready ready) override {
        graphs_[{rank_idx, graph_idx}] = std::move(steps);
        ready(std::nullopt);
    }

    void replay(uint32_t rank_idx, uint32_t graph_idx, End end) override {
        for (const GraphStep& step : graphs_.at({rank_idx, graph_idx})) machine_.enqueue(rank_idx, task_of(step));
        reached(rank_idx, kMainStream, std::move(end));
    }

    void free_graph(uint32_t rank_idx, uint32_t graph_idx) override { graphs_.erase({rank_idx, graph_idx}); }

    std::optional<std::string> refusal(uint32_t, uint64_t, uint64_t) const override {
        return "no memory of the emulated machine";
    }

    void hold() override { machine_.hold(); }
    void release() override { machine_.release(); }

    void reset(uint32_t epoch) override {
        machine_.reset();
        for (const CpuRank& rank : ranks_) {
            std::memset(rank.records.data(), 0, rank.records.size());
            for (const simt::Reservation& window : rank.windows) module_.reset_control(window.data(), epoch);
        }
    }

private:
    static std::vector<CpuRank> ranks_of(const Module& module, uint32_t num_windows) {
        std::vector<CpuRank> ranks;
        try {
            while (ranks.size() < module.num_ranks) ranks.emplace_back(module, num_windows);
        } catch (const std::bad_alloc& shortage) {
            throw shortage_error("reserve " + std::to_string(module.window_bytes) +
                                     " bytes of address space for " + windows_text(num_windows) + " and " +
                                     std::to_string(module.arena_bytes) + " for the arena of rank " +
                                     std::to_string(ranks.size()),
                                 shortage.what());
        }
        return ranks;
    }

    simt::MachineOptions machine_options() {
        simt::MachineOptions options;
        options.num_ranks = module_.num_ranks;
        options.seed = options_.seed;
        options.caller_may_help = true;
        options.tracer = trace_.get();
        options.on_fault = [this](const simt::FaultReport& report) {
            options_.on_failure(culprit_of(report), error_of(report));
        };
        options.on_host_store = [this](const void* address) { host_stored(static_cast<const std::byte*>(address)); };
        return options;
    }

    void host_stored(const std::byte* address) {
        for (uint32_t rank_idx = 0; rank_idx < ranks_.size(); ++rank_idx) {
            const CpuRank& rank = ranks_[rank_idx];
            // Wraps to a huge number below the first record.
            const uint64_t offset = std::bit_cast<uint64_t>(address) - std::bit_cast<uint64_t>(rank.records.data());
            if (offset >= rank.polled_bytes()) continue;
            options_.on_counts(rank_idx, static_cast<uint32_t>(offset / rank.record_stride));
            return;
        }
    }

    const Module& module_;
    const BackendOptions options_;
    const std::vector<CpuRank> ranks_;
    std::vector<std::vector<simt::Event>> events_;  // by rank; guarded by the group
    std::map<std::pair<uint32_t, uint32_t>, std::vector<GraphStep>> graphs_;  // by rank and index; guarded as events_
    const std::unique_ptr<simt::Tracer> trace_;
    simt::Machine machine_;  // last: its thread uses all of the above
};

}  // namespace

const char* backend_name() {
    return "cpu";
}

const char* backend_arch() {
    return "host";
}

Value probe_backend() {
    return {};
}

std::unique_ptr<Backend> open_backend(const Module& module, BackendOptions options) {
    try {
        return std::make_unique<CpuBackend>(module, std::move(options));
    } catch (const Error&) {
        throw;
    } catch (const std::exception& shortage) {
        throw shortage_error("start the emulator of " + std::to_string(module.num_ranks) + " ranks, one thread",
                             shortage.what());
    }
}

}  // namespace epgen
