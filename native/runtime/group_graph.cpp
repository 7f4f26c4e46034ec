#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <utility>

#include "runtime/expect.hpp"
#include "runtime/group.hpp"
#include "runtime/reports.hpp"

namespace epgen {
namespace {

/// Tells a completion once all ranks have told; the first error counts.
class Gathering {
public:
    Gathering(size_t num_ranks, Completion completion) : num_missing_(num_ranks), completion_(std::move(completion)) {}

    void tell(std::optional<Error> error) {
        const std::lock_guard lock(mutex_);
        if (error && !error_) error_ = std::move(error);
        if (--num_missing_ > 0) return;
        error_ ? completion_(std::move(*error_)) : completion_(Finished{});
    }

private:
    std::mutex mutex_;
    size_t num_missing_;
    std::optional<Error> error_;
    Completion completion_;
};

/// As long as it lives the backend starts nothing new, where it can arrange that.
class Hold {
public:
    explicit Hold(Backend& backend) : backend_(backend) { backend_.hold(); }
    ~Hold() { backend_.release(); }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

private:
    Backend& backend_;
};

}  // namespace

uint32_t Group::begin_capture() {
    const std::lock_guard lock(mutex_);
    require_open();
    if (capture_) throw Error(ErrorCode::argument, "Expected one capture at a time");
    for (RankState& rank : ranks_) require_usable(rank);
    capture_ = std::make_shared<Graph>(++last_graph_idx_, std::vector<GraphPart>(ranks_.size()));
    return last_graph_idx_;
}

void Group::cancel_capture() {
    const std::lock_guard lock(mutex_);
    capture_.reset();
}

void Group::end_capture(Completion completion) {
    const std::lock_guard lock(mutex_);
    require_open();
    if (!capture_) throw Error(ErrorCode::argument, "Expected a capture to have begun");
    const std::shared_ptr<Graph> graph = std::exchange(capture_, nullptr);
    for (GraphPart& part : graph->parts) part.ll_sends.clear();
    graphs_.emplace(graph->graph_idx, graph);
    const auto gathering = std::make_shared<Gathering>(ranks_.size(), std::move(completion));
    for (uint32_t rank_idx = 0; rank_idx < ranks_.size(); ++rank_idx) {
        backend_->capture(rank_idx, graph->graph_idx, std::exchange(graph->parts[rank_idx].steps, {}),
                          [gathering](std::optional<Error> error) { gathering->tell(std::move(error)); });
    }
}

/// Longest time that one wait of a call may take, in ns, where it isn't its rank's first.
uint64_t Group::usual_deadline_ns() const {
    return static_cast<uint64_t>(std::llround(options_.deadline_ms * 1e6));
}

void Group::require_capturable(uint32_t stream_idx) const {
    if (stream_idx == kMainStream) return;
    throw Error(ErrorCode::argument, "Expected captured calls to be on their rank's own stream");
}

/// Refuses what can't be part of a graph.
void Group::require_no_capture() const {
    if (capture_) throw Error(ErrorCode::argument, "Expected only calls that a graph can hold while one is captured");
}

void Group::capture_steps(const RankState& rank, uint32_t stream_idx, std::vector<GraphStep> steps,
                          const Completion& completion) {
    require_capturable(stream_idx);
    auto& captured = capture_->parts[rank.rank_idx].steps;
    captured.insert(captured.end(), std::make_move_iterator(steps.begin()), std::make_move_iterator(steps.end()));
    if (completion) completion(Finished{});
}

/// The record that captured dispatches with this limit share. What is in it stays: replays of other graphs may have
/// found it.
std::shared_ptr<const GraphRecord> Group::graph_record_for(RankState& rank, uint32_t num_worst_tokens) {
    std::optional<uint32_t> free_idx;
    for (uint32_t i = 0; i < kNumGraphRecords; ++i) {
        const auto record = rank.graph_records[i].lock();
        if (record && record->num_worst_tokens == num_worst_tokens) return record;
        if (!record && !free_idx) free_idx = i;
    }
    if (!free_idx) {
        throw Error(ErrorCode::argument, "Expected the graphs of a rank to have at most " +
                                             std::to_string(kNumGraphRecords) +
                                             " different numWorstTokens but received one more");
    }
    CountRecord& fresh = *rank.memory.graph_record(*free_idx);
    fresh.num_recv_tokens = 0;
    fresh.bad_token_idx = kNoToken;
    const auto record = std::make_shared<const GraphRecord>(*free_idx, num_worst_tokens);
    rank.graph_records[*free_idx] = record;
    return record;
}

/// As graph_record_for; the graph that is captured keeps the record.
CountRecord* Group::captured_record(RankState& rank, uint32_t num_worst_tokens) {
    auto& records = capture_->parts[rank.rank_idx].records;
    const auto record = graph_record_for(rank, num_worst_tokens);
    if (std::ranges::find(records, record) == records.end()) records.push_back(record);
    return rank.memory.graph_record(record->record_idx);
}

void Group::capture_dispatch(RankState& rank, uint32_t stream_idx, DispatchCall call, const Completion& completion) {
    if (completion) require_no_capture();
    require_capturable(stream_idx);
    if (call.mode != DispatchMode::cached) {
        call.record = captured_record(rank, call.num_worst_tokens);
        call.record_tag = kGraphTag;
    }
    ++capture_->parts[rank.rank_idx].num_dispatches;
    call.deadline_ns = usual_deadline_ns();
    capture_steps(rank, stream_idx, {module_.dispatch(call)}, nullptr);
}

void Group::capture_combine(const RankState& rank, uint32_t stream_idx, CombineCall call,
                            const Completion& completion) {
    ++capture_->parts[rank.rank_idx].num_combines;
    call.deadline_ns = usual_deadline_ns();
    capture_steps(rank, stream_idx, {module_.combine(call)}, completion);
}

void Group::replay(uint32_t graph_idx) {
    const std::lock_guard lock(mutex_);
    require_open();
    require_no_capture();
    for (RankState& rank : ranks_) require_usable(rank);
    const auto found = graphs_.find(graph_idx);
    if (found == graphs_.end()) refuse("graph", "one that was captured and not freed", std::to_string(graph_idx));
    const Hold hold(*backend_);
    for (RankState& rank : ranks_) {
        auto operation = make_operation(OperationKind::graph, rank, nullptr);
        operation->graph = found->second;
        const GraphPart& part = operation->graph->parts[rank.rank_idx];
        operation->deadline_ms = options_.deadline_ms;
        operation->ordinal = rank.num_collectives + 1;
        rank.num_collectives += part.num_collectives();
        operation->append = [this, &part, &rank](const OperationPtr& self) {
            rank.launched.dispatch += part.num_dispatches;
            rank.launched.combine += part.num_combines;
            rank.launched.ll_dispatch += part.num_ll_dispatches;
            rank.launched.ll_combine += part.num_ll_combines;
            backend_->replay(self->rank_idx, self->graph->graph_idx, end_of(self));
        };
        accept(rank, std::move(operation));
    }
}

/// What the dispatches of a replay left in their records. A wrong index or too many rows stay there until they were
/// seen.
Outcome Group::outcome_of_replay(const RankState& rank, const Operation& operation) const {
    Outcome outcome = Finished{};
    for (const auto& graph_record : operation.graph->parts[rank.rank_idx].records) {
        const auto [record_idx, num_worst_tokens] = *graph_record;
        CountRecord& record = *rank.memory.graph_record(record_idx);
        if (record.bad_token_idx != kNoToken) {
            outcome = expert_index_error(rank.rank_idx, record, module_.num_experts);
            // Another replay may be at it.
            std::atomic_ref(record.bad_token_idx).store(kNoToken, std::memory_order_relaxed);
        } else if (num_worst_tokens != 0 && record.num_recv_tokens > num_worst_tokens) {
            outcome = worst_tokens_error(rank.rank_idx, record, num_worst_tokens);
            std::atomic_ref(record.num_recv_tokens).store(0, std::memory_order_relaxed);
        }
    }
    return outcome;
}

void Group::free_graph(uint32_t graph_idx) {
    const std::lock_guard lock(mutex_);
    if (state_ == State::disposed || graphs_.erase(graph_idx) == 0) return;
    freed_graphs_.push_back(graph_idx);
    advance();
}

/// With all streams empty: ending a graph may wait for what runs.
void Group::end_freed_graphs() {
    for (const uint32_t graph_idx : std::exchange(freed_graphs_, {})) {
        for (const RankState& rank : ranks_) backend_->free_graph(rank.rank_idx, graph_idx);
    }
}

}  // namespace epgen
