// Faults and deadlocks: what is reported, and what happens to the kernels.
#include <algorithm>
#include <bit>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <tuple>

#include "device/record.cuh"
#include "simt/engine.hpp"
#include "simt/mbarrier.hpp"

namespace epgen::simt {

const char* fault_kind_name(FaultKind kind) {
    switch (kind) {
        case FaultKind::access: return "access";
        case FaultKind::mismatch: return "mismatch";
        case FaultKind::barrier: return "barrier";
        case FaultKind::stack: return "stack";
        case FaultKind::limit: return "limit";
        case FaultKind::deadlock: return "deadlock";
    }
    return "unknown";
}

const char* base_name(const char* path) {
    const char* slash = std::strrchr(path, '/');
    return slash == nullptr ? path : slash + 1;
}

namespace {

constexpr std::size_t kMaxLines = 24;  // of waiting threads in a message

/// "3", "0-7" or "0-3,8".
std::string lanes_text(uint32_t mask) {
    std::string text;
    for (uint32_t lane = 0; lane < 32; ++lane) {
        if ((mask >> lane & 1) == 0) continue;
        uint32_t last = lane;
        while (last + 1 < 32 && (mask >> (last + 1) & 1) != 0) ++last;
        text += (text.empty() ? "" : ",") + std::to_string(lane);
        if (last > lane) text += "-" + std::to_string(last);
        lane = last;
    }
    return text;
}

}  // namespace

std::string Waiting::text() const {
    std::string text = "rank " + std::to_string(rank_idx) + " block " + std::to_string(block_idx) + " warp " +
                       std::to_string(warp_idx) + " lane" + (std::has_single_bit(lane_mask) ? " " : "s ") +
                       lanes_text(lane_mask) + ": ";
    if (op != 0) text += std::string(op_name(static_cast<Op>(op))) + " ";
    text += what;
    if (peer_idx >= 0) text += " of peer " + std::to_string(peer_idx);
    if (channel_idx >= 0) text += " on channel " + std::to_string(channel_idx);
    if (op != 0) {
        text += ", epoch " + std::to_string(epoch) + ", expected " + std::to_string(expected) + ", seen " +
                std::to_string(seen);
    }
    return text + ", at " + base_name(file.c_str()) + ":" + std::to_string(line);
}

void raise(FaultKind kind, Place place, const char* format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const Fiber& self = *current->fiber;
    engine().post_fault(kind, place, self.rank_idx, self.block_idx, self.thread_idx, text);
    engine().switch_to_scheduler();
    __builtin_unreachable();
}

void Engine::post_fault(FaultKind kind, Place place, uint32_t rank_idx, uint32_t block_idx, uint32_t thread_idx,
                        const char* text) {
    if (fault_) return;
    char position[128];
    std::snprintf(position, sizeof position, ", rank %u block %u thread %u (warp %u lane %u)", rank_idx, block_idx,
                  thread_idx, thread_idx / kWarpLanes, thread_idx % kWarpLanes);
    std::string message = text;
    if (place.line != 0) message += std::string(" at ") + base_name(place.file) + ":" + std::to_string(place.line);
    fault_ = FaultReport{kind, message + position, place.file, place.line, rank_idx, block_idx, thread_idx, {}};
    next_look_ = 0;
}

std::optional<MemoryRegion> Engine::region_of(const void* address) const {
    std::lock_guard lock(mutex_);
    const auto* byte = static_cast<const std::byte*>(address);
    for (const MemoryRegion& region : regions_) {
        const auto* data = static_cast<const std::byte*>(region.data);
        if (byte >= data && byte < data + region.bytes) return region;
    }
    return std::nullopt;
}

std::string Engine::region_text(const void* address) const {
    const auto region = region_of(address);
    if (!region) return "";
    const auto offset = static_cast<const std::byte*>(address) - static_cast<const std::byte*>(region->data);
    return "rank " + std::to_string(region->rank_idx) + "'s " + region->name + " + " + std::to_string(offset);
}

/// Every thread that waits, lanes of a warp that wait alike together.
std::vector<Waiting> Engine::waiting() const {
    std::vector<Waiting> groups;
    for (const auto& block : resident_) {
        const std::size_t first = groups.size();
        for (const Fiber* fiber : block->fibers) {
            if (fiber->state == FiberState::runnable || fiber->state == FiberState::ended) continue;
            const WaitNote& note = *fiber->note;
            std::string what = note.what;
            MbarrierState state;
            if (note.is_mbarrier && MbarrierState::read(reinterpret_cast<const void*>(fiber->address), state)) {
                what += " (" + std::to_string(state.num_pending) + " of " + std::to_string(state.num_arrivals) +
                        " arrivals and " + std::to_string(state.num_bytes) + " bytes missing)";
            }
            Waiting waiting{fiber->rank_idx, fiber->block_idx, fiber->thread_idx / kWarpLanes,
                            1u << fiber->thread_idx % kWarpLanes, what, note.op, note.phase, note.epoch, note.peer_idx,
                            note.channel_idx, note.expected, note.seen, note.place.file, note.place.line};
            const auto key = [](const Waiting& w) {
                return std::tie(w.warp_idx, w.what, w.op, w.phase, w.peer_idx, w.channel_idx, w.expected, w.seen,
                                w.file, w.line);
            };
            const auto same = std::find_if(groups.begin() + first, groups.end(),
                                           [&](const Waiting& group) { return key(group) == key(waiting); });
            if (same == groups.end()) {
                groups.push_back(std::move(waiting));
            } else {
                same->lane_mask |= waiting.lane_mask;
            }
        }
    }
    std::stable_sort(groups.begin(), groups.end(), [](const Waiting& a, const Waiting& b) {
        return std::tie(a.rank_idx, a.block_idx, a.warp_idx) < std::tie(b.rank_idx, b.block_idx, b.warp_idx);
    });
    return groups;
}

void Engine::report_deadlock() {
    FaultReport report{FaultKind::deadlock, "", "", 0, 0, 0, 0, waiting()};
    uint64_t num_threads = 0;
    for (const Waiting& group : report.waiting) num_threads += static_cast<uint64_t>(std::popcount(group.lane_mask));
    report.message = "deadlock: " + std::to_string(num_threads) + " threads wait and nothing can wake them";
    for (const Stream& stream : streams_) {
        if (stream.launch == nullptr || stream.launch->unstarted.empty()) continue;
        report.message += "\n  " + std::to_string(stream.launch->unstarted.size()) + " blocks of " +
                          stream.launch->kernel.entry->name + " on rank " + std::to_string(stream.launch->rank_idx) +
                          " have not started: " + std::to_string(options_.policy.max_resident_blocks) + " may be resident";
    }
    for (std::size_t idx = 0; idx < report.waiting.size(); ++idx) {
        if (idx == kMaxLines) {
            report.message += "\n  and " + std::to_string(report.waiting.size() - idx) + " more";
            break;
        }
        report.message += "\n  " + report.waiting[idx].text();
    }
    if (!report.waiting.empty()) {
        report.rank_idx = report.waiting.front().rank_idx;
        report.block_idx = report.waiting.front().block_idx;
    }
    fault_ = std::move(report);
}

void Engine::act_on_fault() {
    const FaultReport report = std::move(*fault_);
    fault_.reset();
    is_faulted_ = true;
    abandon_kernels();
    std::vector<std::unique_ptr<Launch>> launches;
    for (Stream& stream : streams_) {
        if (stream.launch != nullptr) launches.push_back(std::move(stream.launch));
    }
    if (tracer != nullptr) {
        tracer->fault(now(), report);
        for (const auto& launch : launches) tracer->kernel_ends(now(), launch->stream());
    }
    deliver_races();
    publish();
    if (options_.on_fault) options_.on_fault(report);
    for (const auto& launch : launches) {
        if (launch->kernel.on_done) launch->kernel.on_done(Status::dropped);
    }
    drop_queued();
    publish();
}

}  // namespace epgen::simt
