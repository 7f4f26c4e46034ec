#include "verify/source_line.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <unistd.h>

namespace epgen::verify {

SourceLine source_line(const void* return_address) {
    // The call is the instruction before; the program lies where it was linked (-no-pie).
    const auto address = reinterpret_cast<uintptr_t>(return_address) - 1;
    char command[128];
    std::snprintf(command, sizeof command, "addr2line -e /proc/%d/exe 0x%llx 2>/dev/null", getpid(),
                  static_cast<unsigned long long>(address));
    char answer[512] = "";
    if (FILE* pipe = popen(command, "r")) {
        if (std::fgets(answer, sizeof answer, pipe) == nullptr) answer[0] = '\0';
        pclose(pipe);
    }
    // "./dispatch.cu:17 (discriminator 2)"
    const std::string text = answer;
    const size_t colon = text.find(':');
    if (colon == std::string::npos) return {"??", 0};
    const size_t slash = text.rfind('/', colon);
    const size_t begin = slash == std::string::npos ? 0 : slash + 1;
    return {text.substr(begin, colon - begin), std::atoi(text.c_str() + colon + 1)};
}

}  // namespace epgen::verify
