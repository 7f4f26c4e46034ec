// All ranks of one host: their memory, their streams, and one shared fate when a call fails.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/backend.hpp"
#include "runtime/module.hpp"
#include "runtime/rank_state.hpp"

namespace epgen {

struct GroupOptions {
    uint64_t seed;
    double deadline_ms;             // longest time that one wait of a call may take
    double first_deadline_ms;       // the same for a rank's first collective call
    std::vector<uint32_t> devices;  // ordinal per rank; means nothing to a backend without devices
};

/// Addresses are device addresses of the rank that makes the call.
struct DispatchRequest {
    uint32_t num_tokens;
    uint64_t x, topk_idx, topk_weights, handle;
    uint32_t buffer_idx;
    uint32_t grid;
};

struct CombineRequest {
    uint32_t num_tokens;
    uint64_t handle, out;
    uint64_t input_offset;  // bytes from the start of the window
    uint32_t grid;
};

struct DispatchLayoutRequest {
    uint32_t num_tokens;
    uint64_t topk_idx, num_tokens_per_rank, num_tokens_per_expert, is_token_in_rank;
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
    uint64_t window_base(uint32_t rank_idx);
    uint64_t arena_base(uint32_t rank_idx);

    void write(uint32_t rank_idx, uint64_t address, std::span<const std::byte> bytes, Completion completion);
    void fill(uint32_t rank_idx, uint64_t address, uint64_t num_bytes, uint8_t value, Completion completion);
    void read(uint32_t rank_idx, uint64_t address, uint64_t num_bytes, Completion completion);
    void copy(uint32_t rank_idx, uint64_t to, uint64_t from, uint64_t num_bytes);
    void delay(uint32_t rank_idx, uint64_t ns);

    /// Ends with Counts as soon as they are known, before the rows have arrived. Without a completion, errors are kept
    /// for the rank's next write, fill, read or synchronize: one that ends with a wrong index was performed itself.
    void dispatch(uint32_t rank_idx, const DispatchRequest& request, Completion completion);
    void combine(uint32_t rank_idx, const CombineRequest& request, Completion completion);
    void dispatch_layout(uint32_t rank_idx, const DispatchLayoutRequest& request, Completion completion);
    void synchronize(uint32_t rank_idx, Completion completion);

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
    uint64_t stream(uint32_t rank_idx);
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
    void accept_transfer(RankState& rank, Completion completion, std::function<void(uint32_t rank_idx)> append);
    void check_call(uint32_t num_tokens, uint32_t grid) const;
    uint64_t handle_bytes(uint64_t num_tokens) const;
    uint64_t number_collective(RankState& rank, Operation& operation);
    void set_windows(std::byte* (&window)[kMaxRanks]) const;

    DeviceHooks& hooks() const;

    // group.cpp: the way of an operation through its stream.
    void require_open() const;
    void require_usable(RankState& rank, bool may_tell_cause = false);
    static OperationPtr make_operation(OperationKind kind, const RankState& rank, Completion completion);
    Backend::End end_of(const OperationPtr& operation);
    void accept(RankState& rank, OperationPtr operation);
    void append_waiting(RankState& rank);
    void take_record(RankState& rank, const OperationPtr& operation);
    void release_record(RankState& rank, Operation& operation);
    void counts_written(uint32_t rank_idx, uint32_t record_idx);
    void finish_counting(RankState& rank, Operation& operation);
    void ended(const OperationPtr& operation, bool done, Outcome outcome);
    void settle(RankState& rank, Operation& operation, Outcome outcome);

    // group_failure.cpp: one failure stops all ranks, reset() starts them again.
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
    std::unique_ptr<Backend> backend_;
};

}  // namespace epgen
