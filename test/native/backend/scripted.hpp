// A backend whose streams go on when a case says so, as those of a device may: in any order among each other.
#pragma once

#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/group.hpp"

namespace epgen::scripted {

class ScriptedBackend final : public Backend, public DeviceHooks {
public:
    explicit ScriptedBackend(const BackendOptions& options);
    ~ScriptedBackend() override;

    /// Ends what comes next on a stream.
    void step(uint32_t rank_idx, uint32_t stream_idx);
    /// The record of the dispatch that was launched or captured last on a rank.
    CountRecord& record_of(uint32_t rank_idx) { return *records_[rank_idx]; }

    /// Kernels can't go on, of no rank's doing: drops all that is on streams.
    void fail(Error error);

    bool refuses_streams = false;
    /// How often somebody has waited until all was on its streams.
    uint32_t num_flushes = 0;

    RankMemory memory(uint32_t rank_idx) const override;
    void launch(uint32_t rank_idx, uint32_t stream_idx, Launch launch, End end) override;
    void copy(uint32_t, uint32_t, std::byte*, const std::byte*, uint64_t) override {}
    void fill(uint32_t, std::byte*, uint64_t, uint8_t) override {}
    void upload(uint32_t, std::byte*, HostBytes) override {}
    void download(uint32_t rank_idx, const std::byte*, uint64_t, BytesEnd end) override;
    void delay(uint32_t, uint32_t, uint64_t) override {}
    void reached(uint32_t rank_idx, uint32_t stream_idx, End end) override { push(rank_idx, stream_idx, end); }
    void record_event(uint32_t rank_idx, uint32_t stream_idx, uint32_t event_idx, End end) override;
    void wait_event(uint32_t, uint32_t, uint32_t) override {}
    std::future<void> appended(uint32_t) override {
        return std::async(std::launch::deferred, [this] { ++num_flushes; });
    }
    void open_stream(uint32_t rank_idx, uint32_t stream_idx) override;
    void abandon_other_windows(uint32_t) override {}
    void capture(uint32_t rank_idx, uint32_t, std::vector<GraphStep> steps, Ready ready) override;
    void replay(uint32_t rank_idx, uint32_t, End end) override { push(rank_idx, kMainStream, end); }
    void free_graph(uint32_t, uint32_t) override {}
    void hold() override {}
    void release() override {}
    std::optional<std::string> refusal(uint32_t, uint64_t, uint64_t) const override { return "nothing"; }
    DeviceHooks* hooks() override { return this; }
    void reset(uint32_t) override {}

    std::vector<std::string> calls() const override { return {}; }
    uint64_t stream(uint32_t, uint32_t) const override { return 0; }
    void import_stream(uint32_t rank_idx, uint32_t stream_idx, uint64_t) override { open_stream(rank_idx, stream_idx); }
    void record(uint32_t, uint32_t) override {}
    float elapsed_ms(uint32_t, uint32_t, uint32_t) const override { return 0; }
    void start_barrier(uint64_t) override {}

private:
    void push(uint32_t rank_idx, uint32_t stream_idx, End end);
    void find_record(uint32_t rank_idx, const Launch& launch);

    std::function<void(std::optional<uint32_t>, Error)> on_failure_;
    struct Memory;
    std::vector<std::unique_ptr<Memory>> memory_;
    std::map<std::pair<uint32_t, uint32_t>, std::deque<End>> streams_;
    std::map<uint32_t, CountRecord*> records_;
};

/// That of the group that was opened last.
extern ScriptedBackend* backend;

}  // namespace epgen::scripted
