#include "simt/trace_args.hpp"

#include "simt/engine.hpp"

namespace epgen::simt {

uint64_t place_key(uint32_t rank_idx, uint32_t block_idx, uint32_t thread_idx, Place place) {
    const uint64_t thread = uint64_t{rank_idx} << 42 | uint64_t{block_idx} << 10 | thread_idx;
    const uint64_t file = std::hash<std::string_view>()(base_name(place.file));
    return (thread * 0x9e3779b97f4a7c15u ^ file) * 0x9e3779b97f4a7c15u + static_cast<uint64_t>(place.line);
}

JsonObject thread_args(uint32_t rank_idx, uint32_t block_idx, uint32_t thread_idx, Place place) {
    return JsonObject()
        .number("rank", rank_idx)
        .number("block", block_idx)
        .number("warp", thread_idx / kWarpLanes)
        .number("lane", thread_idx % kWarpLanes)
        .text("file", base_name(place.file))
        .number("line", place.line);
}

void add_address(JsonObject& args, const void* address) {
    args.hex("address", reinterpret_cast<uintptr_t>(address));
    const auto region = engine().region_of(address);
    if (!region) return;
    const auto offset = static_cast<const std::byte*>(address) - static_cast<const std::byte*>(region->data);
    args.number("home", region->rank_idx).text("region", region->name).number("offset", offset);
}

std::string_view object_name(const char* object) { return object == nullptr ? "unnamed" : object; }

}  // namespace epgen::simt
