// The CUDA backend: one device per rank, a thread for each, and one more that looks for what has ended.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "runtime/backend.hpp"
#include "runtime/cuda_rank.hpp"

namespace epgen {

class CudaBackend final : public Backend, public DeviceHooks {
public:
    CudaBackend(const Module& module, BackendOptions options);
    ~CudaBackend() override;

    RankMemory memory(uint32_t rank_idx) const override { return ranks_[rank_idx]->memory(); }

    void launch(uint32_t rank_idx, uint32_t stream_idx, Launch launch, End end) override;
    void copy(uint32_t rank_idx, uint32_t stream_idx, std::byte* to, const std::byte* from,
              uint64_t num_bytes) override;
    void fill(uint32_t rank_idx, std::byte* to, uint64_t num_bytes, uint8_t value) override;
    void upload(uint32_t rank_idx, std::byte* to, HostBytes from) override;
    void download(uint32_t rank_idx, const std::byte* from, uint64_t num_bytes, BytesEnd end) override;
    void delay(uint32_t rank_idx, uint32_t stream_idx, uint64_t ns) override;
    void reached(uint32_t rank_idx, uint32_t stream_idx, End end) override;
    void record_event(uint32_t rank_idx, uint32_t stream_idx, uint32_t event_idx, End end) override;
    void wait_event(uint32_t rank_idx, uint32_t stream_idx, uint32_t event_idx) override;
    std::future<void> appended(uint32_t rank_idx) override { return ranks_[rank_idx]->appended(); }
    void open_stream(uint32_t rank_idx, uint32_t stream_idx) override { ranks_[rank_idx]->open_stream(stream_idx); }
    void abandon_other_windows(uint32_t window_idx) override;

    void capture(uint32_t rank_idx, uint32_t graph_idx, std::vector<GraphStep> steps, Ready ready) override;
    void replay(uint32_t rank_idx, uint32_t graph_idx, End end) override;
    void free_graph(uint32_t rank_idx, uint32_t graph_idx) override;

    // Every stream runs by itself.
    void hold() override {}
    void release() override {}

    std::optional<std::string> refusal(uint32_t rank_idx, uint64_t address, uint64_t num_bytes) const override;
    DeviceHooks* hooks() override { return this; }
    void reset(uint32_t epoch) override;

    std::vector<std::string> calls() const override { return names_.list(); }
    uint64_t stream(uint32_t rank_idx, uint32_t stream_idx) const override;
    void import_stream(uint32_t rank_idx, uint32_t stream_idx, uint64_t pointer) override;
    void record(uint32_t rank_idx, uint32_t event_idx) override;
    float elapsed_ms(uint32_t rank_idx, uint32_t from_event_idx, uint32_t to_event_idx) const override;
    void start_barrier(uint64_t deadline_ns) override;

private:
    struct Failure {
        uint32_t rank_idx;
        Error error;
    };

    void open();
    void give_back();
    template <class Step>
    void for_all_ranks(Step step);
    void rank_failed(uint32_t rank_idx, Error error);
    void close_all();
    void poll();
    bool poll_once();
    void tell_failure();
    bool all_ended() const;

    const Module& module_;
    const BackendOptions options_;
    CudaCallNames names_;
    Doorbell doorbell_;
    std::vector<std::unique_ptr<CudaRank>> ranks_;
    DeviceMemory barrier_counter_;  // on the first device
    uint32_t num_barriers_ = 0;
    std::mutex failure_mutex_;
    std::optional<Failure> failure_;  // until it has been told
    std::atomic<bool> has_failure_{false};
    std::atomic<bool> stopping_{false};
    std::thread poller_;  // last: it uses all of the above
};

}  // namespace epgen
