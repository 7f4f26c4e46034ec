// What trace events say of threads, places and addresses.
#pragma once

#include <string>

#include "simt/block.hpp"
#include "simt/fiber.hpp"
#include "simt/trace_file.hpp"
#include "simt/trace_writer.hpp"

namespace epgen::simt {

inline uint64_t warp_key(const Fiber& fiber) {
    const uint64_t process = process_of(fiber.block->launch->stream());
    return process << 40 | uint64_t{fiber.block_idx} << 8 | fiber.thread_idx / kWarpLanes;
}
inline uint32_t process_of_key(uint64_t warp_key) { return static_cast<uint32_t>(warp_key >> 40); }

/// Of a thread at a place.
uint64_t place_key(uint32_t rank_idx, uint32_t block_idx, uint32_t thread_idx, Place place);

JsonObject thread_args(uint32_t rank_idx, uint32_t block_idx, uint32_t thread_idx, Place place);
inline JsonObject thread_args(const Fiber& fiber, Place place) {
    return thread_args(fiber.rank_idx, fiber.block_idx, fiber.thread_idx, place);
}
/// With "home", "region" and "offset" where the address lies in registered memory.
void add_address(JsonObject& args, const void* address);

/// "unnamed" for an object without a name.
std::string_view object_name(const char* object);

}  // namespace epgen::simt
