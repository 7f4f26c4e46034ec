// All ranks of one host: their memory, their streams, and one shared fate when a call fails.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/backend.hpp"
#include "runtime/graph.hpp"
#include "runtime/module.hpp"
#include "runtime/rank_state.hpp"
#include "runtime/requests.hpp"

namespace epgen {

struct GroupOptions {
    uint64_t seed;
    uint32_t num_windows;
    double deadline_ms;             // longest time that one wait of a call may take
    double first_deadline_ms;       // the same for a rank's first collective call
    std::vector<uint32_t> devices;  // ordinal per rank; means nothing to a backend without devices
};

/// Every operation only appends to its rank's stream and returns; it throws Error for wrong arguments, after a failure
/// and after shut_down(). After a timeout, a deadlock or a bad access the whole group is stopped until reset().
/// Member functions may be called from any thread.
class Group {
public:
    Group(const Module& module, const GroupOptions& options);
    ~Group();
    Group(const Group&) = delete;
    Group& operator=(const Group&) = delete;

    uint64_t allocate(uint32_t rank_idx, uint64_t num_bytes);
    void free(uint32_t rank_idx, uint64_t address);
    /// Of all ranks; none after shut_down().
    uint64_t num_arena_bytes_in_use();
    uint64_t window_base(uint32_t rank_idx, uint32_t window_idx);
    uint64_t arena_base(uint32_t rank_idx);

    /// Throws what a stopped group, or one that is being reset, refuses calls with.
    void require_usable();

    void write(uint32_t rank_idx, uint64_t address, std::span<const std::byte> bytes, Completion completion);
    void fill(uint32_t rank_idx, uint64_t address, uint64_t num_bytes, uint8_t value, Completion completion);
    void read(uint32_t rank_idx, uint64_t address, uint64_t num_bytes, Completion completion);
    void copy(uint32_t rank_idx, uint32_t stream_idx, uint64_t to, uint64_t from, uint64_t num_bytes);
    void delay(uint32_t rank_idx, uint32_t stream_idx, uint64_t ns);

    // group_streams.cpp. Stream 0 is the rank's own, where everything runs that names no stream; 1 + w is that of its
    // window w; others come from open_stream() or import_stream().
    uint32_t open_stream(uint32_t rank_idx);
    /// Behind what is on it, its index may come again.
    void close_stream(uint32_t rank_idx, uint32_t stream_idx);
    /// EPGEN_UNSUPPORTED on a backend without devices. The caller keeps the stream alive as long as the group.
    uint32_t import_stream(uint32_t rank_idx, uint64_t pointer);
    /// What the stream has so far, for wait_event().
    uint64_t record_event(uint32_t rank_idx, uint32_t stream_idx);
    /// The stream goes on once the event was reached. On a stream that was opened or imported both return when that is
    /// on it, so that the caller's own work comes behind, unless a call before still has to wait: see dispatch().
    void wait_event(uint32_t rank_idx, uint32_t stream_idx, uint64_t event);

    /// Ends with Counts as soon as they are known, before the rows have arrived. Without a completion, errors are kept
    /// for the rank's next write, fill, read or synchronize: one that ends with a wrong index was performed itself.
    ///
    /// With a completion it has to wait while as many as kNumCountRecords of the rank have not counted, and so has
    /// dispatch_layout(); an event while kNumEvents were not reached. Later calls of the rank wait behind it. Nothing
    /// else ever waits, but for a dispatch whose num_worst_tokens is one more than shared records can tell apart: a
    /// call that has returned is on its stream, or on its way there.
    void dispatch(uint32_t rank_idx, const DispatchRequest& request, Completion completion);
    void combine(uint32_t rank_idx, const CombineRequest& request, Completion completion);
    void dispatch_layout(uint32_t rank_idx, const DispatchLayoutRequest& request, Completion completion);
    // group_expert_major.cpp
    void expert_major(uint32_t rank_idx, const ExpertMajorRequest& request, Completion completion);
    void expert_sum(uint32_t rank_idx, const ExpertSumRequest& request, Completion completion);
    void synchronize(uint32_t rank_idx, Completion completion);

