#include "runtime/cpu_trace.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "runtime/error.hpp"
#include "simt/trace_events.hpp"

namespace epgen {
namespace {

/// No two processes are called alike: their number, and when they started in clock ticks since the machine did.
std::string process_name() {
    std::ifstream stat("/proc/self/stat");
    std::string text{std::istreambuf_iterator<char>(stat), {}};
    // The 22nd field; the second, in parentheses, may have spaces.
    std::size_t at = text.rfind(')');
    for (int field = 2; field < 22 && at != std::string::npos; ++field) at = text.find(' ', at + 1);
    const std::string start = at == std::string::npos ? "" : text.substr(at + 1, text.find(' ', at + 1) - at - 1);
    return std::to_string(getpid()) + " " + start;
}

/// Whether a group of this process writes the file, or has written it: addons know nothing of each other.
bool is_ours(const std::filesystem::path& path, const std::string& process) {
    std::error_code none;
    if (!std::filesystem::is_regular_file(path, none)) return false;
    std::ifstream file(path);
    std::string head(256, '\0');
    file.read(head.data(), static_cast<std::streamsize>(head.size()));
    return head.starts_with("{\"process\":\"" + process + "\"");
}

std::filesystem::path unused(const std::filesystem::path& path, const std::string& process) {
    std::filesystem::path name = path;
    for (uint32_t number = 2; is_ours(name, process); ++number) {
        name = path;
        name.replace_filename(path.stem().string() + "-" + std::to_string(number) + path.extension().string());
    }
    return name;
}

}  // namespace

std::unique_ptr<simt::Tracer> open_trace(const Module& module, uint64_t seed) {
    const char* path = std::getenv("EPGEN_TRACE");
    if (path == nullptr || *path == '\0') return nullptr;
    const std::string process = process_name();
    const std::string name = unused(path, process).string();
    try {
        return std::make_unique<simt::TraceEvents>(simt::TraceOptions{
            .path = name,
            .notes = {{"spec", module.name}, {"specHash", module.spec_hash}, {"seed", std::to_string(seed)}},
            .process = process,
        });
    } catch (const std::system_error& error) {
        throw Error(ErrorCode::argument, "Expected EPGEN_TRACE to name a file that can be written but received \"" +
                                             name + "\": " + error.code().message());
    }
}

}  // namespace epgen
