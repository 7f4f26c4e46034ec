// What the emulator found, as errors.
#pragma once

#include <cstdint>
#include <optional>

#include "runtime/error.hpp"
#include "simt/fault.hpp"

namespace epgen {

Error error_of(const simt::FaultReport& report);

/// The rank whose kernel did it; nothing for a deadlock, which is everybody's.
std::optional<uint32_t> culprit_of(const simt::FaultReport& report);

}  // namespace epgen
