// A kernel as a caller writes it: each block adds up the rows of one source as soon as they have come.
#pragma once

#include "ready.cuh"

namespace epgen::EPGEN_SPEC {

/// What a block found of its source.
struct Found {
    uint32_t first, count;
    uint32_t num_ready;  // sources that had delivered by then
    uint32_t sum;        // of all words of the rows
};

struct FollowerArgs {
    ready::Dispatch dispatch;
    const uint8_t* x;  // [row][kRowBytes]
    Found* found;      // [source]; untouched where the group gave up
};

struct FollowerShared {
    uint32_t ok, first, count, sum;
};

constexpr uint32_t kNumFollowerThreads = 64;

EPGEN_DEVICE void follower_block(const FollowerArgs& args) {
    const auto smem = shared_memory<FollowerShared>();
    const uint32_t source = block_idx();
    uint32_t num_ready = 0;
    if (thread_idx() == 0) {
        ready::Rows rows{};
        const bool ok = ready::wait_rows(args.dispatch, source, rows) && ready::wait(args.dispatch, source);
        for (uint32_t s = 0; s < kNumRanks; ++s) num_ready += ready::is_ready(args.dispatch, s);
        st(EPGEN_FIELD(smem, ok), ok);
        st(EPGEN_FIELD(smem, first), rows.first);
        st(EPGEN_FIELD(smem, count), rows.count);
        st(EPGEN_FIELD(smem, sum), 0);
    }
    sync_block();
    if (ld(EPGEN_FIELD(smem, ok)) == 0) return;
    const uint32_t first = ld(EPGEN_FIELD(smem, first));
    const uint32_t count = ld(EPGEN_FIELD(smem, count));
    const auto rows = make_local(args.x, kRecvX.count, "received.x") + uint64_t{first} * kRowBytes;
    uint32_t sum = 0;
    for (uint64_t i = thread_idx(); i < uint64_t{count} * kRowBytes / sizeof(Vec16); i += kNumFollowerThreads) {
        const Vec16 vector = ld_vec16(rows + i * sizeof(Vec16));
        for (uint32_t w = 0; w < 4; ++w) sum += vector.word[w];
    }
    red_add_shared(EPGEN_FIELD(smem, sum), sum);
    sync_block();
    if (thread_idx() != 0) return;
    st(make_local(args.found, kNumRanks, "found") + source, Found{first, count, num_ready, ld(EPGEN_FIELD(smem, sum))});
}

EPGEN_KERNEL(follower, FollowerArgs, follower_block, kNumFollowerThreads, FollowerShared)

}  // namespace epgen::EPGEN_SPEC
