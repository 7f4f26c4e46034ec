#include "check.hpp"

namespace epgen::test {

constexpr uint64_t kNumSeeds = 8;

int first_line;
int second_line;

static MachineOptions checked(std::vector<RaceReport>& races) {
    MachineOptions options;
    options.check_races = true;
    options.on_race = [&races](const RaceReport& report) { races.push_back(report); };
    return options;
}

CheckedGroup::CheckedGroup(uint32_t num_ranks, uint64_t seed) : group(num_ranks, seed, checked(races)) {}

std::vector<RaceReport> races_of(const Run& run, uint32_t parameter, uint64_t seed) {
    CheckedGroup checked(run.num_ranks, seed);
    checked.group.enqueue_all(run.entry, run.grid, parameter);
    expect(checked.group.wait() == Status::done, "parameter " + std::to_string(parameter) + ", seed " +
                                                     std::to_string(seed) + ": " + checked.group.fault().message);
    return checked.races;
}

std::string texts(const std::vector<RaceReport>& races) {
    std::string text = std::to_string(races.size()) + " races";
    for (const RaceReport& race : races) text += "\n    " + race.text();
    return text;
}

void expect_one(const std::vector<RaceReport>& races, const std::string& remedy, const std::string& context) {
    expect(races.size() == 1, context + "expected one race, found " + texts(races));
    if (races.size() != 1) return;
    const RaceReport& race = races[0];
    const int low = std::min(race.first.line, race.second.line);
    const int high = std::max(race.first.line, race.second.line);
    expect(low == std::min(first_line, second_line) && high == std::max(first_line, second_line),
           context + "expected lines " + std::to_string(first_line) + " and " + std::to_string(second_line) + ": " +
               race.text());
    expect(race.first.is_write || race.second.is_write, context + "expected a write: " + race.text());
    expect(race.remedy.find(remedy) != std::string::npos, context + "expected \"" + remedy + "\": " + race.text());
}

void expect_clean(const Run& run, uint32_t parameter) {
    for (uint64_t seed = 1; seed <= kNumSeeds; ++seed) {
        const auto races = races_of(run, parameter, seed);
        expect(races.empty(), "parameter " + std::to_string(parameter) + ", seed " + std::to_string(seed) +
                                  ": expected no race, found " + texts(races));
    }
}

void expect_race(const Run& run, uint32_t parameter, const std::string& remedy) {
    for (uint64_t seed = 1; seed <= kNumSeeds; ++seed) {
        first_line = second_line = 0;
        const auto races = races_of(run, parameter, seed);
        expect_one(races, remedy, "parameter " + std::to_string(parameter) + ", seed " + std::to_string(seed) + ": ");
    }
}

}  // namespace epgen::test
