// Faults of accesses that leave the object of their pointer.
#include <cstdio>

#include "simt/engine.hpp"

namespace epgen::simt {

namespace {

long long byte_offset(const Extent& extent) {
    return static_cast<long long>(reinterpret_cast<uintptr_t>(extent.data) - reinterpret_cast<uintptr_t>(extent.begin));
}
long long size_bytes(const Extent& extent) {
    return static_cast<long long>(reinterpret_cast<uintptr_t>(extent.end) - reinterpret_cast<uintptr_t>(extent.begin));
}
bool is_inside(const Extent& extent, uint64_t bytes) {
    return byte_offset(extent) >= 0 && byte_offset(extent) + static_cast<long long>(bytes) <= size_bytes(extent);
}
bool is_aligned(const Extent& extent, uint64_t alignment) {
    return reinterpret_cast<uintptr_t>(extent.data) % alignment == 0;
}
const char* name_of(const Extent& extent) { return extent.name == nullptr ? "unnamed" : extent.name; }

/// `shared "smem.tail" element 9 of 8`
struct Description {
    char text[160];

    Description(const Extent& extent, uint64_t bytes) {
        const long long offset = byte_offset(extent);
        const long long element = extent.element_bytes;
        if (bytes == extent.element_bytes && offset % element == 0) {
            std::snprintf(text, sizeof text, "%s \"%s\" element %lld of %lld", extent.space, name_of(extent),
                          offset / element, size_bytes(extent) / element);
        } else {
            std::snprintf(text, sizeof text, "%s \"%s\" bytes %lld to %lld of %lld", extent.space, name_of(extent),
                          offset, offset + static_cast<long long>(bytes), size_bytes(extent));
        }
    }
};

const char* bulk_problem(const Extent& to, const Extent& from, uint32_t bytes) {
    if (bytes == 0) return "the size is 0";
    if (bytes % 16 != 0) return "the size is not a multiple of 16";
    if (!is_inside(from, bytes)) return "the source leaves its object";
    if (!is_inside(to, bytes)) return "the destination leaves its object";
    if (!is_aligned(from, 16)) return "the source address is not a multiple of 16";
    if (!is_aligned(to, 16)) return "the destination address is not a multiple of 16";
    return nullptr;
}

}  // namespace

void raise_extent(const char* what, const Extent& extent, uint64_t bytes, uint64_t alignment, Place place) {
    const Description description(extent, bytes);
    if (is_inside(extent, bytes)) {
        raise(FaultKind::access, place, "%s of %s: the address is not a multiple of %llu", what, description.text,
              static_cast<unsigned long long>(alignment));
    }
    const std::string region = engine().region_text(extent.data);
    char position[96] = "";
    if (!region.empty()) std::snprintf(position, sizeof position, " (%s)", region.c_str());
    raise(FaultKind::access, place, "%s of %s%s", what, description.text, position);
}

void check_bulk(const char* what, const Extent& to, const Extent& from, uint32_t bytes, Place place) {
    const char* problem = bulk_problem(to, from, bytes);
    if (problem == nullptr) return;
    raise(FaultKind::access, place, "%s of %u bytes from %s to %s: %s", what, bytes, Description(from, bytes).text,
          Description(to, bytes).text, problem);
}

}  // namespace epgen::simt
