// EPGEN_TRACE: what the emulator does for a group, as a file for ui.perfetto.dev.
#pragma once

#include <cstdint>
#include <memory>

#include "runtime/module.hpp"
#include "simt/trace.hpp"

namespace epgen {

/// Null where the variable is unset or empty. Groups of one process after the first write <name>-2<extension>, and so
/// on. Throws Error where the file can't be written.
std::unique_ptr<simt::Tracer> open_trace(const Module& module, uint64_t seed);

}  // namespace epgen
