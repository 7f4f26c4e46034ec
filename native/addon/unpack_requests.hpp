// What JavaScript asks of a group, as the runtime takes it.
#pragma once

#include <napi.h>

#include <numeric>
#include <vector>

#include "addon/unpack.hpp"
#include "runtime/group.hpp"

namespace epgen::addon {

/// An ordinal for every rank: 0, 1, 2, ... where none are given.
inline std::vector<uint32_t> unpack_devices(Napi::Value value) {
    std::vector<uint32_t> devices(module().num_ranks);
    std::iota(devices.begin(), devices.end(), 0);
    if (value.IsUndefined()) return devices;
    const Napi::Object list = unpack_object(value, "devices");
    for (uint32_t& device : devices) device = unpack_uint32(list[device], "devices");
    return devices;
}

inline uint32_t unpack_rank(const Napi::CallbackInfo& info) {
    return unpack_uint32(info[0], "rank");
}

inline GroupOptions unpack_options(Napi::Value value) {
    const Napi::Object options = unpack_object(value, "options");
    return {
        .seed = unpack_bigint(options["seed"], "seed"),
        .deadline_ms = unpack_milliseconds(options["deadlineMs"], "deadlineMs"),
        .first_deadline_ms = unpack_milliseconds(options["firstDeadlineMs"], "firstDeadlineMs"),
        .devices = unpack_devices(options["devices"]),
    };
}

inline DispatchRequest unpack_dispatch(const Napi::Object& call) {
    return {
        .num_tokens = unpack_uint32(call["numTokens"], "numTokens"),
        .x = unpack_bigint(call["x"], "x"),
        .topk_idx = unpack_bigint(call["topkIdx"], "topkIdx"),
        .topk_weights = unpack_bigint(call["topkWeights"], "topkWeights"),
        .handle = unpack_bigint(call["handle"], "handle"),
        .buffer_idx = unpack_uint32(call["buffer"], "buffer"),
        .grid = unpack_uint32(call["grid"], "grid"),
    };
}

inline CombineRequest unpack_combine(const Napi::Object& call) {
    return {
        .num_tokens = unpack_uint32(call["numTokens"], "numTokens"),
        .handle = unpack_bigint(call["handle"], "handle"),
        .out = unpack_bigint(call["out"], "out"),
        .input_offset = unpack_bigint(call["inputOffset"], "inputOffset"),
        .grid = unpack_uint32(call["grid"], "grid"),
    };
}

inline DispatchLayoutRequest unpack_dispatch_layout(const Napi::Object& call) {
    return {
        .num_tokens = unpack_uint32(call["numTokens"], "numTokens"),
        .topk_idx = unpack_bigint(call["topkIdx"], "topkIdx"),
        .num_tokens_per_rank = unpack_bigint(call["numTokensPerRank"], "numTokensPerRank"),
        .num_tokens_per_expert = unpack_bigint(call["numTokensPerExpert"], "numTokensPerExpert"),
        .is_token_in_rank = unpack_bigint(call["isTokenInRank"], "isTokenInRank"),
    };
}

}  // namespace epgen::addon
