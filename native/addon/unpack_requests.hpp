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

inline uint32_t unpack_windows(Napi::Value value) {
    const uint32_t num_windows = unpack_optional_uint32(value, "windows", 1);
    expect_within("windows", num_windows, 1, kMaxWindows);
    return num_windows;
}

inline uint32_t unpack_stream(Napi::Value value) {
    return unpack_optional_uint32(value, "stream", kMainStream);
}

inline GroupOptions unpack_options(Napi::Value value) {
    const Napi::Object options = unpack_object(value, "options");
    return {
        .seed = unpack_bigint(options["seed"], "seed"),
        .num_windows = unpack_windows(options["windows"]),
        .deadline_ms = unpack_milliseconds(options["deadlineMs"], "deadlineMs"),
        .first_deadline_ms = unpack_milliseconds(options["firstDeadlineMs"], "firstDeadlineMs"),
        .devices = unpack_devices(options["devices"]),
    };
}

inline DispatchMode unpack_mode(Napi::Value value) {
    const std::string name = value.IsUndefined() ? "topk" : value.ToString().Utf8Value();
    if (name == "topk") return DispatchMode::topk;
    if (name == "layout") return DispatchMode::layout;
    if (name == "cached") return DispatchMode::cached;
    refuse("mode", "'topk', 'layout' or 'cached'", describe_value(value));
}

inline DispatchRequest unpack_dispatch(const Napi::Object& call) {
    return {
        .mode = unpack_mode(call["mode"]),
        .num_tokens = unpack_uint32(call["numTokens"], "numTokens"),
        .x = unpack_bigint(call["x"], "x"),
        .x_scales = unpack_optional_bigint(call["xScales"], "xScales"),
        .extras = unpack_optional_bigint(call["extras"], "extras"),
        .topk_idx = unpack_optional_bigint(call["topkIdx"], "topkIdx"),
        .topk_weights = unpack_optional_bigint(call["topkWeights"], "topkWeights"),
        .is_token_in_rank = unpack_optional_bigint(call["isTokenInRank"], "isTokenInRank"),
        .num_tokens_per_expert = unpack_optional_bigint(call["numTokensPerExpert"], "numTokensPerExpert"),
        .handle = unpack_bigint(call["handle"], "handle"),
        .buffer_idx = unpack_uint32(call["buffer"], "buffer"),
        .grid = unpack_uint32(call["grid"], "grid"),
        .expert_alignment = unpack_optional_uint32(call["expertAlignment"], "expertAlignment", 1),
        .num_worst_tokens = unpack_optional_uint32(call["numWorstTokens"], "numWorstTokens", 0),
        .window_idx = unpack_optional_uint32(call["window"], "window", 0),
        .stream_idx = unpack_stream(call["stream"]),
    };
}

inline CombineRequest unpack_combine(const Napi::Object& call) {
    return {
        .num_tokens = unpack_uint32(call["numTokens"], "numTokens"),
        .handle = unpack_bigint(call["handle"], "handle"),
        .out = unpack_bigint(call["out"], "out"),
        .input_offset = unpack_bigint(call["inputOffset"], "inputOffset"),
        .out_weights = unpack_optional_bigint(call["outWeights"], "outWeights"),
        .weights_offset = unpack_optional_bigint(call["weightsOffset"], "weightsOffset"),
        .bias = {unpack_optional_bigint(call["bias0"], "bias0"), unpack_optional_bigint(call["bias1"], "bias1")},
        .grid = unpack_uint32(call["grid"], "grid"),
        .window_idx = unpack_optional_uint32(call["window"], "window", 0),
        .stream_idx = unpack_stream(call["stream"]),
    };
}

