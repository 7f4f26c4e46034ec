#include "verify/options.hpp"

#include <charconv>
#include <cstring>
#include <stdexcept>
#include <string_view>

namespace epgen::verify {

namespace {

constexpr struct {
    const char* name;
    simt::Policy::Kind kind;
} kPolicies[] = {
    {"uniform", simt::Policy::Kind::uniform},
    {"priority", simt::Policy::Kind::priority},
    {"frozen-rank", simt::Policy::Kind::frozen_rank},
    {"starved-block", simt::Policy::Kind::starved_block},
};

[[noreturn]] void refuse(std::string_view name, const char* expected, std::string_view text) {
    throw std::invalid_argument("Expected " + std::string(name) + " to be " + expected + " but received " +
                                std::string(text));
}

template <class T>
T number(std::string_view name, std::string_view text, T least) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < least) {
        refuse(name, ("a number of at least " + std::to_string(least)).c_str(), text);
    }
    return value;
}

std::optional<simt::Policy::Kind> policy_kind(std::string_view text) {
    if (text == "mixed") return std::nullopt;
    for (const auto& [name, kind] : kPolicies) {
        if (text == name) return kind;
    }
    refuse("--policy", "uniform, priority, frozen-rank, starved-block or mixed", text);
}

void parse_seeds(std::string_view text, Options& options) {
    const size_t colon = text.find(':');
    if (colon == std::string_view::npos) refuse("--seeds", "a range such as 1:101", text);
    options.first_seed = number<uint64_t>("--seeds", text.substr(0, colon), 0);
    options.end_seed = number<uint64_t>("--seeds", text.substr(colon + 1), 0);
    if (options.end_seed < options.first_seed) refuse("--seeds", "a range such as 1:101", text);
}

}  // namespace

const char* policy_name(simt::Policy::Kind kind) {
    for (const auto& policy : kPolicies) {
        if (policy.kind == kind) return policy.name;
    }
    return "unknown";
}

Options parse_options(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        if (name == "--explore") {
            options.explores = true;
            continue;
        }
        if (name == "--no-check") {
            options.checks_races = false;
            continue;
        }
        if (name == "--no-model") {
            options.has_weak_memory = false;
            continue;
        }
        if (i + 1 == argc) {
            throw std::invalid_argument("Expected an option with a value but received " + std::string(name));
        }
        const std::string_view value = argv[++i];
        if (name == "--seeds") {
            parse_seeds(value, options);
        } else if (name == "--policy") {
            options.policy = policy_kind(value);
        } else if (name == "--calls") {
            options.num_calls = number<uint32_t>(name, value, 1);
        } else if (name == "--max-tokens") {
            options.max_tokens = number<uint32_t>(name, value, 0);
        } else if (name == "--resident") {
            options.resident = number<uint32_t>(name, value, 0);
        } else if (name == "--stop-after") {
            options.max_findings = number<uint64_t>(name, value, 0);
        } else if (name == "--time-limit") {
            options.time_limit_s = number<double>(name, value, 0);
        } else if (name == "--max-classes") {
            options.max_classes = number<uint64_t>(name, value, 0);
        } else if (name == "--max-executions") {
            options.max_executions = number<uint64_t>(name, value, 0);
        } else if (name == "--trace") {
            options.trace_path = value;
        } else {
            throw std::invalid_argument("Expected an option of the verifier but received " + std::string(name));
        }
    }
    return options;
}

}  // namespace epgen::verify
