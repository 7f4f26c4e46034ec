// Accesses of a run: stores and bulk copies with their way to memory, what waits saw, and how threads of a block meet.
#include "simt/bulk.hpp"
#include "simt/trace_args.hpp"
#include "simt/trace_events.hpp"

namespace epgen::simt {

namespace {

constexpr std::size_t kMaxWriters = 32;  // of one word, that a wait on it is shown to have seen

const char* order_name(Order order) {
    switch (order) {
        case Order::weak: return "weak";
        case Order::relaxed: return "relaxed";
        case Order::acquire: return "acquire";
        case Order::release: return "release";
    }
    return "unknown";
}

const char* scope_name(Scope scope) {
    switch (scope) {
        case Scope::none: return "none";
        case Scope::block: return "block";
        case Scope::gpu: return "gpu";
        case Scope::sys: return "sys";
    }
    return "unknown";
}

JsonObject access_args(const Fiber& fiber, const Access& access, uint64_t value) {
    JsonObject args = thread_args(fiber, access.place);
    args.text("object", object_name(access.object))
        .text("order", order_name(access.order))
        .text("scope", scope_name(access.scope))
        .hex("value", value);
    add_address(args, access.address);
    return args;
}

JsonObject mbarrier_args(JsonObject args, const void* mbarrier, const char* name, uint64_t phase) {
    return args.text("object", object_name(name))
        .hex("mbarrier", reinterpret_cast<uintptr_t>(mbarrier))
        .number("phase", static_cast<int64_t>(phase));
}

std::string list_of(const std::vector<uint64_t>& numbers) {
    std::string list;
    for (const uint64_t number : numbers) list += (list.empty() ? "" : ",") + std::to_string(number);
    return "[" + list + "]";
}

}  // namespace

void TraceEvents::remember(uint64_t now_ns, uint32_t rank_idx, uint32_t block_idx, uint32_t thread_idx,
                           Place place) {
    at(now_ns);
    if (options_.remembers_accesses) seen_at_[place_key(rank_idx, block_idx, thread_idx, place)] = now_ns;
}

void TraceEvents::remember(uint64_t now_ns, const Fiber& fiber, Place place) {
    remember(now_ns, fiber.rank_idx, fiber.block_idx, fiber.thread_idx, place);
}

void TraceEvents::weak_access(uint64_t now_ns, const Fiber& fiber, const Access& access) {
    remember(now_ns, fiber, access.place);
}

void TraceEvents::wait_succeeds(uint64_t now_ns, const Fiber& fiber, const Access& access, uint64_t value) {
    remember(now_ns, fiber, access.place);
    const std::vector<uint64_t>& writers = writers_[reinterpret_cast<uintptr_t>(access.address)];
    const JsonObject args = access_args(fiber, access, value).json("from", list_of(writers));
    const TraceRow row = row_of(fiber);
    writer_.step(now_ns, row, access.order == Order::acquire ? "acquire" : "load", access.what, args);
    for (const uint64_t number : writers) writer_.arrow(now_ns, row, false, number);
}

uint64_t TraceEvents::store_issued(uint64_t now_ns, const Fiber& fiber, const Access& access, uint64_t value) {
    remember(now_ns, fiber, access.place);
    const uint64_t number = ++last_number_;
    const bool is_rmw = access.kind == AccessKind::read_modify_write;
    const JsonObject args = access_args(fiber, access, value).number("number", static_cast<int64_t>(number));
    const TraceRow row = row_of(fiber);
    writer_.step(now_ns, row, is_rmw ? "rmw" : "store", access.what, args);
    writer_.arrow(now_ns, row, true, number);
    const auto word = reinterpret_cast<uintptr_t>(access.address);
    stores_[number] = {row.pid, access.what, "store on its way", args.str(), now_ns, now_ns, word, is_rmw};
    return number;
}

void TraceEvents::store_visible(uint64_t now_ns, uint64_t number) {
    const auto found = stores_.find(number);
    if (found == stores_.end()) return;
    std::vector<uint64_t>& writers = writers_[found->second.word];
    // An RMW continues the release sequence.
    if (!found->second.is_rmw) writers.clear();
    if (writers.size() == kMaxWriters) writers.erase(writers.begin());
    writers.push_back(number);
    end_flight(now_ns, stores_, number);
}

void TraceEvents::fence(uint64_t now_ns, const Fiber& fiber, const char* what, Place place) {
    at(now_ns);
    writer_.instant(now_ns, row_of(fiber), "fence", what, thread_args(fiber, place));
}

// On the way

std::string TraceEvents::Flight::text(uint64_t number, uint64_t end_ns) const {
    const auto event = [&](const char* phase, uint64_t time_ns) {
        return JsonObject()
            .text("ph", phase)
            .text("name", name)
            .text("cat", category)
            .number("pid", pid)
            .hex("id", number)
            .time("ts", time_ns);
    };
    std::string events;
    TraceFile::append(events, event("b", issued_ns).json("args", args));
    if (read_ns != issued_ns) {
        TraceFile::append(events, event("n", read_ns).json("args", JsonObject().text("event", "source read").str()));
    }
    TraceFile::append(events, event("e", end_ns));
    return events;
}

void TraceEvents::end_flight(uint64_t now_ns, Flights& flights, uint64_t number) {
    at(now_ns);
    const auto found = flights.find(number);
    if (found == flights.end()) return;
    // Where stores are not delayed, nobody can see one on its way.
    if (found->second.issued_ns != now_ns) writer_.whole(found->second.text(number, now_ns), now_ns);
    flights.erase(found);
}

uint64_t TraceEvents::copy_issued(uint64_t now_ns, const BulkCopy& copy) {
    remember(now_ns, copy.rank_idx, copy.block_idx, copy.thread_idx, copy.place);
    const uint64_t number = ++last_number_;
    JsonObject args = thread_args(copy.rank_idx, copy.block_idx, copy.thread_idx, copy.place);
    args.text("from", object_name(copy.from.name))
        .text("object", object_name(copy.to.name))
        .number("bytes", copy.bytes)
        .number("number", static_cast<int64_t>(number));
    if (!copy.is_store) args.hex("mbarrier", reinterpret_cast<uintptr_t>(copy.mbarrier));
    add_address(args, copy.is_store ? copy.to.data : copy.from.data);
    const uint32_t pid = writer_.stream(copy.launch->stream()).pid;
    copies_[number] = {pid, copy.name(), "bulk copy", args.str(), now_ns, now_ns, 0, false};
    return number;
}

void TraceEvents::copy_source_read(uint64_t now_ns, uint64_t number) {
    at(now_ns);
    const auto found = copies_.find(number);
    if (found != copies_.end()) found->second.read_ns = now_ns;
}

void TraceEvents::copy_visible(uint64_t now_ns, uint64_t number) { end_flight(now_ns, copies_, number); }

// Meetings

void TraceEvents::mbarrier_init(uint64_t now_ns, const Fiber& fiber, const void* mbarrier, const char* name,
                                Place place) {
    remember(now_ns, fiber, place);
    mbarriers_[mbarrier] = {name, writer_.block(fiber.block->launch->stream(), fiber.block_idx), 0, {}};
}

void TraceEvents::mbarrier_arrives(uint64_t now_ns, const Fiber& fiber, const void* mbarrier, const char* name,
                                   uint32_t expected_bytes, Place place) {
    remember(now_ns, fiber, place);
    const char* what = expected_bytes == 0 ? "mbarrier_arrive" : "mbarrier_arrive_expect_tx";
    const JsonObject args = mbarrier_args(thread_args(fiber, place), mbarrier, name, mbarriers_[mbarrier].phase);
    writer_.step(now_ns, row_of(fiber), "mbarrier arrival", what, args);
}

void TraceEvents::mbarrier_phase_ends(uint64_t now_ns, const void* mbarrier) {
    at(now_ns);
    const auto found = mbarriers_.find(mbarrier);
    if (found == mbarriers_.end()) return;
    Mbarrier& state = found->second;
    const JsonObject args = mbarrier_args({}, mbarrier, state.name, state.phase);
    writer_.instant(now_ns, state.block, "mbarrier phase", "phase ends", args);
    ++state.phase;
    state.passed.clear();
}

void TraceEvents::mbarrier_wait_succeeds(uint64_t now_ns, const Fiber& fiber, const void* mbarrier, const char* name,
                                         uint32_t, Place place) {
    remember(now_ns, fiber, place);
    const auto found = mbarriers_.find(mbarrier);
    // Success means that the phase before the one in progress has ended.
    if (found == mbarriers_.end() || !found->second.passed.insert(warp_key(fiber)).second) return;
    const JsonObject args = mbarrier_args(thread_args(fiber, place), mbarrier, name, found->second.phase - 1);
    writer_.step(now_ns, row_of(fiber), "mbarrier wait", "wait_mbarrier", args);
}

void TraceEvents::block_meets(uint64_t now_ns, const Fiber& last, Place place) {
    at(now_ns);
    const TraceRow row = writer_.block(last.block->launch->stream(), last.block_idx);
    writer_.instant(now_ns, row, "barrier", "sync_block", thread_args(last, place));
}

}  // namespace epgen::simt
