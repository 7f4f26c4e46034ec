#include "simt/trace_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

namespace epgen::simt {

namespace {

void append_escaped(std::string& out, std::string_view text) {
    out += '"';
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            char escaped[8];
            std::snprintf(escaped, sizeof escaped, "\\u%04x", c);
            out += escaped;
        } else {
            out += c;
        }
    }
    out += '"';
}

bool write_all(int file, const std::string& bytes, uint64_t offset) {
    for (std::size_t done = 0; done < bytes.size();) {
        const ssize_t count =
            pwrite(file, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        done += static_cast<std::size_t>(count);
    }
    return ftruncate(file, static_cast<off_t>(offset + bytes.size())) == 0;
}

}  // namespace

JsonObject& JsonObject::key(const char* name) {
    if (!fields_.empty()) fields_ += ',';
    append_escaped(fields_, name);
    fields_ += ':';
    return *this;
}

JsonObject& JsonObject::text(const char* name, std::string_view value) {
    key(name);
    append_escaped(fields_, value);
    return *this;
}

JsonObject& JsonObject::number(const char* name, int64_t value) { return json(name, std::to_string(value)); }

JsonObject& JsonObject::hex(const char* name, uint64_t value) {
    char digits[24];
    std::snprintf(digits, sizeof digits, "\"0x%llx\"", static_cast<unsigned long long>(value));
    return json(name, digits);
}

JsonObject& JsonObject::time(const char* name, uint64_t ns) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%llu.%03u", static_cast<unsigned long long>(ns / 1000),
                  static_cast<unsigned>(ns % 1000));
    return json(name, digits);
}

JsonObject& JsonObject::json(const char* name, std::string_view value) {
    key(name);
    fields_ += value;
    return *this;
}

TraceFile::TraceFile(const std::string& path, JsonObject head, const JsonObject& first)
    // Without O_NONBLOCK, a pipe that nobody reads would hold us.
    : file_(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0666)) {
    if (file_ < 0) throw std::system_error(errno, std::generic_category(), path);
    buffer_ = head.text("displayTimeUnit", "ns").json("traceEvents", "[\n" + first.str()).str();
    buffer_.pop_back();  // the object stays open
}

TraceFile::~TraceFile() { close(file_); }

void TraceFile::append(std::string& events, const JsonObject& event) { events += ",\n" + event.str(); }

bool TraceFile::flush(const std::string& closing, const JsonObject& notes) {
    const std::string tail = closing + "],\n" + notes.str().substr(1) + "\n";
    if (has_failed_) return false;
    if (!write_all(file_, buffer_ + tail, written_)) {
        has_failed_ = true;
        // What fitted before still does, in the room of what did not.
        const int reason = errno;
        if (ftruncate(file_, static_cast<off_t>(written_)) == 0) {
            write_all(file_, "],\n" + notes.str().substr(1) + "\n", written_);
        }
        errno = reason;
        return false;
    }
    written_ += buffer_.size();
    buffer_.clear();
    return true;
}

}  // namespace epgen::simt
