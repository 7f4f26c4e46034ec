#include "verify/runner.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>

#include "simt/trace_events.hpp"

namespace epgen::verify {

namespace {

/// A schedule that takes longer doesn't end. In time of the processor, since others may be busy on it.
constexpr std::clock_t kLongestSchedule = 60 * CLOCKS_PER_SEC;

/// Rows of few tokens show what goes wrong between calls: most schedules for the time. Orders don't depend on rows.
Options with_token_limit(Options options, const Module& module) {
    constexpr uint64_t kRowsBytes = 1 << 20;  // of all ranks' tokens
    const bool has_ht = module.num_channels > 0;
    const uint64_t row_bytes = has_ht ? module.row_bytes : module.ll_input_row_bytes;
    const uint64_t num_tokens = kRowsBytes / (module.num_ranks * row_bytes);
    const uint64_t limit = options.explores ? 2 : std::clamp<uint64_t>(num_tokens, 4, 40);
    if (options.max_tokens == 0) options.max_tokens = static_cast<uint32_t>(limit);
    options.max_tokens =
        std::min(options.max_tokens, has_ht ? module.max_tokens_per_rank : module.max_ll_tokens_per_rank);
    return options;
}

}  // namespace

Runner::Runner(const Module& module, const Options& options)
    : module_(module), layout_(spec_layout()), options_(with_token_limit(options, module)) {}

simt::MachineOptions Runner::machine_options(uint64_t seed) {
    simt::Random random(seed ^ 0x9011c7u);
    simt::MachineOptions machine;
    machine.num_ranks = module_.num_ranks;
    machine.seed = seed;
    // Drawn in any case, so that a schedule of `mixed` is the same one when its policy is named.
    const auto kind = static_cast<simt::Policy::Kind>(random.below(4));
    machine.policy.kind = options_.policy.value_or(kind);
    machine.policy.num_changes = 1 + random.below(8);
    const uint32_t resident = random.below(2) == 0 ? 0 : 1 + random.below(3);
    machine.policy.max_resident_blocks = options_.resident != 0 ? options_.resident : resident;
    machine.policy.block_order = static_cast<simt::BlockOrder>(random.below(3));
    machine.policy.rank_skew = random.below(4) != 0;
    machine.check_races = options_.checks_races;
    machine.weak_memory = options_.has_weak_memory;
    machine.on_race = [this](const simt::RaceReport& report) { findings_.add_race(report); };
    machine.on_fault = [this](const simt::FaultReport& report) { findings_.add_fault(report); };
    machine.on_host_store = [this](const void* address) {
        records_.host_stored(*machine_, static_cast<const std::byte*>(address));
    };
    return machine;
}

/// Only `steering` decides who goes first where it matters; copies and stores take no time that could matter.
simt::MachineOptions Runner::steered_options(uint64_t seed, simt::Steering& steering) {
    simt::MachineOptions machine = machine_options(seed);
    machine.policy = simt::Policy{};
    machine.policy.rank_skew = false;
    machine.weak_memory = false;
    machine.steering = &steering;
    return machine;
}

Runner::Outcome Runner::run(uint64_t seed, bool is_traced, simt::Steering* steering) {
    sequence_.draw(seed, options_, module_, layout_);
    low_latency_.draw(seed, options_, sequence_.num_earlier_calls, sequence_.num_calls);
    findings_.clear();
    records_.clear();
    results_.clear();
    num_ranks_ended_ = 0;
    memory_.prepare();
    low_latency_streams_.prepare();
    simt::MachineOptions options = steering == nullptr ? machine_options(seed) : steered_options(seed, *steering);
    const std::unique_ptr<simt::Tracer> tracer = is_traced ? make_tracer(seed, options.policy.kind) : nullptr;
    options.tracer = tracer.get();
    auto owner = std::make_unique<simt::Machine>(options);
    simt::Machine& machine = *owner;
    machine_ = owner.get();
    for (uint32_t rank_idx = 0; rank_idx < module_.num_ranks; ++rank_idx) {
        const RankMemory& rank = memory_.ranks[rank_idx];
        machine.add_region({"window", rank_idx, rank.window.data(), rank.window.size()});
        machine.add_region({"arena", rank_idx, rank.arena.data(), rank.arena.size()});
        machine.add_region({"host records", rank_idx, rank.records.data(), rank.records.size()});
    }
    machine.hold();
    for (uint32_t rank_idx = 0; rank_idx < module_.num_ranks; ++rank_idx) {
        streams_.enqueue(machine, rank_idx);
        machine.enqueue(rank_idx, simt::Callback{[this](simt::Status) { rank_ended(); }});
    }
    machine.release();
    const bool hangs = !wait();
    const simt::Counters counters = machine.counters();
    if (hangs) {
        static_cast<void>(owner.release());  // its thread can't be waited for
        findings_.complete();
        return {counters.trace_hash, counters.num_steps, options.policy.kind, true};
    }
    owner.reset();  // before its tracer
    if (!findings_.has_stopped()) compare_after();
    findings_.complete();
    return {counters.trace_hash, counters.num_steps, options.policy.kind, false};
}

/// What only the end of all calls can tell.
void Runner::compare_after() {
    records_.compare_after();
    results_.compare_after();
    for (uint32_t rank_idx = 0; rank_idx < module_.num_ranks; ++rank_idx) {
        const FaultRecord& fault = *memory_.ranks[rank_idx].fault();
        if (fault.state != 0) findings_.add_wait(rank_idx, fault);
    }
}

/// Null where no trace was asked for.
std::unique_ptr<simt::Tracer> Runner::make_tracer(uint64_t seed, simt::Policy::Kind policy) const {
    if (options_.trace_path.empty()) return nullptr;
    simt::TraceOptions trace;
    trace.path = options_.trace_path;
    trace.notes = {{"spec", module_.name},
                   {"seed", std::to_string(seed)},
                   {"policy", options_.explores ? "explore" : policy_name(policy)}};
    trace.remembers_accesses = true;
    return std::make_unique<simt::TraceEvents>(std::move(trace));
}

void Runner::rank_ended() {
    {
        std::lock_guard lock(mutex_);
        ++num_ranks_ended_;
    }
    changed_.notify_one();
}

/// Until all streams have ended; false when they don't.
bool Runner::wait() {
    std::unique_lock lock(mutex_);
    const std::clock_t start = std::clock();
    const auto all_ended = [this] { return num_ranks_ended_ == module_.num_ranks; };
    while (!changed_.wait_for(lock, std::chrono::seconds(1), all_ended)) {
        if (std::clock() - start < kLongestSchedule) continue;
        findings_.add_hang();
        return false;
    }
    return true;
}

}  // namespace epgen::verify
