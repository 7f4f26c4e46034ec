// A file of trace events (Trace Event Format, as Chrome and Perfetto read it) that is complete JSON after every flush,
// however the process ends.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace epgen::simt {

/// One JSON object, built field by field.
class JsonObject {
public:
    JsonObject& text(const char* key, std::string_view value);
    JsonObject& number(const char* key, int64_t value);
    JsonObject& hex(const char* key, uint64_t value);
    /// Nanoseconds as the microseconds of the format.
    JsonObject& time(const char* key, uint64_t ns);
    /// `value` is JSON already.
    JsonObject& json(const char* key, std::string_view value);
    std::string str() const { return "{" + fields_ + "}"; }

private:
    JsonObject& key(const char* name);
    std::string fields_;
};

class TraceFile {
public:
    /// `head` has fields of the outer object. Throws std::system_error when the file can't be written.
    TraceFile(const std::string& path, JsonObject head, const JsonObject& first_event);
    ~TraceFile();
    TraceFile(const TraceFile&) = delete;
    TraceFile& operator=(const TraceFile&) = delete;

    void add(const JsonObject& event) { append(buffer_, event); }
    /// What `append` has made.
    void add(const std::string& events) { buffer_ += events; }
    uint64_t size() const { return written_ + buffer_.size(); }
    bool wants_flush() const { return buffer_.size() >= kFlushBytes; }
    /// `closing` are events that hold only if nothing more comes, `notes` has at least one field of the outer object;
    /// the next flush replaces both. False, with errno, where the file can't be written any more.
    bool flush(const std::string& closing, const JsonObject& notes);

    /// Adds an event to a text of events.
    static void append(std::string& events, const JsonObject& event);

private:
    static constexpr uint64_t kFlushBytes = 1 << 20;

    int file_;
    uint64_t written_ = 0;
    std::string buffer_;
    bool has_failed_ = false;
};

}  // namespace epgen::simt
