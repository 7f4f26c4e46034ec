// Runs kernels under the happens-before checker and compares what it reports.
#pragma once

#include <vector>

#include "harness.hpp"
#include "simt/check/race_report.hpp"

namespace epgen::test {

using simt::RaceReport;

/// Lines of the two accesses that a kernel means to race, noted as it runs.
extern int first_line;
extern int second_line;
#define FIRST(access) (first_line = __LINE__, access)
#define SECOND(access) (second_line = __LINE__, access)

/// A wait of a test, whichever it is.
inline Site site() { return {Phase::arrivals, -1, -1}; }
inline local<uint8_t> own_data(const Args& args) { return local_region(args.windows, args.rank_idx, kDataRegion); }
inline peer<uint8_t> data_of(const Args& args, uint32_t rank_idx) {
    return peer_region(args.windows, rank_idx, kDataRegion);
}

/// What a case launches, on all ranks at once.
struct Run {
    const KernelEntry& entry;
    uint32_t num_ranks;
    uint32_t grid = 1;
};

std::vector<RaceReport> races_of(const Run& run, uint32_t parameter, uint64_t seed);
/// No schedule of the kernel has a race.
void expect_clean(const Run& run, uint32_t parameter);
/// Every schedule has one race, of FIRST and SECOND, and its remedy says `remedy`.
void expect_race(const Run& run, uint32_t parameter, const std::string& remedy);
void expect_one(const std::vector<RaceReport>& races, const std::string& remedy, const std::string& context);
std::string texts(const std::vector<RaceReport>& races);

/// A group with a checker.
class CheckedGroup {
public:
    explicit CheckedGroup(uint32_t num_ranks, uint64_t seed = 1);
    std::vector<RaceReport> races;
    Group group;
};

}  // namespace epgen::test
