// Argument checks: what was expected of which argument, and what came.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "runtime/error.hpp"

namespace epgen {

/// What rows and other tensors are aligned to.
constexpr uint64_t kVectorBytes = 16;
constexpr uint64_t kWordBytes = 4;

/// Most blocks of a kernel that no other rank takes part in.
constexpr uint32_t kMaxGrid = 65535;

[[noreturn]] inline void refuse(const char* name, const std::string& expected, const std::string& received) {
    throw Error(ErrorCode::argument,
                std::string("Expected ") + name + " to be " + expected + " but received " + received,
                Value::Fields{
                    {"kind", "argument"},
                    {"argument", name},
                    {"expected", expected},
                    {"received", received},
                });
}

/// Refuses a value outside [first, last].
inline void expect_within(const char* name, uint64_t value, uint64_t first, uint64_t last) {
    if (value >= first && value <= last) return;
    refuse(name, "from " + std::to_string(first) + " to " + std::to_string(last), std::to_string(value));
}

inline void expect_multiple(const char* name, uint64_t value, uint64_t of) {
    if (value % of != 0) refuse(name, "a multiple of " + std::to_string(of), std::to_string(value));
}

/// Refuses what the spec has no kernel for.
inline void require_built(const char* what, bool is_built) {
    if (is_built) return;
    throw Error(ErrorCode::unsupported, std::string("The addon was built without ") + what);
}

inline std::string address_text(uint64_t address) {
    char text[24];
    std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(address));
    return text;
}

}  // namespace epgen