    // group_low_latency.cpp. A call is one launch, or a send and later a receive of the same handle.
    /// Errors are kept as those of a dispatch without a completion.
    void ll_dispatch(uint32_t rank_idx, const LlDispatchRequest& request);
    void ll_combine(uint32_t rank_idx, const LlCombineRequest& request, Completion completion);
    void ll_stage(uint32_t rank_idx, const LlStageRequest& request);

    // group_graph.cpp
    /// Until the capture ends, calls and copies are recorded instead of made, and what a graph can't hold is refused.
    /// Gives the number of the graph.
    uint32_t begin_capture();
    void end_capture(Completion completion);
    void cancel_capture();
    /// On all ranks together. An error is kept as that of a dispatch without a completion.
    void replay(uint32_t graph_idx);
    /// Replays that were made before go on. A graph that is not known is none any more.
    void free_graph(uint32_t graph_idx);

    /// What is called between the two starts together, where the backend can arrange it.
    void hold();
    void release();

    /// Waits until all streams are empty, then makes a stopped group usable: all ranks go on as if `epoch` calls had
    /// been made. Calls made before it has ended are refused.
    void reset(uint32_t epoch, Completion completion);

    std::vector<LaunchCounters> launched();

    /// Nothing where the rank's calls may use `num_bytes` at `address`, else what is there.
    std::optional<std::string> refusal(uint32_t rank_idx, uint64_t address, uint64_t num_bytes);

    // group_devices.cpp; EPGEN_UNSUPPORTED on a backend without devices.
    std::vector<std::string> device_calls();
    /// What the caller puts on it comes behind all calls made before; EPGEN_ARGUMENT while one of them has to wait.
    uint64_t stream(uint32_t rank_idx, uint32_t stream_idx);
    /// Takes the time at this place of the rank's stream; the event comes around again after kNumTimingEvents others.
    uint32_t record_time(uint32_t rank_idx);
    float elapsed_ms(uint32_t rank_idx, uint32_t from_event_idx, uint32_t to_event_idx);
    void start_barrier();

    /// Ends everything pending with EPGEN_DISPOSED, stops what runs and waits for it. Repeating it does nothing.
    void shut_down();

private:
    using OperationPtr = RankState::OperationPtr;
    enum class State { open, failing, failed, disposed };
    struct PendingReset {
        uint32_t epoch;
        Completion completion;
    };

    // group_memory.cpp and group_calls.cpp: what a call may ask for, and how it gets onto a stream.
    RankState& rank_at(uint32_t rank_idx);
    std::byte* memory_at(const RankState& rank, const char* name, uint64_t address, uint64_t num_bytes,
                         uint64_t alignment = 1) const;
    void accept_transfer(RankState& rank, uint32_t stream_idx, Completion completion,
                         std::function<void(uint32_t rank_idx)> append);
    void check_tokens(uint32_t num_tokens) const;
    void check_call(uint32_t num_tokens, uint32_t grid) const;
    void check_place(const RankState& rank, uint32_t window_idx, uint32_t stream_idx) const;
    RankState& rank_with(uint32_t rank_idx, uint32_t stream_idx);
    std::future<void> appended_to(const RankState& rank, uint32_t stream_idx) const;
    static bool is_in_window(const RankState& rank, const Module& module, uint64_t address, uint64_t num_bytes);
    const void* bias_at(const RankState& rank, const CombineRequest& request, uint32_t i) const;
    uint64_t handle_bytes(uint64_t num_tokens) const;
    uint64_t number_collective(RankState& rank, Operation& operation, uint32_t window_idx);
    void check_rows_offset(const char* name, uint64_t offset, uint64_t num_bytes) const;
    void set_windows(std::byte* (&window)[kMaxRanks], uint32_t window_idx) const;

