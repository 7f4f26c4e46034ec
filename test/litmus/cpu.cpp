// Runs the programs on the emulator, with the operational model and the checker, and prints a JSON line for each
// program and placement; `--table` prints the table as Markdown.
//
//   cpu [--seeds N] [--only NAME] [--table]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <future>
#include <memory>
#include <vector>

#include "outcome.hpp"
#include "programs.cuh"
#include "simt/check/race_report.hpp"
#include "simt/machine.hpp"

namespace epgen::litmus {
namespace {

constexpr uint32_t kNumLanes = 64;
constexpr uint32_t kNumGroups = 1;
constexpr uint32_t kNumRounds = 2;

constexpr uint64_t kPatience = 10;

const simt::Policy kPolicies[] = {
    {},
    {.rank_skew = false},
    {.kind = simt::Policy::Kind::priority, .rank_skew = false},
    {.kind = simt::Policy::Kind::frozen_rank, .rank_skew = false},
    {.kind = simt::Policy::Kind::starved_block, .rank_skew = false},
};

/// A program on the emulator.
struct Program {
    const Shape* shape;
    void (*body)(const void* args);
};

template <class P>
void body(const void* data) {
    const Args& args = *static_cast<const Args*>(data);
    if (P::shape.uses_shared) init_mbarriers(args);
    for (uint32_t round = 0; round < kNumRounds; ++round) {
        begin_round<P>();
        play<P>(args, (round * kNumGroups + args.group_idx()) * args.num_lanes, round);
    }
}

std::vector<Program> all_programs() {
    std::vector<Program> programs;
    AllPrograms::for_each([&]<class P>() { programs.push_back({&P::shape, &body<P>}); });
    return programs;
}

/// What was seen of a program in one placement.
struct Observation {
    Histogram histogram;
    uint64_t num_runs = 0;
    uint64_t num_racing_runs = 0;
    std::string race;   // the first one
    std::string fault;  // the first one
};

class Bench {
public:
    Bench(const Program& program, Placement placement)
        : program_(program), placement_(placement), layout_{kNumRounds * kNumGroups * kNumLanes, sizeof(uint64_t)} {
        for (auto& window : windows_) window.resize(layout_.window_bytes());
    }

    void run(uint64_t seed, const simt::Policy& policy, Observation& seen) {
        const uint32_t num_ranks = placement_ == Placement::ranks ? 2 : 1;
        bool has_race = false;
        simt::MachineOptions options;
        options.num_ranks = num_ranks;
        options.seed = seed;
        options.policy = policy;
        options.weak_memory = true;
        options.check_races = true;
        options.on_race = [&](const simt::RaceReport& report) {
            has_race = true;
            if (seen.race.empty()) seen.race = report.text();
        };
        options.on_fault = [&](const simt::FaultReport& report) { seen.fault = report.message; };
        simt::Machine machine(options);
        for (uint32_t rank_idx = 0; rank_idx < num_ranks; ++rank_idx) {
            auto& window = windows_[rank_idx];
            std::memset(window.data(), 0, window.size());
            machine.add_region({"window", rank_idx, window.data(), window.size()});
        }
        std::promise<void> ends[2];
        machine.hold();
        for (uint32_t rank_idx = 0; rank_idx < num_ranks; ++rank_idx) launch(machine, rank_idx, seed, ends[rank_idx]);
        machine.release();
        for (uint32_t rank_idx = 0; rank_idx < num_ranks; ++rank_idx) ends[rank_idx].get_future().wait();
        ++seen.num_runs;
        seen.num_racing_runs += has_race;
        tally(seen.histogram);
    }

private:
    void launch(simt::Machine& machine, uint32_t rank_idx, uint64_t seed, std::promise<void>& end) {
        Args args = args_of(*program_.shape, placement_, rank_idx, kNumLanes, layout_);
        args.deadline_ns = 1'000'000'000;
        args.fault = &faults_[rank_idx];
        args.lane_shift = static_cast<uint32_t>(seed * 7 % kNumLanes);
        for (uint32_t peer_idx = 0; peer_idx < args.num_ranks; ++peer_idx) {
            args.windows.base[peer_idx] = windows_[peer_idx].data();
        }
        if (args.num_launch_roles > 0) {
            entries_[rank_idx] = {program_.shape->name, kNumLanes * args.num_roles_a_block,
                                  shared_bytes(*program_.shape), program_.body};
            const auto* bytes = reinterpret_cast<const std::byte*>(&args);
            machine.enqueue(rank_idx, simt::Kernel{&entries_[rank_idx], kNumGroups * args.num_launch_roles,
                                                   {bytes, bytes + sizeof args}, {}});
        }
        machine.enqueue(rank_idx, simt::Callback{[&end](simt::Status) { end.set_value(); }});
    }

    void tally(Histogram& histogram) const {
        const Args args = args_of(*program_.shape, placement_, 0, kNumLanes, layout_);
        for (uint64_t instance = 0; instance < layout_.num_instances; ++instance) {
            uint32_t outcome = 0;
            for (uint32_t idx = 0; idx < kMaxRegisters; ++idx) {
                uint64_t value = 0;
                const int word = program_.shape->registers[idx].final_word;
                if (word != kNoWord) {
                    std::memcpy(&value, windows_[args.home_of_word[word]].data() + layout_.word(word, instance), 8);
                } else {
                    for (const auto& window : windows_) {
                        value |= static_cast<uint8_t>(window[layout_.register_of(instance) + idx]);
                    }
                }
                outcome |= clamped(value) << 2 * idx;
            }
            ++histogram.counts[outcome];
        }
    }

