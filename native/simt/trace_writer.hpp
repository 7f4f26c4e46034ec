// Trace events of a run, row by row: names its rows, keeps the file within its limit and every begin with its end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>

#include "simt/schedule.hpp"
#include "simt/task.hpp"
#include "simt/trace_file.hpp"

namespace epgen::simt {

/// A stream among the processes of the picture.
constexpr uint32_t process_of(StreamId stream) { return stream.stream_idx * kMostRanks + stream.rank_idx; }

/// A row of the picture.
struct TraceRow {
    uint32_t pid;
    uint64_t tid;
};

/// Something that has begun in a row.
struct TraceSlice {
    TraceRow row;
    const char* category;
    bool is_written;
};

class TraceWriter {
public:
    /// Throws std::system_error when the file can't be written.
    TraceWriter(const std::string& path, const std::string& process, uint64_t max_bytes);

    TraceRow stream(StreamId stream);
    TraceRow block(StreamId stream, uint32_t block_idx);
    /// `slot` 0 for what the lanes of a warp do, others for its waits, of which several may overlap.
    TraceRow warp(StreamId stream, uint32_t block_idx, uint32_t warp_idx, uint32_t slot);

    TraceSlice begin(uint64_t now_ns, TraceRow row, const char* category, const char* name, const JsonObject& args);
    void end(uint64_t now_ns, const TraceSlice& slice, const JsonObject& args = {});
    /// What one step of a thread does.
    void step(uint64_t now_ns, TraceRow row, const char* category, const char* name, const JsonObject& args);
    void instant(uint64_t now_ns, TraceRow row, const char* category, const char* name, const JsonObject& args);
    /// Beyond the limit too, and across the whole picture.
    void finding(uint64_t now_ns, TraceRow row, const char* category, std::string_view name, const JsonObject& args);
    /// One end of an arrow from a store to a wait: both are steps of this time in this row.
    void arrow(uint64_t now_ns, TraceRow row, bool is_start, uint64_t number);
    /// Events of something that crosses rows, as `text`: all of them or none.
    void whole(const std::string& text, uint64_t now_ns);

    /// An event as far as all have the same fields.
    static JsonObject event(const char* phase, std::string_view name, const char* category, TraceRow row,
                            uint64_t now_ns);
    static std::string end_event(uint64_t now_ns, const TraceSlice& slice);

    bool wants_flush() const { return file_.wants_flush(); }
    /// See TraceFile; adds to `notes`.
    bool flush(const std::string& closing, JsonObject notes);

private:
    TraceRow named(TraceRow row, const std::string& name);
    /// Whether there is room.
    bool has_room(uint64_t now_ns);

    TraceFile file_;
    const uint64_t max_bytes_;
    uint64_t num_left_out_ = 0;
    bool is_full_ = false;
    std::unordered_set<uint64_t> named_;
};

}  // namespace epgen::simt