    // group_low_latency.cpp
    void check_ll_call(const RankState& rank, uint32_t phases, uint32_t num_tokens, uint32_t window_idx,
                       uint32_t stream_idx) const;
    uint64_t ll_handle_bytes(uint64_t num_tokens) const;
    uint64_t ll_expert_bytes(uint64_t row_bytes) const;
    void* stats_at(const RankState& rank, const char* name, uint64_t address, uint64_t count,
                   uint64_t element_bytes) const;
    uint64_t number_ll(RankState& rank, Operation& operation, const LlSends::Key& key, uint32_t phases);
    void capture_ll_dispatch(RankState& rank, uint32_t stream_idx, LlDispatchCall call, const LlSends::Key& key);
    void capture_ll_combine(const RankState& rank, uint32_t stream_idx, LlCombineCall call, const LlSends::Key& key,
                            const Completion& completion);

    // group_graph.cpp
    uint64_t usual_deadline_ns() const;
    void require_no_capture() const;
    GraphPart& captured_part(const RankState& rank, uint32_t stream_idx) const;
    static void capture_steps(GraphPart& part, std::vector<GraphStep> steps, const Completion& completion);
    static CountRecord* captured_record(RankState& rank, GraphPart& part, uint32_t num_worst_tokens);
    void capture_dispatch(RankState& rank, uint32_t stream_idx, DispatchCall call, const Completion& completion);
    void capture_combine(const RankState& rank, uint32_t stream_idx, CombineCall call, const Completion& completion);
    void end_freed_graphs();

    DeviceHooks& hooks() const;

    // group.cpp: the way of an operation through its stream.
    void require_open() const;
    void require_usable(RankState& rank, bool may_tell_cause = false);
    static OperationPtr make_operation(OperationKind kind, const RankState& rank, Completion completion);
    Backend::End end_of(const OperationPtr& operation);
    void accept(RankState& rank, OperationPtr operation);
    void append_waiting(RankState& rank);
    void ended(const OperationPtr& operation, bool done, Outcome outcome);
    void settle(RankState& rank, Operation& operation, Outcome outcome);

    // group_records.cpp: what kernels tell the host.
    bool take_record(RankState& rank, const OperationPtr& operation);
    void release_record(RankState& rank, Operation& operation);
    static std::shared_ptr<const SharedRecord> shared_record_for(RankState& rank, uint32_t num_worst_tokens);
    static void reset_records(RankState& rank);
    static CountRecord* record_of(const RankState& rank, const Operation& operation);
    void counts_written(uint32_t rank_idx, uint32_t record_idx);
    void finish_counting(RankState& rank, Operation& operation);
    void look_at_shared(RankState& rank, Operation& operation);
    bool finds_earlier_error(RankState& rank, const Operation& operation);

    // group_failure.cpp: one failure stops all ranks, reset() starts them again.
    FaultRecord* fault_of(const Operation& operation) const;
    void find_fault_window(Operation& operation) const;
    bool gave_up(RankState& rank, const OperationPtr& operation);
    bool any_gave_up();
    void conclude_timeout();
    void machine_failed(std::optional<uint32_t> culprit, Error error);
    void stop(Error cause, const std::vector<OperationPtr>& victims);
    Error refusal(RankState& rank, bool may_tell_cause);
    void advance();

    const Module& module_;
    const GroupOptions options_;
    std::mutex mutex_;  // guards all that follows
    State state_ = State::open;
    std::optional<Error> failure_;
    std::optional<PendingReset> reset_;
    std::vector<OperationPtr> victims_;  // calls whose own wait gave up; the first one is the reason
    std::vector<uint64_t> accepted_;     // per rank: collective calls accepted when the first wait gave up
    std::vector<RankState> ranks_;
    std::shared_ptr<Graph> capture_;  // while calls are recorded
    std::map<uint32_t, std::shared_ptr<const Graph>> graphs_;
    std::vector<uint32_t> freed_graphs_;  // that streams may still have
    uint32_t last_graph_idx_ = 0;
    std::unique_ptr<Backend> backend_;
};

}  // namespace epgen
