#include <utility>

#include "runtime/expect.hpp"
#include "runtime/group.hpp"

namespace epgen {
namespace {

uint32_t next_of(const StreamTable& streams, uint32_t rank_idx) {
    if (const auto next = streams.next()) return *next;
    throw Error(ErrorCode::argument, "Expected rank " + std::to_string(rank_idx) + " to have at most " +
                                         std::to_string(kMaxStreams) + " streams at once");
}

}  // namespace

// A stream that the backend refuses takes no place.

uint32_t Group::open_stream(uint32_t rank_idx) {
    const std::lock_guard lock(mutex_);
    StreamTable& streams = rank_at(rank_idx).streams;
    if (const auto reopened = streams.reopen()) return *reopened;
    const uint32_t stream_idx = next_of(streams, rank_idx);
    backend_->open_stream(rank_idx, stream_idx);
    streams.add();
    return stream_idx;
}

void Group::close_stream(uint32_t rank_idx, uint32_t stream_idx) {
    const std::lock_guard lock(mutex_);
    RankState& rank = rank_with(rank_idx, stream_idx);
    expect_within("stream", stream_idx, 1 + options_.num_windows, kMaxStreams - 1);
    rank.streams.close(stream_idx);
}

uint32_t Group::import_stream(uint32_t rank_idx, uint64_t pointer) {
    const std::lock_guard lock(mutex_);
    DeviceHooks& hooks = this->hooks();
    StreamTable& streams = rank_at(rank_idx).streams;
    if (const auto imported = streams.imported(pointer)) return *imported;
    const uint32_t stream_idx = next_of(streams, rank_idx);
    hooks.import_stream(rank_idx, stream_idx, pointer);
    streams.add_imported(pointer);
    return stream_idx;
}

/// A caller puts work of its own on a stream that is neither the rank's nor a window's, behind what is there by then.
std::future<void> Group::appended_to(const RankState& rank, uint32_t stream_idx) const {
    return stream_idx > options_.num_windows ? backend_->appended(rank.rank_idx) : std::future<void>();
}

uint64_t Group::record_event(uint32_t rank_idx, uint32_t stream_idx) {
    std::unique_lock lock(mutex_);
    RankState& rank = rank_with(rank_idx, stream_idx);
    require_usable(rank);
    auto operation = make_operation(OperationKind::event, rank, nullptr);
    const uint64_t event = operation->event = rank.events.number();
    operation->append = [this, stream_idx, &rank](const OperationPtr& self) {
        backend_->record_event(self->rank_idx, stream_idx, *rank.events.pending(self->event), end_of(self));
    };
    accept(rank, std::move(operation));
    const std::future<void> appended = appended_to(rank, stream_idx);
    lock.unlock();
    if (appended.valid()) appended.wait();
    return event;
}

void Group::wait_event(uint32_t rank_idx, uint32_t stream_idx, uint64_t event) {
    std::unique_lock lock(mutex_);
    RankState& rank = rank_with(rank_idx, stream_idx);
    if (!rank.events.knows(event)) {
        refuse("event", "an event of rank " + std::to_string(rank_idx), std::to_string(event));
    }
    require_usable(rank);
    auto operation = make_operation(OperationKind::mark, rank, nullptr);
    operation->append = [this, stream_idx, event, &rank](const OperationPtr& self) {
        // What follows comes after an event that was reached anyway.
        const auto event_idx = rank.events.pending(event);
        if (event_idx) backend_->wait_event(self->rank_idx, stream_idx, *event_idx);
    };
    accept(rank, std::move(operation));
    const std::future<void> appended = appended_to(rank, stream_idx);
    lock.unlock();
    if (appended.valid()) appended.wait();
}

}  // namespace epgen
