#include <cmath>
#include <utility>

#include "runtime/expect.hpp"
#include "runtime/group.hpp"

namespace epgen {

DeviceHooks& Group::hooks() const {
    require_open();
    if (DeviceHooks* hooks = backend_->hooks()) return *hooks;
    throw Error(ErrorCode::unsupported, std::string("The ") + backend_name() + " backend has no devices");
}

std::vector<std::string> Group::device_calls() {
    const std::lock_guard lock(mutex_);
    return hooks().calls();
}

uint64_t Group::stream(uint32_t rank_idx, uint32_t stream_idx) {
    std::unique_lock lock(mutex_);
    const RankState& rank = rank_with(rank_idx, stream_idx);
    const uint64_t stream = hooks().stream(rank_idx, stream_idx);
    // Waiting here could take for ever: other ranks' calls may have to come first.
    if (state_ == State::open && !rank.waiting.empty()) {
        throw Error(ErrorCode::argument, "Expected all calls of rank " + std::to_string(rank_idx) +
                                             " to be on their streams but " + std::to_string(rank.waiting.size()) +
                                             " wait, for one of " + std::to_string(kNumCountRecords) +
                                             " dispatches to count or of " + std::to_string(kNumEvents) +
                                             " events to be reached: await a dispatch, then read the stream");
    }
    const std::future<void> appended = backend_->appended(rank_idx);
    lock.unlock();
    if (appended.valid()) appended.wait();
    return stream;
}

uint32_t Group::record_time(uint32_t rank_idx) {
    const std::lock_guard lock(mutex_);
    DeviceHooks& hooks = this->hooks();
    RankState& rank = rank_at(rank_idx);
    require_usable(rank);
    const uint32_t event_idx = rank.num_marks++ % kNumTimingEvents;
    auto operation = make_operation(OperationKind::mark, rank, nullptr);
    operation->append = [&hooks, event_idx](const OperationPtr& self) { hooks.record(self->rank_idx, event_idx); };
    accept(rank, std::move(operation));
    return event_idx;
}

float Group::elapsed_ms(uint32_t rank_idx, uint32_t from_event_idx, uint32_t to_event_idx) {
    const std::lock_guard lock(mutex_);
    DeviceHooks& hooks = this->hooks();
    RankState& rank = rank_at(rank_idx);
    expect_within("from", from_event_idx, 0, kNumTimingEvents - 1);
    expect_within("to", to_event_idx, 0, kNumTimingEvents - 1);
    return hooks.elapsed_ms(rank.rank_idx, from_event_idx, to_event_idx);
}

void Group::start_barrier() {
    const std::lock_guard lock(mutex_);
    DeviceHooks& hooks = this->hooks();
    for (RankState& rank : ranks_) {
        require_usable(rank);
        if (!rank.waiting.empty()) {
            throw Error(ErrorCode::argument, "Expected a start barrier to come after all calls have been started");
        }
    }
    hooks.start_barrier(static_cast<uint64_t>(std::llround(options_.deadline_ms * 1e6)));
}

}  // namespace epgen
