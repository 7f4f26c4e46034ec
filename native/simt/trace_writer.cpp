#include "simt/trace_writer.hpp"

namespace epgen::simt {

namespace {

constexpr uint64_t kStepNs = 1;
// Numbers of processes and threads are all different, and 0 means another thing to viewers.
constexpr uint64_t kRowsOfRank = 10'000'000;
constexpr uint32_t kRowsOfBlock = 1100;
constexpr uint32_t kRowsOfWarp = 33;

JsonObject metadata(const char* what, uint32_t pid) {
    return JsonObject().text("ph", "M").text("name", what).number("pid", pid);
}

JsonObject with_args(JsonObject event, const JsonObject& args) { return event.json("args", args.str()); }

JsonObject process_name(uint32_t pid) {
    const uint32_t stream_idx = (pid - 1) / kMostRanks;
    std::string name = "rank " + std::to_string((pid - 1) % kMostRanks);
    if (stream_idx > 0) name += " stream " + std::to_string(stream_idx);
    return with_args(metadata("process_name", pid), JsonObject().text("name", name));
}

}  // namespace

TraceWriter::TraceWriter(const std::string& path, const std::string& process, uint64_t max_bytes)
    : file_(path, JsonObject().text("process", process), process_name(1)), max_bytes_(max_bytes), named_{1} {}

// Rows

TraceRow TraceWriter::named(TraceRow row, const std::string& name) {
    if (named_.insert(row.pid).second) file_.add(process_name(row.pid));
    const auto tid = static_cast<int64_t>(row.tid);
    if (named_.insert(row.tid).second) {
        file_.add(with_args(metadata("thread_name", row.pid).number("tid", tid), JsonObject().text("name", name)));
        file_.add(with_args(metadata("thread_sort_index", row.pid).number("tid", tid),
                            JsonObject().number("sort_index", tid)));
    }
    return row;
}

TraceRow TraceWriter::stream(StreamId stream) {
    const uint32_t pid = process_of(stream) + 1;
    return named({pid, pid * kRowsOfRank}, "stream");
}

TraceRow TraceWriter::block(StreamId stream, uint32_t block_idx) {
    const uint32_t pid = process_of(stream) + 1;
    return named({pid, pid * kRowsOfRank + (block_idx + 1) * kRowsOfBlock}, "block " + std::to_string(block_idx));
}

TraceRow TraceWriter::warp(StreamId stream, uint32_t block_idx, uint32_t warp_idx, uint32_t slot) {
    const TraceRow all = block(stream, block_idx);
    std::string name = "block " + std::to_string(block_idx) + " warp " + std::to_string(warp_idx);
    if (slot > 0) name += " waits";
    if (slot > 1) name += " (" + std::to_string(slot) + ")";
    return named({all.pid, all.tid + 1 + warp_idx * kRowsOfWarp + slot}, name);
}

// Events

JsonObject TraceWriter::event(const char* phase, std::string_view name, const char* category, TraceRow row,
                              uint64_t now_ns) {
    return JsonObject()
        .text("ph", phase)
        .text("name", name)
        .text("cat", category)
        .number("pid", row.pid)
        .number("tid", static_cast<int64_t>(row.tid))
        .time("ts", now_ns);
}

bool TraceWriter::has_room(uint64_t now_ns) {
    if (!is_full_ && file_.size() >= max_bytes_) {
        is_full_ = true;
        const std::string name = "full: the rest is left out after " + std::to_string(max_bytes_) + " bytes";
        finding(now_ns, stream({0, 0}), "trace", name, {});
    }
    if (is_full_) ++num_left_out_;
    return !is_full_;
}

TraceSlice TraceWriter::begin(uint64_t now_ns, TraceRow row, const char* category, const char* name,
                              const JsonObject& args) {
    const bool fits = has_room(now_ns);
    if (fits) file_.add(with_args(event("B", name, category, row, now_ns), args));
    return {row, category, fits};
}

void TraceWriter::end(uint64_t now_ns, const TraceSlice& slice, const JsonObject& args) {
    if (slice.is_written) file_.add(with_args(event("E", "", slice.category, slice.row, now_ns), args));
}

std::string TraceWriter::end_event(uint64_t now_ns, const TraceSlice& slice) {
    std::string text;
    if (slice.is_written) TraceFile::append(text, event("E", "", slice.category, slice.row, now_ns));
    return text;
}

void TraceWriter::step(uint64_t now_ns, TraceRow row, const char* category, const char* name,
                       const JsonObject& args) {
    if (!has_room(now_ns)) return;
    file_.add(with_args(event("X", name, category, row, now_ns).time("dur", kStepNs), args));
}

void TraceWriter::instant(uint64_t now_ns, TraceRow row, const char* category, const char* name,
                          const JsonObject& args) {
    if (has_room(now_ns)) file_.add(with_args(event("i", name, category, row, now_ns).text("s", "t"), args));
}

void TraceWriter::finding(uint64_t now_ns, TraceRow row, const char* category, std::string_view name,
                          const JsonObject& args) {
    file_.add(with_args(event("i", name, category, row, now_ns).text("s", "g"), args));
}

void TraceWriter::arrow(uint64_t now_ns, TraceRow row, bool is_start, uint64_t number) {
    if (!has_room(now_ns)) return;
    JsonObject flow = event(is_start ? "s" : "f", "store", "flow", row, now_ns).hex("id", number);
    if (!is_start) flow.text("bp", "e");  // binds to the step, not to what comes after it
    file_.add(flow);
}

void TraceWriter::whole(const std::string& text, uint64_t now_ns) {
    if (has_room(now_ns)) file_.add(text);
}

bool TraceWriter::flush(const std::string& closing, JsonObject notes) {
    notes.text("time", "virtual: 1 ns is one step of the emulator").number("leftOut", num_left_out_);
    return file_.flush(closing, JsonObject().json("otherData", notes.str()));
}

}  // namespace epgen::simt
