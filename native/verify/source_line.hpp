// Which line of a kernel an address of code belongs to.
#pragma once

#include <string>

namespace epgen::verify {

struct SourceLine {
    std::string file;  // its own name; "??" where it isn't known
    int line;
};

/// Asks addr2line, which comes with the compiler: for findings, not for hot paths.
SourceLine source_line(const void* return_address);

}  // namespace epgen::verify
