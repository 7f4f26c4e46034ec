#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "runtime/expect.hpp"
#include "runtime/group.hpp"

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

/// Where the rank's calls on the stream are recorded.
GraphPart& Group::captured_part(const RankState& rank, uint32_t stream_idx) const {
    if (stream_idx == kMainStream) return capture_->parts[rank.rank_idx];
    throw Error(ErrorCode::argument, "Expected captured calls to be on their rank's own stream");
}

/// Refuses what can't be part of a graph.
void Group::require_no_capture() const {
    if (capture_) throw Error(ErrorCode::argument, "Expected only calls that a graph can hold while one is captured");
}

void Group::capture_steps(GraphPart& part, std::vector<GraphStep> steps, const Completion& completion) {
    part.steps.insert(part.steps.end(), std::make_move_iterator(steps.begin()), std::make_move_iterator(steps.end()));
    if (completion) completion(Finished{});
}

/// As shared_record_for; the graph that is captured keeps the record.
CountRecord* Group::captured_record(RankState& rank, GraphPart& part, uint32_t num_worst_tokens) {
    const auto record = shared_record_for(rank, num_worst_tokens);
    if (!record) {
        throw Error(ErrorCode::argument, "Expected the graphs of a rank, and calls that nobody waits for, to have at most " +
                                             std::to_string(kNumSharedRecords - 1) +
                                             " different numWorstTokens but received one more");
    }
    if (std::ranges::find(part.records, record) == part.records.end()) part.records.push_back(record);
    return rank.memory.shared_record(record->record_idx);
}

void Group::capture_dispatch(RankState& rank, uint32_t stream_idx, DispatchCall call, const Completion& completion) {
    if (completion) require_no_capture();
    GraphPart& part = captured_part(rank, stream_idx);
    if (call.mode != DispatchMode::cached) {
        call.record = captured_record(rank, part, call.num_worst_tokens);
        call.record_tag = kSharedTag;
    }
    ++part.num_dispatches;
    call.deadline_ns = usual_deadline_ns();
    capture_steps(part, {module_.dispatch(call)}, nullptr);
}

void Group::capture_combine(const RankState& rank, uint32_t stream_idx, CombineCall call,
                            const Completion& completion) {
    GraphPart& part = captured_part(rank, stream_idx);
    ++part.num_combines;
    call.deadline_ns = usual_deadline_ns();
    capture_steps(part, {module_.combine(call)}, completion);
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
        operation->shared_records = part.records;
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
