// Records that a kernel leaves in mapped host memory: what it counted, and why it gave up.
#pragma once

#include <cstdint>

namespace epgen {

constexpr uint32_t kMaxRanks = 8;

enum class Op : uint32_t {
    dispatch = 1,
    combine = 2,
    dispatch_layout = 3,
    ll_dispatch = 4,
    ll_combine = 5,
    ll_stage = 6,
};

/// What a launch of a low-latency kernel does: bits of its `phases`.
constexpr uint32_t kLlSend = 1;
constexpr uint32_t kLlReceive = 2;

/// What a waiting thread was waiting for.
enum class Phase : uint32_t {
    rank_counts = 1,    // a peer's token counts
    expert_counts = 2,  // a peer's counts per expert
    arrivals = 3,       // a peer's rows
    ready = 4,          // a peer's expert outputs
    stage_full = 5,     // a piece of a row in shared memory
    stage_empty = 6,    // a free stage in shared memory
    selections = 7,     // this rank's own selections per expert, counted by other warps
    group_alive = 8,    // nothing: the kernel asked whether a rank has given up
    started = 9,        // a peer to have begun the same call
};

constexpr const char* op_name(Op op) {
    switch (op) {
        case Op::dispatch: return "dispatch";
        case Op::combine: return "combine";
        case Op::dispatch_layout: return "dispatchLayout";
        case Op::ll_dispatch: return "lowLatencyDispatch";
        case Op::ll_combine: return "lowLatencyCombine";
        case Op::ll_stage: return "lowLatencyStage";
    }
    return "unknown";
}

constexpr const char* phase_name(Phase phase) {
    switch (phase) {
        case Phase::rank_counts: return "rank counts";
        case Phase::expert_counts: return "expert counts";
        case Phase::arrivals: return "arrivals";
        case Phase::ready: return "ready";
        case Phase::stage_full: return "full stage";
        case Phase::stage_empty: return "empty stage";
        case Phase::selections: return "own selections";
        case Phase::group_alive: return "no rank to have given up";
        case Phase::started: return "the start";
    }
    return "unknown";
}

constexpr uint32_t kNoToken = 0xffffffffu;

/// Counts of one call, in mapped host memory; followed by `int32_t counts[num_local_experts]`. The kernel writes
/// `tag` last, with release; the host reads the rest after it has seen the tag of its call. Where calls share a record,
/// `bad_token_idx` releases the two fields behind it.
struct CountRecord {
    uint32_t tag;
    uint32_t num_recv_tokens;  // of a call with num_worst_tokens only if more came; the host sets it to 0 before
    uint32_t bad_token_idx;    // first token with an index outside [-1, experts); the host sets it to kNoToken before
    uint32_t bad_choice_idx;
    int64_t bad_value;
};

/// The first wait of a rank that gave up, in mapped host memory. `state` is 0, and 2 once the record is complete.
struct FaultRecord {
    uint32_t state;
    Op op;
    Phase phase;
    uint32_t rank_idx;
    uint32_t epoch;
    int32_t peer_idx;     // -1 where no single peer is waited for
    int32_t channel_idx;  // -1 where no single channel is waited for
    uint32_t reason;      // 1: the deadline passed, 2: another rank gave up first
    uint64_t expected;
    uint64_t seen;
    uint32_t host_abort;  // the host sets it, without the driver: every wait of the call leaves
};

}  // namespace epgen
