// Compiled once per spec: EPGEN_SPEC is its namespace.
#include "verify/spec_layout.hpp"

#include <cstring>

#include "layout.cuh"
#include "runtime/module.hpp"

namespace epgen {

// What a spec may have none of. Its own, in its namespace, hide these.
constexpr Region<uint32_t> kRecvXScales{}, kRecvExtras{}, kOutputWeights{};
constexpr uint32_t kNumScaleWords = 0, kScaleColumnWords = 0, kNumExtraWords = 0;
constexpr Region<uint8_t> kRecvX{}, kOutput{};
constexpr Region<uint32_t> kRecvTopkWeights{};
constexpr Region<int32_t> kRecvTopkIdx{}, kRecvSrcIdx{}, kRecvChannelPrefix{};
constexpr uint32_t kNumChannels = 0, kRowBytes = 0, kMaxTokensPerRank = 0, kLiveResults = 0, kCombineRowBytes = 0;
struct HandleHeader {
    int32_t num_recv_tokens, num_tokens_per_expert, rank_prefix, channel_prefix, recv_channel_prefix;
};
constexpr Region<uint8_t> kLlRecvX{}, kLlOutput{};
constexpr Region<uint32_t> kLlRecvXScales{};
constexpr Region<int32_t> kLlRecvSrcIdx{};
constexpr uint32_t kMaxLlTokensPerRank = 0, kLlRowBytes = 0, kNumLlScaleWords = 0, kLlScaleColumnWords = 0;
constexpr uint32_t kLlOutputRowBytes = 0, kLlInFlight = 0;
struct LlHandleHeader {
    uint32_t dispatch_epoch;
    int32_t num_tokens_per_expert[1];
    int64_t layout_range[1];
};

namespace EPGEN_SPEC {

using verify::RowRegion;

template <class T>
RowRegion row_region(Region<T> region, uint64_t row_bytes, uint32_t element_bytes = sizeof(T)) {
    return {region.name,
            region.offset_bytes,
            region.count * sizeof(T),
            region.stride_bytes,
            region.num_buffers,
            static_cast<uint32_t>(row_bytes),
            element_bytes,
            0};
}

/// Scales of rows in columns, where the spec has them so.
RowRegion scales_region() {
    RowRegion region = row_region(kRecvXScales, kNumScaleWords * sizeof(uint32_t));
    if (kScaleColumnWords > 0) region.num_columns = kNumScaleWords;
    return region;
}

model::Element combine_element() {
    const char* type = module().combine_type;
    if (type == nullptr) return model::Element::bf16;  // nothing is combined
    return std::strcmp(type, "f32") == 0   ? model::Element::f32
           : std::strcmp(type, "f16") == 0 ? model::Element::f16
                                           : model::Element::bf16;
}

template <class Header>
constexpr uint64_t rank_counts_offset() {
    if constexpr (requires(Header header) { header.num_tokens_per_rank; }) {
        return offsetof(Header, num_tokens_per_rank);
    }
    return 0;
}

verify::LowLatencyLayout low_latency_layout() {
    const bool is_fp8 = kNumLlScaleWords > 0;
    const bool packs_scales = is_fp8 && kNumLlScaleWords * 512 == kHidden;
    return {
        {kNumRanks, kNumExperts, kNumTopk, kHidden, kMaxLlTokensPerRank, is_fp8, packs_scales,
         packs_scales || module().rounds_ll_scales, kLlOutputRowBytes != 2 * kHidden},
        kLlInFlight,
        kLlScaleColumnWords,
        row_region(kLlRecvX, kLlRowBytes, is_fp8 ? 1 : 2),
        row_region(kLlRecvXScales, kNumLlScaleWords * sizeof(uint32_t)),
        row_region(kLlRecvSrcIdx, sizeof(int32_t)),
        row_region(kLlOutput, kLlOutputRowBytes, 2),
        {"dispatch_epoch", offsetof(LlHandleHeader, dispatch_epoch)},
        {"num_tokens_per_expert", offsetof(LlHandleHeader, num_tokens_per_expert)},
        {"layout_range", offsetof(LlHandleHeader, layout_range)},
    };
}

verify::SpecLayout make_layout() {
    constexpr bool is_slotted = rank_counts_offset<HandleHeader>() != 0;
    const model::Element element = combine_element();
    const uint32_t element_bytes = element == model::Element::f32 ? 4 : 2;
    return {
        {kNumRanks, kNumExperts, kNumTopk, kNumChannels, kHidden, kRowBytes, kMaxTokensPerRank, element,
         kNumScaleWords, kScaleColumnWords > 0, kNumExtraWords, is_slotted},
        kLiveResults,
        module().row_type != nullptr && std::strcmp(module().row_type, module().combine_type) == 0,
        row_region(kRecvX, kRowBytes, kRowBytes / kHidden),
        scales_region(),
        row_region(kRecvExtras, kNumExtraWords * sizeof(uint32_t)),
        row_region(kRecvTopkIdx, kNumTopk * module().topk_idx_bytes),
        row_region(kRecvTopkWeights, kNumTopk * sizeof(uint32_t)),
        row_region(kRecvSrcIdx, sizeof(int32_t)),
        row_region(kRecvChannelPrefix, kRecvChannelPrefix.count * sizeof(int32_t)),
        row_region(kOutput, kCombineRowBytes, element_bytes),
        row_region(kOutputWeights, kNumTopk * sizeof(uint32_t)),
        {"num_recv_tokens", offsetof(HandleHeader, num_recv_tokens)},
        {"num_tokens_per_expert", offsetof(HandleHeader, num_tokens_per_expert)},
        {"rank_prefix", offsetof(HandleHeader, rank_prefix)},
        {"channel_prefix", offsetof(HandleHeader, channel_prefix)},
        {"recv_channel_prefix", offsetof(HandleHeader, recv_channel_prefix)},
        {"num_tokens_per_rank", rank_counts_offset<HandleHeader>()},
        low_latency_layout(),
    };
}

}  // namespace EPGEN_SPEC

namespace verify {

const SpecLayout& spec_layout() {
    static const SpecLayout layout = EPGEN_SPEC::make_layout();
    return layout;
}

}  // namespace verify
}  // namespace epgen
