// Outcomes of a program: the values of its registers.
#pragma once

#include <cstdint>
#include <string>

#include "env.cuh"
#include "table.hpp"

namespace epgen::litmus {

/// Two bits a register.
constexpr uint32_t kNumOutcomes = 1u << 2 * kMaxRegisters;

EPGEN_HOST_DEVICE constexpr uint32_t value_in(uint32_t outcome, uint32_t register_idx) {
    return outcome >> 2 * register_idx & kMaxValue;
}

/// Of a register: what it holds, or more than any program writes.
EPGEN_HOST_DEVICE constexpr uint32_t clamped(uint64_t value) {
    return value < kMaxValue ? static_cast<uint32_t>(value) : kMaxValue;
}

/// How often each outcome was seen.
struct Histogram {
    uint64_t counts[kNumOutcomes] = {};
};

inline bool is_asked(const Shape& shape, uint32_t outcome) {
    for (uint32_t idx = 0; idx < kMaxRegisters; ++idx) {
        const int asked = shape.registers[idx].asked;
        if (asked != kAny && value_in(outcome, idx) != static_cast<uint32_t>(asked)) return false;
    }
    return true;
}
/// Whether a register holds what no program writes.
inline bool is_garbage(uint32_t outcome) {
    for (uint32_t idx = 0; idx < kMaxRegisters; ++idx) {
        if (value_in(outcome, idx) == kMaxValue) return true;
    }
    return false;
}

template <class Predicate>
uint64_t count_if(const Histogram& histogram, Predicate predicate) {
    uint64_t count = 0;
    for (uint32_t outcome = 0; outcome < kNumOutcomes; ++outcome) {
        if (predicate(outcome)) count += histogram.counts[outcome];
    }
    return count;
}
inline uint64_t count_asked(const Shape& shape, const Histogram& histogram) {
    return count_if(histogram, [&](uint32_t outcome) { return is_asked(shape, outcome); });
}
inline uint64_t count_garbage(const Histogram& histogram) { return count_if(histogram, is_garbage); }
inline uint64_t count_all(const Histogram& histogram) {
    return count_if(histogram, [](uint32_t) { return true; });
}

/// `flag=1 data=0`
inline std::string outcome_text(const Shape& shape, uint32_t outcome) {
    std::string text;
    for (uint32_t idx = 0; idx < kMaxRegisters; ++idx) {
        if (shape.registers[idx].name == nullptr) continue;
        if (!text.empty()) text += " ";
        text += std::string(shape.registers[idx].name) + "=" + std::to_string(value_in(outcome, idx));
    }
    return text;
}
/// The outcome that the test asks about.
inline std::string asked_text(const Shape& shape) {
    std::string text;
    for (const Register& it : shape.registers) {
        if (it.name == nullptr || it.asked == kAny) continue;
        if (!text.empty()) text += " ";
        text += std::string(it.name) + "=" + std::to_string(it.asked);
    }
    return text;
}
/// `{"flag=1 data=0":3,...}`
inline std::string histogram_json(const Shape& shape, const Histogram& histogram) {
    std::string text;
    for (uint32_t outcome = 0; outcome < kNumOutcomes; ++outcome) {
        if (histogram.counts[outcome] == 0) continue;
        if (!text.empty()) text += ",";
        text += "\"" + outcome_text(shape, outcome) + "\":" + std::to_string(histogram.counts[outcome]);
    }
    return "{" + text + "}";
}

/// Where roles and words are in a placement.
inline uint32_t rank_of_role(const Shape& shape, Placement placement, uint32_t role_idx) {
    return placement == Placement::ranks ? shape.rank_of_role[role_idx] : 0;
}

/// Arguments of the launch on `rank_idx`, for a window of `layout`; what is the backend's own is left out.
inline Args args_of(const Shape& shape, Placement placement, uint32_t rank_idx, uint32_t num_lanes, Layout layout) {
    Args args{};
    args.rank_idx = rank_idx;
    args.num_ranks = placement == Placement::ranks ? 2 : 1;
    args.layout = layout;
    args.num_lanes = num_lanes;
    args.num_roles_a_block = 1;
    for (uint32_t role_idx = 0; role_idx < shape.num_roles; ++role_idx) {
        if (rank_of_role(shape, placement, role_idx) != rank_idx) continue;
        args.launch_roles[args.num_launch_roles++] = static_cast<uint8_t>(role_idx);
    }
    if (placement == Placement::warps) {
        args.num_roles_a_block = shape.num_roles;
        args.num_launch_roles = 1;
    }
    for (uint32_t word = 0; word < kMaxWords; ++word) {
        args.home_of_word[word] = static_cast<uint8_t>(rank_of_role(shape, placement, shape.home_of_word[word]));
    }
    args.home_of_row = static_cast<uint8_t>(rank_of_role(shape, placement, shape.home_of_row));
    return args;
}

}  // namespace epgen::litmus
