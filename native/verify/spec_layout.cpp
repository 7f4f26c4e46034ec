// Compiled once per spec: EPGEN_SPEC is its namespace.
#include "verify/spec_layout.hpp"

#include "layout.cuh"

namespace epgen::verify {

namespace {

namespace spec = EPGEN_SPEC;

static_assert(spec::kRowBytes == 2 * spec::kHidden && spec::kCombineRowBytes == 2 * spec::kHidden,
              "the verifier knows bf16 rows only");

template <class T>
constexpr RowRegion row_region(Region<T> region, uint64_t row_bytes, uint32_t element_bytes) {
    return {region.name,
            region.offset_bytes,
            region.count * sizeof(T),
            region.stride_bytes,
            region.num_buffers,
            static_cast<uint32_t>(row_bytes),
            element_bytes};
}

constexpr SpecLayout kLayout{
    {spec::kNumRanks, spec::kNumExperts, spec::kNumTopk, spec::kNumChannels, spec::kHidden},
    spec::kLiveResults,
    row_region(spec::kRecvX, spec::kRowBytes, 2),
    row_region(spec::kRecvTopkIdx, spec::kNumTopk * sizeof(int64_t), sizeof(int64_t)),
    row_region(spec::kRecvTopkWeights, spec::kNumTopk * sizeof(uint32_t), sizeof(uint32_t)),
    row_region(spec::kRecvSrcIdx, sizeof(int32_t), sizeof(int32_t)),
    row_region(spec::kRecvChannelPrefix, spec::kRecvChannelPrefix.count * sizeof(int32_t), sizeof(int32_t)),
    row_region(spec::kOutput, spec::kCombineRowBytes, 2),
    {"num_recv_tokens", offsetof(spec::HandleHeader, num_recv_tokens)},
    {"num_tokens_per_expert", offsetof(spec::HandleHeader, num_tokens_per_expert)},
    {"rank_prefix", offsetof(spec::HandleHeader, rank_prefix)},
    {"channel_prefix", offsetof(spec::HandleHeader, channel_prefix)},
    {"recv_channel_prefix", offsetof(spec::HandleHeader, recv_channel_prefix)},
};

}  // namespace

const SpecLayout& spec_layout() {
    return kLayout;
}

}  // namespace epgen::verify
