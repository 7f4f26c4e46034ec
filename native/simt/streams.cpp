// Streams: one task at a time, in order.
#include <cstring>

#include "simt/engine.hpp"

namespace epgen::simt {

Bytes Bytes::uninitialised(uint64_t size) { return {std::make_unique_for_overwrite<std::byte[]>(size), size}; }

Bytes Bytes::copy_of(const void* from, uint64_t size) {
    Bytes bytes = uninitialised(size);
    if (size > 0) std::memcpy(bytes.data.get(), from, size);
    return bytes;
}

namespace {

template <class... Cases>
struct Overloaded : Cases... {
    using Cases::operator()...;
};

}  // namespace

void Engine::advance_streams() {
    do {
        event_was_reached_ = false;
        for (Stream& stream : streams_) {
            while (!schedule.holds_back_rank(stream.id.rank_idx) && advance(stream)) {
            }
        }
    } while (event_was_reached_);
}

/// Lets the stream of a rank that is held back take one task; whether it did.
bool Engine::advance_held() {
    for (Stream& stream : streams_) {
        if (schedule.holds_back_rank(stream.id.rank_idx) && advance(stream)) return true;
    }
    return false;
}

/// Whether the head of the queue has to wait for its timer, which is set first where there is none.
bool Engine::wait_for_timer(Stream& stream, uint64_t delay_ns) {
    if (!stream.has_timer) {
        stream.has_timer = true;
        stream.timer_ns = now() + delay_ns;
    }
    if (now() < stream.timer_ns) return true;
    stream.has_timer = false;
    return false;
}

/// Whether the stream may be able to go on.
bool Engine::advance(Stream& stream) {
    if (stream.launch != nullptr) {
        if (!stream.launch->is_over()) return false;
        finish_launch(stream);
        return true;
    }
    if (stream.queue.empty()) return false;
    const Task& head = stream.queue.front();
    if (const auto* delay = std::get_if<Delay>(&head)) {
        if (wait_for_timer(stream, delay->ns)) return false;
    } else if (const auto* wait = std::get_if<WaitEvent>(&head)) {
        if (!wait->event->is_reached) return false;
    } else if (std::holds_alternative<Kernel>(head)) {
        if (wait_for_timer(stream, stream.has_timer ? 0 : schedule.start_delay_ns())) return false;
    }
    Task task = std::move(stream.queue.front());
    stream.queue.pop_front();
    perform(stream, std::move(task));
    return true;
}

void Engine::perform(Stream& stream, Task task) {
    const auto [rank_idx, stream_idx] = stream.id;
    const auto watch = [&](AccessKind kind, const void* data, uint64_t bytes, const char* what) {
        if (checker != nullptr) checker->stream_access(stream.id, kind, data, bytes, what);
    };
    const auto trace = [&](const char* what, const void* data, uint64_t bytes) {
        if (tracer != nullptr) tracer->stream_task(now(), stream.id, what, data, bytes);
    };
    const auto written = [&](const void* to, uint64_t bytes, const char* what) {
        watch(AccessKind::store, to, bytes, what);
        trace(what, to, bytes);
        notify_range(reinterpret_cast<uintptr_t>(to), bytes);
    };
    std::visit(Overloaded{
                   [&](Kernel& kernel) {
                       auto launch = std::make_unique<Launch>();
                       launch->kernel = std::move(kernel);
                       launch->rank_idx = rank_idx;
                       launch->stream_idx = stream_idx;
                       launch->trickles = schedule.trickles();
                       launch->unstarted = schedule.block_order(launch->kernel.grid);
                       schedule.kernel_starts(num_steps_);
                       if (checker != nullptr) checker->kernel_starts(*launch);
                       if (tracer != nullptr) {
                           tracer->kernel_starts(now(), stream.id, launch->kernel.entry->name, launch->kernel.grid);
                       }
                       stream.launch = std::move(launch);
                   },
                   [&](Copy& copy) {
                       if (copy.bytes > 0) std::memmove(copy.to, copy.from, copy.bytes);
                       watch(AccessKind::load, copy.from, copy.bytes, "copy");
                       written(copy.to, copy.bytes, "copy");
                   },
                   [&](Fill& fill) {
                       if (fill.bytes > 0) std::memset(fill.to, fill.value, fill.bytes);
                       written(fill.to, fill.bytes, "fill");
                   },
                   [&](Upload& upload) {
                       if (upload.from.size > 0) std::memcpy(upload.to, upload.from.data.get(), upload.from.size);
                       written(upload.to, upload.from.size, "upload");
                   },
                   [&](Download& download) {
                       watch(AccessKind::load, download.from, download.bytes, "download");
                       trace("download", download.from, download.bytes);
                       deliver_races();
                       publish();
                       if (download.on_done) {
                           download.on_done(Status::done, Bytes::copy_of(download.from, download.bytes));
                       }
                   },
                   [&](Callback& callback) {
                       trace("callback", nullptr, 0);
                       deliver_races();
                       publish();
                       if (callback.on_reached) callback.on_reached(Status::done);
                   },
                   [&](Delay&) { trace("delay", nullptr, 0); },
                   [&](RecordEvent& record) {
                       if (checker != nullptr) record.event->known = checker->event_recorded(stream.id);
                       trace("record event", nullptr, 0);
                       record.event->is_reached = event_was_reached_ = true;
                   },
                   [&](WaitEvent& wait) {
                       if (checker != nullptr) checker->event_waited(stream.id, wait.event->known);
                       trace("wait for event", nullptr, 0);
                   },
               },
               task);
}

void Engine::finish_launch(Stream& stream) {
    const auto launch = std::move(stream.launch);
    if (checker != nullptr) checker->kernel_ends(*launch);
    if (weak_memory != nullptr) weak_memory->kernel_ends(*launch);
    if (tracer != nullptr) tracer->kernel_ends(now(), stream.id);
    deliver_races();
    ++num_kernels_;
    bool runs = false;
    for (const Stream& other : streams_) runs |= other.launch != nullptr;
    if (!runs) idle_at_timeout_.reset();
    publish();
    if (launch->kernel.on_done) launch->kernel.on_done(aborting ? Status::dropped : Status::done);
}

/// With nothing else to do, moves the clock to the next timer or deadline; false when no timer is set.
bool Engine::jump_to_timer() {
    uint64_t next_ns = kNoDeadline;
    for (const Stream& stream : streams_) {
        if (stream.has_timer) next_ns = std::min(next_ns, stream.timer_ns);
    }
    if (next_ns == kNoDeadline) return false;
    next_ns = std::min(next_ns, earliest_deadline());
    if (next_ns > now()) clock_offset_ns_ += next_ns - now();
    return true;
}

void Engine::drop(Task task) {
    std::visit(Overloaded{
                   [](Kernel& kernel) {
                       if (kernel.on_done) kernel.on_done(Status::dropped);
                   },
                   [](Download& download) {
                       if (download.on_done) download.on_done(Status::dropped, Bytes{});
                   },
                   [](Callback& callback) {
                       if (callback.on_reached) callback.on_reached(Status::dropped);
                   },
                   [](RecordEvent& record) { record.event->is_reached = true; },
                   [](auto&) {},
               },
               task);
}

void Engine::drop_queued() {
    for (Stream& stream : streams_) {
        std::deque<Task> queue;
        queue.swap(stream.queue);
        stream.has_timer = false;
        for (Task& task : queue) drop(std::move(task));
    }
}

}  // namespace epgen::simt
