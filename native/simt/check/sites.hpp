// What accesses do and where they stand in the source, by number.
#pragma once

#include <cstdint>
#include <vector>

#include "device/place.cuh"
#include "simt/check/race_report.hpp"

namespace epgen::simt::check {

struct Site {
    const char* what;
    const char* object;  // null where none is known
    Place place;
    const void* code_address;  // of a raw access
    Agent agent;
};

class Sites {
public:
    Sites() : slots_(1 << 10) {}
    uint32_t number_of(const Site& site);
    const Site& operator[](uint32_t number) const { return sites_[number]; }

private:
    static bool is_same(const Site& a, const Site& b);
    uint32_t& slot_of(const Site& site);

    std::vector<Site> sites_;
    std::vector<uint32_t> slots_;  // number + 1, by a hash; 0: free. As many as a power of two
};

}  // namespace epgen::simt::check
