// What is expected of every program in every placement. Read by the CPU program, the GPU program and the README.
#pragma once

#include <cstdint>

namespace epgen::litmus {

/// Where the roles of a program run.
enum class Placement : uint8_t { warps, blocks, ranks };
constexpr Placement kPlacements[] = {Placement::warps, Placement::blocks, Placement::ranks};

constexpr const char* placement_name(Placement placement) {
    switch (placement) {
        case Placement::warps: return "warps";
        case Placement::blocks: return "blocks";
        case Placement::ranks: return "ranks";
    }
    return "unknown";
}

/// A set of placements.
constexpr uint8_t kWarps = 1;
constexpr uint8_t kBlocks = 2;
constexpr uint8_t kRanks = 4;
constexpr uint8_t kApart = kBlocks | kRanks;
constexpr uint8_t kAnywhere = kWarps | kBlocks | kRanks;
constexpr bool has(uint8_t placements, Placement placement) {
    return (placements >> static_cast<uint8_t>(placement) & 1) != 0;
}

/// What PTX says of the outcome that a test asks about; `open` where the ISA has no rule that decides.
enum class Ptx : uint8_t { forbidden, allowed, open };
constexpr const char* ptx_name(Ptx ptx) {
    return ptx == Ptx::forbidden ? "forbidden" : ptx == Ptx::allowed ? "allowed" : "open";
}

/// Whether the operational model shows it in some schedule.
enum class Model : uint8_t { never, shows };
/// Whether the happens-before checker finds the program clean in all schedules, or racing in some.
enum class Checker : uint8_t { clean, race };

/// Sections of the PTX ISA.
enum class Rule : uint8_t {
    none,
    morally_strong,
    race,
    patterns,
    observation,
    synchronization,
    causality_order,
    proxy_order,
    coherence,
    atomicity,
    no_thin_air,
    per_location,
    causality,
    fence_sc,
    barrier,
    warp_barrier,
    vote,
    mbarrier,
    async_proxy,
    fence,
    bulk_wait,
};

struct RuleText {
    Rule rule;
    const char* section;  // numbered as in PTX ISA 9.0 where it belongs to the memory consistency model
    const char* says;
};

constexpr RuleText kRules[] = {
    {Rule::morally_strong, "8.7 Morally strong operations",
     "strong operations count towards each other only where the scope of each includes the other's thread"},
    {Rule::race, "8.7.1 Conflict and Data-races",
     "conflicting accesses that are neither ordered nor morally strong race"},
    {Rule::patterns, "8.8 Release and Acquire Patterns",
     "what releases: a release, alone or followed by the thread's strong write to the same word; what acquires: an "
     "acquire, alone or after the thread's strong read of the same word"},
    {Rule::observation, "8.9.2 Observation Order",
     "a read observes a write also through a sequence of read-modify-writes, all morally strong; a plain store ends it"},
    {Rule::synchronization, "8.9.4 Memory synchronization",
     "a release pattern synchronizes with the acquire pattern that observes it, if both are morally strong"},
    {Rule::causality_order, "8.9.5 Causality Order",
     "transitive over program order and synchronization, so releases are cumulative; what a thread has observed "
     "counts too"},
    {Rule::proxy_order, "8.9.5 Causality Order, proxy-preserved",
     "accesses of one proxy other than the generic count towards each other in one thread block only"},
    {Rule::coherence, "8.10.1 Coherence", "writes to one location come in the order of causality"},
    {Rule::atomicity, "8.10.3 Atomicity", "read-modify-writes that are morally strong are atomic towards each other"},
    {Rule::no_thin_air, "8.10.4 No Thin Air", "load buffering is excluded only where values depend on themselves"},
    {Rule::per_location, "8.10.5 Sequential Consistency Per Location",
     "morally strong operations on one location are sequentially consistent"},
    {Rule::causality, "8.10.6 Causality",
     "a read sees no write that an ordered one has replaced, and none that comes after it in causality order"},
    {Rule::fence_sc, "8.10.6 Causality, Store Buffering",
     "such outcomes are excluded by fence.sc only, which neither these programs nor the product use"},
    {Rule::barrier, "bar, barrier", "synchronizes the threads of a block and orders their accesses"},
    {Rule::warp_barrier, "bar.warp.sync", "orders memory accesses among the participating lanes"},
    {Rule::vote, "vote.sync", "makes lanes wait for each other, and says nothing about their memory"},
    {Rule::mbarrier, "mbarrier.test_wait, mbarrier.try_wait",
     "a wait that succeeds acquires what the arrivals of the phase have released, at block scope"},
    {Rule::async_proxy, "Async Proxy",
     "bulk copies run in the async proxy, and other accesses to the same bytes need a proxy fence; but once the end of "
     "a copy is seen, so is its result in the generic proxy"},
    {Rule::fence, "membar, fence",
     "a bi-directional proxy fence acts within its thread and composes with other synchronization; .async is for all "
     "memory, .async.shared::cta for shared memory"},
    {Rule::bulk_wait, "cp.async.bulk.wait_group",
     "waits for groups of the executing thread until their writes are visible to it; with .read only until their "
     "sources have been read"},
};

/// What decides one line.
struct Rules {
    Rule all[3];
};
constexpr Rules kMessage{Rule::patterns, Rule::synchronization, Rule::causality};
constexpr Rules kScoped{Rule::morally_strong, Rule::synchronization, Rule::causality};
constexpr Rules kSequence{Rule::observation, Rule::synchronization, Rule::causality};
constexpr Rules kChain{Rule::causality_order, Rule::causality};
constexpr Rules kUnordered{Rule::patterns, Rule::race};
constexpr Rules kTooNarrow{Rule::morally_strong, Rule::race};

/// One line of the table.
struct Expectation {
    const char* program;
    uint8_t placements;
    Ptx ptx;
    Model model;
    Checker checker;
    Rules rules;
};

constexpr Expectation kTable[] = {
    // messages
    {"mp_sys", kAnywhere, Ptx::forbidden, Model::never, Checker::clean, kMessage},
    {"mp_relaxed_writer", kAnywhere, Ptx::allowed, Model::shows, Checker::race, kUnordered},
    {"mp_relaxed_reader", kAnywhere, Ptx::allowed, Model::never, Checker::race, kUnordered},
    {"mp_gpu", kWarps | kBlocks, Ptx::forbidden, Model::never, Checker::clean, kScoped},
    {"mp_gpu", kRanks, Ptx::allowed, Model::shows, Checker::race, kTooNarrow},
    {"mp_gpu_writer", kWarps | kBlocks, Ptx::forbidden, Model::never, Checker::clean, kScoped},
    {"mp_gpu_writer", kRanks, Ptx::allowed, Model::shows, Checker::race, kTooNarrow},
    {"mp_gpu_reader", kWarps | kBlocks, Ptx::forbidden, Model::never, Checker::clean, kScoped},
    {"mp_gpu_reader", kRanks, Ptx::allowed, Model::never, Checker::race, kTooNarrow},
    {"mp_strong", kAnywhere, Ptx::forbidden, Model::never, Checker::clean, kMessage},
    {"mp_strong_relaxed_writer", kAnywhere, Ptx::allowed, Model::shows, Checker::clean, {Rule::patterns}},
    {"mp_strong_relaxed_reader", kAnywhere, Ptx::allowed, Model::never, Checker::clean, {Rule::patterns}},
    {"mp_red_sys", kAnywhere, Ptx::forbidden, Model::never, Checker::clean, kMessage},
    {"mp_red_gpu", kWarps | kBlocks, Ptx::forbidden, Model::never, Checker::clean, kScoped},
    {"mp_red_gpu", kRanks, Ptx::allowed, Model::shows, Checker::race, kTooNarrow},
    {"mp_two_reds", kAnywhere, Ptx::forbidden, Model::never, Checker::clean, kSequence},
    {"mp_ticket", kWarps | kBlocks, Ptx::forbidden, Model::never, Checker::clean, kSequence},
    {"mp_ticket", kRanks, Ptx::allowed, Model::never, Checker::race,
     {Rule::morally_strong, Rule::observation, Rule::race}},
    {"mp_overwritten", kAnywhere, Ptx::allowed, Model::never, Checker::race, {Rule::observation, Rule::race}},
    {"mp_overwritten_by_self", kAnywhere, Ptx::forbidden, Model::never, Checker::race, kMessage},
    {"mp_acquire_later", kAnywhere, Ptx::forbidden, Model::never, Checker::clean, kMessage},
    // chains
    {"mp_after_sync_block", kApart, Ptx::forbidden, Model::never, Checker::clean,
     {Rule::barrier, Rule::causality_order, Rule::causality}},
    {"mp_after_sync_warp", kApart, Ptx::forbidden, Model::never, Checker::clean,
     {Rule::warp_barrier, Rule::causality_order, Rule::causality}},
    {"mp_after_mbarrier", kApart, Ptx::forbidden, Model::never, Checker::clean,
     {Rule::mbarrier, Rule::causality_order, Rule::causality}},
    {"mp_after_ballot", kApart, Ptx::allowed, Model::shows, Checker::race, {Rule::vote, Rule::race}},
    {"mp_read_after_sync_block", kApart, Ptx::forbidden, Model::never, Checker::clean,
     {Rule::barrier, Rule::causality_order, Rule::causality}},
    {"wrc", kAnywhere, Ptx::forbidden, Model::never, Checker::clean, kChain},
    {"wrc_relaxed", kAnywhere, Ptx::allowed, Model::never, Checker::clean, {Rule::patterns, Rule::causality_order}},
    {"isa2", kAnywhere, Ptx::forbidden, Model::never, Checker::clean, kChain},
    {"isa2_relaxed_first", kAnywhere, Ptx::allowed, Model::shows, Checker::race, kUnordered},
    {"isa2_relaxed_middle", kAnywhere, Ptx::allowed, Model::never, Checker::race, kUnordered},
    {"isa2_gpu_first", kAnywhere, Ptx::forbidden, Model::never, Checker::clean,
     {Rule::morally_strong, Rule::causality_order, Rule::causality}},
    // shapes
    {"sb_relaxed", kAnywhere, Ptx::allowed, Model::shows, Checker::clean, {Rule::fence_sc}},
    {"sb", kAnywhere, Ptx::allowed, Model::shows, Checker::clean, {Rule::fence_sc}},
    {"lb_relaxed", kAnywhere, Ptx::allowed, Model::never, Checker::clean, {Rule::no_thin_air}},
    {"lb", kAnywhere, Ptx::forbidden, Model::never, Checker::clean, {Rule::synchronization, Rule::causality}},
    {"2+2w_relaxed", kAnywhere, Ptx::allowed, Model::shows, Checker::clean, {Rule::coherence}},
    {"2+2w", kAnywhere, Ptx::allowed, Model::never, Checker::clean, {Rule::synchronization, Rule::coherence}},
    {"s_relaxed", kAnywhere, Ptx::allowed, Model::shows, Checker::clean, {Rule::patterns}},
    {"s", kAnywhere, Ptx::forbidden, Model::never, Checker::clean, {Rule::synchronization, Rule::coherence}},
    {"r", kAnywhere, Ptx::allowed, Model::shows, Checker::clean, {Rule::fence_sc}},
    {"iriw_relaxed_sys", kAnywhere, Ptx::allowed, Model::never, Checker::clean, {Rule::patterns}},
    {"iriw_sys", kAnywhere, Ptx::allowed, Model::never, Checker::clean, {Rule::fence_sc}},
    {"iriw_relaxed_gpu", kWarps | kBlocks, Ptx::allowed, Model::never, Checker::clean, {Rule::patterns}},
    {"iriw_relaxed_gpu", kRanks, Ptx::allowed, Model::never, Checker::race, kTooNarrow},
    {"iriw_gpu", kWarps | kBlocks, Ptx::allowed, Model::never, Checker::clean, {Rule::fence_sc}},
    {"iriw_gpu", kRanks, Ptx::allowed, Model::never, Checker::race, kTooNarrow},
    // coherence
    {"corr", kAnywhere, Ptx::forbidden, Model::never, Checker::clean, {Rule::per_location}},
    {"coww", kAnywhere, Ptx::forbidden, Model::never, Checker::clean, {Rule::per_location, Rule::coherence}},
    {"coww_corr", kAnywhere, Ptx::forbidden, Model::never, Checker::clean, {Rule::per_location}},
    {"corw", kAnywhere, Ptx::forbidden, Model::never, Checker::clean, {Rule::per_location}},
    {"cowr", kAnywhere, Ptx::forbidden, Model::never, Checker::clean, {Rule::per_location}},
    {"atomic_sys", kAnywhere, Ptx::forbidden, Model::never, Checker::clean, {Rule::atomicity}},
    {"atomic_gpu", kWarps | kBlocks, Ptx::forbidden, Model::never, Checker::clean,
     {Rule::morally_strong, Rule::atomicity}},
    {"atomic_gpu", kRanks, Ptx::allowed, Model::never, Checker::race,
     {Rule::morally_strong, Rule::atomicity, Rule::race}},
    // sends
    {"send_own_fenced", kApart, Ptx::forbidden, Model::never, Checker::clean,
     {Rule::async_proxy, Rule::fence, Rule::bulk_wait}},
    {"send_own_unfenced", kApart, Ptx::allowed, Model::shows, Checker::race, {Rule::async_proxy}},
    {"send_other_fenced", kApart, Ptx::forbidden, Model::never, Checker::clean,
     {Rule::async_proxy, Rule::fence, Rule::barrier}},
    {"send_other_unfenced", kApart, Ptx::allowed, Model::shows, Checker::race, {Rule::async_proxy}},
    {"send_other_issuer_fence", kApart, Ptx::open, Model::never, Checker::clean, {Rule::fence}},
    {"send_other_early_fence", kApart, Ptx::allowed, Model::shows, Checker::race, {Rule::async_proxy, Rule::fence}},
    {"announce_read", kApart, Ptx::allowed, Model::shows, Checker::race, {Rule::bulk_wait}},
    {"announce_by_other", kApart, Ptx::allowed, Model::shows, Checker::race, {Rule::bulk_wait}},
    {"announce_by_self_then_other", kApart, Ptx::forbidden, Model::never, Checker::clean,
     {Rule::bulk_wait, Rule::warp_barrier, Rule::causality_order}},
    // pulls
    {"pull_fenced", kApart, Ptx::forbidden, Model::never, Checker::clean,
     {Rule::async_proxy, Rule::fence, Rule::causality_order}},
    {"pull_unfenced", kApart, Ptx::allowed, Model::shows, Checker::race, {Rule::async_proxy}},
    {"pull_shared_fence", kApart, Ptx::allowed, Model::shows, Checker::race, {Rule::async_proxy, Rule::fence}},
    {"pull_writer_fence", kApart, Ptx::allowed, Model::never, Checker::race, {Rule::fence, Rule::proxy_order}},
    {"relay_waited", kApart, Ptx::forbidden, Model::never, Checker::clean,
     {Rule::async_proxy, Rule::fence, Rule::mbarrier}},
    {"relay_writer_fence", kApart, Ptx::allowed, Model::never, Checker::race, {Rule::fence, Rule::proxy_order}},
    {"relay_unwaited", kApart, Ptx::allowed, Model::shows, Checker::race, {Rule::async_proxy, Rule::mbarrier}},
    {"reuse_fenced", kBlocks, Ptx::forbidden, Model::never, Checker::clean,
     {Rule::async_proxy, Rule::fence, Rule::mbarrier}},
    {"reuse_unfenced", kBlocks, Ptx::allowed, Model::never, Checker::race, {Rule::async_proxy}},
    {"reuse_too_early", kBlocks, Ptx::allowed, Model::shows, Checker::race, {Rule::mbarrier, Rule::race}},
    {"credit_fenced", kApart, Ptx::forbidden, Model::never, Checker::clean,
     {Rule::async_proxy, Rule::fence, Rule::causality_order}},
    {"credit_unfenced", kApart, Ptx::allowed, Model::never, Checker::race, {Rule::async_proxy}},
};

/// The line for a program in a placement; null where it doesn't run.
constexpr const Expectation* find(const char* program, Placement placement) {
    const auto same = [](const char* a, const char* b) {
        while (*a != 0 && *a == *b) ++a, ++b;
        return *a == *b;
    };
    for (const Expectation& line : kTable) {
        if (has(line.placements, placement) && same(line.program, program)) return &line;
    }
    return nullptr;
}

}  // namespace epgen::litmus