    const Program& program_;
    Placement placement_;
    Layout layout_;
    std::vector<std::byte> windows_[2];
    FaultRecord faults_[2] = {};
    KernelEntry entries_[2];
};

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c == '\n' ? ' ' : c;
    }
    return out + "\"";
}

void run(const Program& program, Placement placement, uint64_t num_seeds) {
    const Expectation* line = find(program.shape->name, placement);
    if (line == nullptr) return;
    Observation seen;
    Bench bench(program, placement);
    // A rare outcome gets more schedules, until it is seen.
    const auto is_missing = [&] {
        return line->model == Model::shows && count_asked(*program.shape, seen.histogram) == 0;
    };
    for (uint64_t seed = 1; seed <= num_seeds || (seed <= kPatience * num_seeds && is_missing()); ++seed) {
        for (const simt::Policy& policy : kPolicies) bench.run(seed, policy, seen);
    }
    std::printf(
        "{\"test\":\"%s\",\"placement\":\"%s\",\"ptx\":\"%s\",\"model\":\"%s\",\"checker\":\"%s\",\"runs\":%llu,"
        "\"instances\":%llu,\"asked\":%llu,\"garbage\":%llu,\"racingRuns\":%llu,\"race\":%s,\"fault\":%s,"
        "\"histogram\":%s}\n",
        program.shape->name, placement_name(placement), ptx_name(line->ptx),
        line->model == Model::shows ? "shows" : "never", line->checker == Checker::race ? "race" : "clean",
        static_cast<unsigned long long>(seen.num_runs), static_cast<unsigned long long>(count_all(seen.histogram)),
        static_cast<unsigned long long>(count_asked(*program.shape, seen.histogram)),
        static_cast<unsigned long long>(count_garbage(seen.histogram)),
        static_cast<unsigned long long>(seen.num_racing_runs), quoted(seen.race).c_str(), quoted(seen.fault).c_str(),
        histogram_json(*program.shape, seen.histogram).c_str());
    std::fflush(stdout);
}

const RuleText* text_of(Rule rule) {
    for (const RuleText& text : kRules) {
        if (text.rule == rule) return &text;
    }
    return nullptr;
}

const Shape* shape_of(const std::vector<Program>& programs, const Expectation& line) {
    for (const Program& program : programs) {
        if (std::strcmp(program.shape->name, line.program) == 0) return program.shape;
    }
    return nullptr;
}

/// Every line has its program, and every program a line.
bool is_complete(const std::vector<Program>& programs) {
    bool is_complete = true;
    const auto complain = [&](const char* name, const char* problem) {
        std::fprintf(stderr, "%s %s\n", name, problem);
        is_complete = false;
    };
    for (const Expectation& line : kTable) {
        if (shape_of(programs, line) == nullptr) complain(line.program, "has no program");
    }
    for (const Program& program : programs) {
        const auto runs_in = [&](Placement placement) { return find(program.shape->name, placement) != nullptr; };
        if (std::none_of(std::begin(kPlacements), std::end(kPlacements), runs_in)) {
            complain(program.shape->name, "has no line in the table");
        }
    }
    return is_complete;
}

void print_table(const std::vector<Program>& programs) {
    std::printf("| test | placement | asked | PTX | model | checker | rules |\n|---|---|---|---|---|---|---|\n");
    for (const Expectation& line : kTable) {
        const Shape& shape = *shape_of(programs, line);
        std::string placements, rules;
        for (const Placement placement : kPlacements) {
            if (!has(line.placements, placement)) continue;
            placements += (placements.empty() ? "" : ", ") + std::string(placement_name(placement));
        }
        for (const Rule rule : line.rules.all) {
            if (rule != Rule::none) rules += (rules.empty() ? "" : "; ") + std::string(text_of(rule)->section);
        }
        std::printf("| `%s` | %s | `%s` | %s | %s | %s | %s |\n", line.program, placements.c_str(),
                    asked_text(shape).c_str(), ptx_name(line.ptx), line.model == Model::shows ? "shows it" : "–",
                    line.checker == Checker::race ? "race" : "clean", rules.c_str());
    }
    std::printf("\n| program | roles |\n|---|---|\n");
    for (const Program& program : programs) {
        std::string text = program.shape->text;
        for (size_t at = text.find("||"); at != std::string::npos; at = text.find("||")) text.replace(at, 2, "∥");
        std::printf("| `%s` | %s |\n", program.shape->name, text.c_str());
    }
    std::printf("\n| section of the PTX ISA | what it says |\n|---|---|\n");
    for (const RuleText& rule : kRules) {
        std::printf("| %s | %s |\n", rule.section, rule.says);
    }
}

}  // namespace
}  // namespace epgen::litmus

int main(int argc, char** argv) {
    using namespace epgen::litmus;
    uint64_t num_seeds = 8;
    const char* only = nullptr;
    const auto programs = all_programs();
    if (!is_complete(programs)) return 2;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--table") == 0) return print_table(programs), 0;
        if (std::strcmp(argv[i], "--seeds") == 0 && i + 1 < argc) num_seeds = std::strtoull(argv[++i], nullptr, 10);
        if (std::strcmp(argv[i], "--only") == 0 && i + 1 < argc) only = argv[++i];
    }
    for (const Program& program : programs) {
        if (only != nullptr && std::strcmp(program.shape->name, only) != 0) continue;
        for (const Placement placement : kPlacements) run(program, placement, num_seeds);
    }
}
