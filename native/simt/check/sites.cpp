#include "simt/check/sites.hpp"

namespace epgen::simt::check {

bool Sites::is_same(const Site& a, const Site& b) {
    return a.place.line == b.place.line && a.place.file == b.place.file && a.object == b.object && a.what == b.what &&
           a.code_address == b.code_address && a.agent == b.agent;
}

uint32_t& Sites::slot_of(const Site& site) {
    uint64_t hash = static_cast<uint64_t>(site.place.line);
    for (const void* part : {static_cast<const void*>(site.what), static_cast<const void*>(site.object),
                             static_cast<const void*>(site.place.file), site.code_address}) {
        hash = (hash ^ reinterpret_cast<uintptr_t>(part)) * 0x9e3779b97f4a7c15u;
    }
    for (uint64_t idx = hash >> 32;; ++idx) {
        uint32_t& slot = slots_[idx & (slots_.size() - 1)];
        if (slot == 0 || is_same(sites_[slot - 1], site)) return slot;
    }
}

uint32_t Sites::number_of(const Site& site) {
    uint32_t& slot = slot_of(site);
    if (slot != 0) return slot - 1;
    sites_.push_back(site);
    if (2 * sites_.size() <= slots_.size()) return (slot = static_cast<uint32_t>(sites_.size())) - 1;
    slots_.assign(2 * slots_.size(), 0);
    for (uint32_t number = 0; number < sites_.size(); ++number) slot_of(sites_[number]) = number + 1;
    return static_cast<uint32_t>(sites_.size()) - 1;
}

}  // namespace epgen::simt::check
