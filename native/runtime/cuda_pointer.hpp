// What an address is that the group did not hand out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/cuda_api.hpp"

namespace epgen {

/// Nothing where `num_bytes` at `address` lie in one allocation of the device, else what is there.
std::optional<std::string> refusal_of(const CudaApi& api, uint64_t address, uint64_t num_bytes);

}  // namespace epgen