inline ExpertMajorRequest unpack_expert_major(const Napi::Object& call) {
    return {
        .num_rows = unpack_uint32(call["numRows"], "numRows"),
        .num_expert_rows = unpack_uint32(call["numExpertRows"], "numExpertRows"),
        .handle = unpack_bigint(call["handle"], "handle"),
        .recv_x = unpack_bigint(call["recvX"], "recvX"),
        .recv_x_scales = unpack_optional_bigint(call["recvXScales"], "recvXScales"),
        .recv_extras = unpack_optional_bigint(call["recvExtras"], "recvExtras"),
        .recv_topk_idx = unpack_bigint(call["recvTopkIdx"], "recvTopkIdx"),
        .recv_topk_weights = unpack_bigint(call["recvTopkWeights"], "recvTopkWeights"),
        .counts = unpack_bigint(call["counts"], "counts"),
        .x = unpack_bigint(call["x"], "x"),
        .x_scales = unpack_optional_bigint(call["xScales"], "xScales"),
        .extras = unpack_optional_bigint(call["extras"], "extras"),
        .topk_weights = unpack_bigint(call["topkWeights"], "topkWeights"),
        .slot = unpack_bigint(call["slot"], "slot"),
        .grid = unpack_uint32(call["grid"], "grid"),
        .pads_zeros = unpack_boolean(call["zeroPadding"], "zeroPadding"),
    };
}

inline ExpertSumRequest unpack_expert_sum(const Napi::Object& call) {
    return {
        .num_rows = unpack_uint32(call["numRows"], "numRows"),
        .num_expert_rows = unpack_uint32(call["numExpertRows"], "numExpertRows"),
        .y = unpack_bigint(call["y"], "y"),
        .slot = unpack_bigint(call["slot"], "slot"),
        .sums = unpack_bigint(call["sums"], "sums"),
        .grid = unpack_uint32(call["grid"], "grid"),
        .stream_idx = unpack_stream(call["stream"]),
    };
}

inline uint32_t unpack_phases(Napi::Value value) {
    const std::string name = value.IsString() ? value.ToString().Utf8Value() : "";
    if (name == "send") return kLlSend;
    if (name == "receive") return kLlReceive;
    if (name == "both") return kLlSend | kLlReceive;
    refuse("phases", "'send', 'receive' or 'both'", describe_value(value));
}

inline LlDispatchRequest unpack_ll_dispatch(const Napi::Object& call) {
    return {
        .phases = unpack_phases(call["phases"]),
        .num_tokens = unpack_uint32(call["numTokens"], "numTokens"),
        .x = unpack_optional_bigint(call["x"], "x"),
        .topk_idx = unpack_optional_bigint(call["topkIdx"], "topkIdx"),
        .handle = unpack_bigint(call["handle"], "handle"),
        .expert_stats = unpack_optional_bigint(call["expertStats"], "expertStats"),
        .wait_stats = unpack_optional_bigint(call["waitStats"], "waitStats"),
        .grid = unpack_uint32(call["grid"], "grid"),
        .window_idx = unpack_optional_uint32(call["window"], "window", 0),
        .stream_idx = unpack_stream(call["stream"]),
    };
}

inline LlCombineRequest unpack_ll_combine(const Napi::Object& call) {
    return {
        .phases = unpack_phases(call["phases"]),
        .num_tokens = unpack_uint32(call["numTokens"], "numTokens"),
        .handle = unpack_bigint(call["handle"], "handle"),
        .input_offset = unpack_optional_bigint(call["inputOffset"], "inputOffset"),
        .topk_weights = unpack_optional_bigint(call["topkWeights"], "topkWeights"),
        .out = unpack_optional_bigint(call["out"], "out"),
        .wait_stats = unpack_optional_bigint(call["waitStats"], "waitStats"),
        .grid = unpack_uint32(call["grid"], "grid"),
        .window_idx = unpack_optional_uint32(call["window"], "window", 0),
        .stream_idx = unpack_stream(call["stream"]),
    };
}

inline LlStageRequest unpack_ll_stage(const Napi::Object& call) {
    return {
        .handle = unpack_bigint(call["handle"], "handle"),
        .x = unpack_bigint(call["x"], "x"),
        .output_offset = unpack_bigint(call["outputOffset"], "outputOffset"),
        .grid = unpack_uint32(call["grid"], "grid"),
        .window_idx = unpack_optional_uint32(call["window"], "window", 0),
        .stream_idx = unpack_stream(call["stream"]),
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
