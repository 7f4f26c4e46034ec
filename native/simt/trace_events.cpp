// Streams, waits and findings of a run.
#include "simt/trace_events.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <system_error>

#include "device/record.cuh"
#include "simt/check/race_report.hpp"
#include "simt/engine.hpp"
#include "simt/trace_args.hpp"

namespace epgen::simt {

namespace {

uint32_t lane_bit(const Fiber& fiber) { return 1u << fiber.thread_idx % kWarpLanes; }

JsonObject wait_args(const Fiber& fiber, const WaitNote& note) {
    JsonObject args = thread_args(fiber, note.place);
    if (fiber.state == FiberState::on_address) add_address(args, reinterpret_cast<const void*>(fiber.address));
    if (note.op != 0) {
        args.text("op", op_name(static_cast<Op>(note.op)))
            .number("epoch", note.epoch)
            .number("expected", static_cast<int64_t>(note.expected))
            .number("seen", static_cast<int64_t>(note.seen));
    }
    if (note.peer_idx >= 0) args.number("peer", note.peer_idx);
    if (note.channel_idx >= 0) args.number("channel", note.channel_idx);
    return args;
}

/// Who waits, for a deadlock.
std::string places_of(const std::vector<Waiting>& groups) {
    std::string list;
    for (const Waiting& waiting : groups) {
        const uint32_t lane = static_cast<uint32_t>(std::countr_zero(waiting.lane_mask));
        const Place place{waiting.file.c_str(), waiting.line};
        const uint32_t thread_idx = waiting.warp_idx * kWarpLanes + lane;
        list += (list.empty() ? "" : ",") +
                thread_args(waiting.rank_idx, waiting.block_idx, thread_idx, place).text("what", waiting.what).str();
    }
    return "[" + list + "]";
}

}  // namespace

TraceEvents::TraceEvents(TraceOptions options)
    : options_(std::move(options)), writer_(options_.path, options_.process, options_.max_bytes) {
    if (!flush()) throw std::system_error(errno, std::generic_category(), options_.path);
}

TraceEvents::~TraceEvents() { flush(); }

void TraceEvents::at(uint64_t now_ns) {
    last_ns_ = now_ns;
    if (writer_.wants_flush()) flush();
}

bool TraceEvents::flush() {
    std::string closing;
    for (const auto& [number, store] : stores_) closing += store.text(number, last_ns_);
    for (const auto& [number, copy] : copies_) closing += copy.text(number, last_ns_);
    for (const auto& [warp, waits] : waits_) {
        for (const Wait& wait : waits) closing += TraceWriter::end_event(last_ns_, wait.slice);
    }
    for (const auto& [block, slice] : blocks_) closing += TraceWriter::end_event(last_ns_, slice);
    for (const auto& [process, slice] : kernels_) closing += TraceWriter::end_event(last_ns_, slice);
    JsonObject notes;
    for (const auto& [name, text] : options_.notes) notes.text(name.c_str(), text);
    return writer_.flush(closing, notes);
}

TraceRow TraceEvents::row_of(const Fiber& fiber, uint32_t slot) {
    return writer_.warp(fiber.block->launch->stream(), fiber.block_idx, fiber.thread_idx / kWarpLanes, slot);
}

// Streams

void TraceEvents::kernel_starts(uint64_t now_ns, StreamId stream, const char* name, uint32_t grid) {
    at(now_ns);
    const JsonObject args = JsonObject().number("rank", stream.rank_idx).number("grid", grid);
    kernels_[process_of(stream)] = writer_.begin(now_ns, writer_.stream(stream), "kernel", name, args);
}

void TraceEvents::kernel_ends(uint64_t now_ns, StreamId stream) {
    at(now_ns);
    const auto kernel = kernels_.find(process_of(stream));
    if (kernel == kernels_.end()) return;
    // What a fault has left open.
    std::erase_if(waits_, [&](const auto& entry) {
        if (process_of_key(entry.first) != process_of(stream)) return false;
        for (const Wait& wait : entry.second) writer_.end(now_ns, wait.slice);
        return true;
    });
    std::erase_if(blocks_, [&](const auto& entry) {
        if (entry.second.row.pid != kernel->second.row.pid) return false;
        writer_.end(now_ns, entry.second);
        return true;
    });
    writer_.end(now_ns, kernel->second);
    kernels_.erase(kernel);
    flush();
}

void TraceEvents::stream_task(uint64_t now_ns, StreamId stream, const char* what, const void* data,
                              uint64_t bytes) {
    at(now_ns);
    JsonObject args = JsonObject().number("rank", stream.rank_idx).number("bytes", static_cast<int64_t>(bytes));
    if (data != nullptr) add_address(args, data);
    writer_.instant(now_ns, writer_.stream(stream), "task", what, args);
}

void TraceEvents::block_starts(uint64_t now_ns, const Block& block) {
    at(now_ns);
    const Launch& launch = *block.launch;
    const JsonObject args = JsonObject()
                                .number("rank", launch.rank_idx)
                                .number("block", block.block_idx)
                                .number("threads", block.num_threads());
    const TraceRow row = writer_.block(launch.stream(), block.block_idx);
    blocks_[&block] = writer_.begin(now_ns, row, "block", launch.kernel.entry->name, args);
}

void TraceEvents::block_ends(uint64_t now_ns, const Block& block) {
    at(now_ns);
    const auto found = blocks_.find(&block);
    if (found == blocks_.end()) return;
    writer_.end(now_ns, found->second);
    blocks_.erase(found);
}

// Waits

void TraceEvents::parks(uint64_t now_ns, const Fiber& fiber) {
    if (fiber.state == FiberState::at_warp) return;
    at(now_ns);
    const WaitNote& note = *fiber.note;
    const uintptr_t address = fiber.state == FiberState::on_address ? fiber.address : 0;
    std::vector<Wait>& waits = waits_[warp_key(fiber)];
    for (Wait& wait : waits) {
        if (wait.address != address || wait.place.line != note.place.line || wait.name != note.what) continue;
        wait.waiting |= lane_bit(fiber);
        wait.all |= lane_bit(fiber);
        return;
    }
    uint32_t slot = 1;
    while (std::any_of(waits.begin(), waits.end(), [&](const Wait& wait) { return wait.slot == slot; })) ++slot;
    const TraceSlice slice = writer_.begin(now_ns, row_of(fiber, slot), "wait", note.what, wait_args(fiber, note));
    waits.push_back({slice, slot, note.place, address, note.what, lane_bit(fiber), lane_bit(fiber)});
}

void TraceEvents::goes_on(uint64_t now_ns, const Fiber& fiber) {
    const auto found = waits_.find(warp_key(fiber));
    if (found == waits_.end()) return;
    at(now_ns);
    std::erase_if(found->second, [&](Wait& wait) {
        if ((wait.waiting & lane_bit(fiber)) == 0) return false;
        wait.waiting &= ~lane_bit(fiber);
        if (wait.waiting != 0) return false;
        writer_.end(now_ns, wait.slice, JsonObject().number("lanes", std::popcount(wait.all)));
        return true;
    });
}

// Findings

void TraceEvents::fault(uint64_t now_ns, const FaultReport& report) {
    at(now_ns);
    const Place place{report.file.c_str(), report.line};
    const JsonObject args = thread_args(report.rank_idx, report.block_idx, report.thread_idx, place)
                                .text("message", report.message)
                                .json("places", places_of(report.waiting));
    const std::string name = std::string("fault: ") + fault_kind_name(report.kind);
    writer_.finding(now_ns, writer_.stream({report.rank_idx, 0}), "fault", name, args);
    flush();
}

std::string TraceEvents::side_of(const RaceSide& access, uint64_t now_ns) const {
    const uint32_t thread_idx = access.warp_idx * kWarpLanes + access.lane_idx;
    const Place place{access.file.c_str(), access.line};
    const auto seen_at = seen_at_.find(place_key(access.rank_idx, access.block_idx, thread_idx, place));
    const bool is_known = access.agent != Agent::stream && seen_at != seen_at_.end();
    return thread_args(access.rank_idx, access.block_idx, thread_idx, place)
        .text("agent", agent_name(access.agent))
        .text("what", access.what)
        .text("object", access.object)
        .time("ts", is_known ? seen_at->second : now_ns)
        .str();
}

void TraceEvents::race(uint64_t now_ns, const RaceReport& report) {
    at(now_ns);
    const std::string places = "[" + side_of(report.first, now_ns) + "," + side_of(report.second, now_ns) + "]";
    const JsonObject args =
        JsonObject().text("message", report.text()).text("remedy", report.remedy).json("places", places);
    writer_.finding(now_ns, writer_.stream({report.second.rank_idx, 0}), "race", "race", args);
}

}  // namespace epgen::simt
