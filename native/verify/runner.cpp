#include "verify/runner.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>

#include "simt/check/race_report.hpp"
#include "simt/trace_events.hpp"
#include "verify/source_line.hpp"

namespace epgen::verify {

namespace {

constexpr uint8_t kPoison = 0xa5;
constexpr uint64_t kPoisonRows = 4;  // behind the rows that a result has
/// No wait has a deadline: where all wait, the machine says so at once and tells who waits for what.
constexpr uint64_t kNoDeadline = UINT64_MAX;
constexpr auto kLongestSchedule = std::chrono::seconds(60);

/// Rows of few tokens show what goes wrong between calls: most schedules for the time.
Options with_token_limit(Options options, const Module& module) {
    constexpr uint64_t kRowsBytes = 1 << 20;  // of all ranks' tokens
    const uint64_t num_tokens = kRowsBytes / (module.num_ranks * module.row_bytes);
    if (options.max_tokens == 0) options.max_tokens = static_cast<uint32_t>(std::clamp<uint64_t>(num_tokens, 4, 40));
    options.max_tokens = std::min(options.max_tokens, module.max_tokens_per_rank);
    return options;
}

/// What a schedule takes of a rank's arena, at most.
uint64_t arena_bytes(const Module& module, const Options& options) {
    const uint64_t num_tokens = options.max_tokens;
    const uint64_t num_rows = num_tokens * module.num_ranks;
    const uint64_t choices = num_tokens * module.num_topk * (sizeof(int64_t) + sizeof(uint32_t));
    const uint64_t handle = module.handle_header_bytes + num_tokens * module.num_ranks * sizeof(int32_t);
    const uint64_t dispatch = num_tokens * module.row_bytes + choices + handle;
    const uint64_t query =
        choices + module.num_ranks * sizeof(int32_t) + module.num_experts * sizeof(int32_t) + num_rows;
    const uint64_t rounding = 16 * 256;
    return options.num_calls * (dispatch + num_rows * module.combine_row_bytes + query + rounding) +
           num_tokens * module.combine_row_bytes + rounding;
}

std::string hex(const std::byte* data, uint64_t bytes) {
    std::string text = "0x";
    for (uint64_t i = bytes; i-- > 0;) {
        char digits[4];
        std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(data[i]));
        text += digits;
    }
    return text;
}

bool is_poison(const std::byte* data, uint64_t bytes) {
    return std::all_of(data, data + bytes, [](std::byte byte) { return byte == std::byte{kPoison}; });
}

}  // namespace

Runner::Runner(const Module& module, const Options& options)
    : module_(module), layout_(spec_layout()), options_(with_token_limit(options, module)), out_(module.num_ranks), x_(module.num_ranks),
      choices_(module.num_ranks), weights_(module.num_ranks), handles_(module.num_ranks), records_(module.num_ranks),
      num_records_(module.num_ranks) {
    ranks_.reserve(module.num_ranks);
    for (uint32_t rank_idx = 0; rank_idx < module.num_ranks; ++rank_idx) {
        ranks_.emplace_back(module, arena_bytes(module, options_), 2 * options.num_calls);
        records_[rank_idx].resize(2 * options.num_calls);
    }
}

// Before the start

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
    machine.on_race = [this](const simt::RaceReport& report) { add_race(report); };
    machine.on_fault = [this](const simt::FaultReport& report) { add_fault(report); };
    machine.on_host_store = [this](const void* address) { host_stored(static_cast<const std::byte*>(address)); };
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

/// Puts inputs where kernels find them, and makes control words those of a group that has made calls before.
void Runner::prepare() {
    findings_.clear();
    num_checks_ = 0;
    num_ranks_ended_ = 0;
    for (uint32_t rank_idx = 0; rank_idx < module_.num_ranks; ++rank_idx) {
        RankMemory& rank = ranks_[rank_idx];
        rank.num_arena_bytes = 0;
        num_records_[rank_idx] = 0;
        std::memset(static_cast<void*>(rank.fault()), 0, sizeof(FaultRecord));
        module_.reset_control(rank.window.data(), static_cast<uint32_t>(sequence_.num_earlier_calls));
        out_[rank_idx] = rank.take(uint64_t{options_.max_tokens} * module_.combine_row_bytes);
        x_[rank_idx].clear();
        choices_[rank_idx].clear();
        weights_[rank_idx].clear();
        handles_[rank_idx].clear();
        for (uint32_t i = 0; i < sequence_.num_dispatches; ++i) {
            const model::Input& input = sequence_.dispatches[i].inputs[rank_idx];
            x_[rank_idx].push_back(rank.take_copy(input.x));
            choices_[rank_idx].push_back(rank.take_copy(input.topk_idx));
            weights_[rank_idx].push_back(rank.take_copy(input.topk_weights));
            handles_[rank_idx].push_back(rank.take(module_.handle_header_bytes +
                                                   uint64_t{input.num_tokens} * module_.num_ranks * sizeof(int32_t)));
        }
        // Early peers may write the first dispatch's rows before this rank's stream does anything.
        for (const simt::Fill& fill : poison_of_result(rank_idx, 0)) std::memset(fill.to, fill.value, fill.bytes);
    }
}

Runner::Outcome Runner::run(uint64_t seed, simt::Steering* steering) {
    sequence_.draw(seed, options_, module_, layout_);
    prepare();
    simt::MachineOptions options = steering == nullptr ? machine_options(seed) : steered_options(seed, *steering);
    const std::unique_ptr<simt::Tracer> tracer = tracer_of(seed, options.policy.kind);
    options.tracer = tracer.get();
    auto owner = std::make_unique<simt::Machine>(options);
    simt::Machine& machine = *owner;
    for (uint32_t rank_idx = 0; rank_idx < module_.num_ranks; ++rank_idx) {
        const RankMemory& rank = ranks_[rank_idx];
        machine.add_region({"window", rank_idx, rank.window.data(), rank.window.size()});
        machine.add_region({"arena", rank_idx, rank.arena.data(), rank.arena.size()});
        machine.add_region({"host records", rank_idx, rank.records.data(), rank.records.size()});
    }
    machine.hold();
    for (uint32_t rank_idx = 0; rank_idx < module_.num_ranks; ++rank_idx) enqueue_rank(machine, rank_idx);
    machine.release();
    const bool hangs = !wait();
    const simt::Counters counters = machine.counters();
    if (hangs) {
        static_cast<void>(owner.release());  // its thread can't be waited for
        return {counters.trace_hash, counters.num_steps, options.policy.kind, true};
    }
    owner.reset();  // before its tracer
    if (findings_.empty()) {
        compare_after();
    }
    complete_findings();
    return {counters.trace_hash, counters.num_steps, options.policy.kind, false};
}

/// Of the last schedule, where a trace was asked for.
std::unique_ptr<simt::Tracer> Runner::tracer_of(uint64_t seed, simt::Policy::Kind policy) const {
    if (options_.trace_path.empty() || seed + 1 != options_.end_seed) return nullptr;
    simt::TraceOptions trace;
    trace.path = options_.trace_path;
    trace.notes = {{"spec", module_.name}, {"seed", std::to_string(seed)}, {"policy", policy_name(policy)}};
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
    const bool done = changed_.wait_for(lock, kLongestSchedule,
                                        [this] { return num_ranks_ended_ == module_.num_ranks; });
    if (done) return true;
    findings_.push_back({"timeout", "the schedule did not end within 60 s", {}, "", "hang"});
    return false;
}

// Streams

void Runner::enqueue_rank(simt::Machine& machine, uint32_t rank_idx) {
    uint32_t query_idx = 0;
    for (uint32_t call_idx = 0; call_idx < sequence_.num_calls; ++call_idx) {
        const Call& call = sequence_.calls[call_idx];
        for (; query_idx < sequence_.num_queries && sequence_.queries[query_idx].before_call == call_idx; ++query_idx) {
            if (sequence_.queries[query_idx].rank_idx == rank_idx) enqueue_query(machine, rank_idx, query_idx);
        }
        if (call.delay_ns[rank_idx] != 0 && !options_.explores) machine.enqueue(rank_idx, simt::Delay{call.delay_ns[rank_idx]});
        if (call.is_dispatch) {
            enqueue_dispatch(machine, rank_idx, call_idx);
        } else {
            enqueue_combine(machine, rank_idx, call_idx);
        }
    }
    machine.enqueue(rank_idx, simt::Callback{[this](simt::Status) { rank_ended(); }});
}

void Runner::enqueue_kernel(simt::Machine& machine, uint32_t rank_idx, Launch launch) {
    machine.enqueue(rank_idx, simt::Kernel{launch.entry, launch.grid, std::move(launch.args), {}});
}

void Runner::enqueue_dispatch(simt::Machine& machine, uint32_t rank_idx, uint32_t call_idx) {
    const Call& call = sequence_.calls[call_idx];
    const uint32_t idx = call.idx;
    const Dispatch& dispatch = sequence_.dispatches[idx];
    const model::Input& input = dispatch.inputs[rank_idx];
    const model::Received& received = dispatch.received[rank_idx];
    RankMemory& rank = ranks_[rank_idx];

    if (idx >= layout_.live_results) read_late(machine, rank_idx, idx - layout_.live_results, call_idx);
    // Peers may write the next dispatch's rows from the end of this one on.
    if (idx + 1 < sequence_.num_dispatches && sequence_.dispatches[idx + 1].is_poisoned) {
        for (const simt::Fill& fill : poison_of_result(rank_idx, idx + 1)) machine.enqueue(rank_idx, fill);
    }
    const uint64_t handle_bytes = module_.handle_header_bytes + received.slot.size() * sizeof(int32_t);
    machine.enqueue(rank_idx, simt::Fill{handles_[rank_idx][idx], kPoison, handle_bytes});

    const uint32_t tag = 1 + call_idx;
    DispatchCall launch{};
    launch.rank_idx = rank_idx;
    launch.num_tokens = input.num_tokens;
    launch.grid = call.grid[rank_idx];
    launch.buffer_idx = dispatch.buffer_idx;
    launch.record_tag = tag;
    launch.deadline_ns = kNoDeadline;
    if (input.num_tokens > 0) {
        launch.x = x_[rank_idx][idx];
        launch.topk_idx = choices_[rank_idx][idx];
        launch.topk_weights = weights_[rank_idx][idx];
    }
    launch.handle = handles_[rank_idx][idx];
    launch.record = take_record(machine, rank_idx, {call_idx, false, tag, false, received.num_rows,
                                                    &received.num_tokens_per_expert, &dispatch.layouts[rank_idx],
                                                    &input});
    launch.fault = rank.fault();
    for (uint32_t peer = 0; peer < module_.num_ranks; ++peer) launch.window[peer] = ranks_[peer].window.data();
    enqueue_kernel(machine, rank_idx, module_.dispatch(launch));

    if (call.rest_ns[rank_idx] != 0 && !options_.explores) machine.enqueue(rank_idx, simt::Delay{call.rest_ns[rank_idx]});
    const auto rows = [&](const RowRegion& region, const void* expected) {
        const uint64_t bytes = uint64_t{received.num_rows} * region.row_bytes;
        const uint64_t tail =
            dispatch.is_poisoned ? std::min(region.bytes - bytes, kPoisonRows * region.row_bytes) : 0;
        compare_later(machine, region.buffer(rank.window.data(), dispatch.buffer_idx),
                      {region.name, &call, call_idx, rank_idx, expected, bytes, tail, region.element_bytes,
                       region.row_bytes});
    };
    rows(layout_.recv_x, received.x.data());
    rows(layout_.recv_topk_idx, received.topk_idx.data());
    rows(layout_.recv_topk_weights, received.topk_weights.data());
    rows(layout_.recv_src_idx, received.src_idx.data());
    compare_handle(machine, rank_idx, call_idx);
}

/// Makes the receive buffer of a dispatch hold nothing that could pass for its result.
std::array<simt::Fill, 5> Runner::poison_of_result(uint32_t rank_idx, uint32_t dispatch_idx) {
    const Dispatch& dispatch = sequence_.dispatches[dispatch_idx];
    const uint64_t num_rows = dispatch.received[rank_idx].num_rows + kPoisonRows;
    const auto fill = [&](const RowRegion& region) {
        return simt::Fill{region.buffer(ranks_[rank_idx].window.data(), dispatch.buffer_idx), kPoison,
                          std::min(region.bytes, num_rows * region.row_bytes)};
    };
    return {fill(layout_.recv_x), fill(layout_.recv_topk_idx), fill(layout_.recv_topk_weights),
            fill(layout_.recv_src_idx), fill(layout_.recv_channel_prefix)};
}

/// Reads a result once more, at the end of its life.
void Runner::read_late(simt::Machine& machine, uint32_t rank_idx, uint32_t dispatch_idx, uint32_t call_idx) {
    const Dispatch& dispatch = sequence_.dispatches[dispatch_idx];
    if (!dispatch.is_read_late) return;
    const RowRegion& region = layout_.recv_x;
    const uint64_t bytes = uint64_t{dispatch.received[rank_idx].num_rows} * region.row_bytes;
    compare_later(machine, region.buffer(ranks_[rank_idx].window.data(), dispatch.buffer_idx),
                  {"recv_x of an older dispatch that is still live", &sequence_.calls[call_idx], call_idx, rank_idx,
                   dispatch.rows[rank_idx], bytes, 0, region.element_bytes, region.row_bytes});
}

void Runner::enqueue_combine(simt::Machine& machine, uint32_t rank_idx, uint32_t call_idx) {
    const Call& call = sequence_.calls[call_idx];
    const Combine& combine = sequence_.combines[call.idx];
    const Dispatch& dispatch = sequence_.dispatches[combine.dispatch_idx];
    const model::Received& received = dispatch.received[rank_idx];
    RankMemory& rank = ranks_[rank_idx];
    const bool is_output = combine.from == CombineFrom::output;
    const RowRegion& region = is_output ? layout_.output : layout_.recv_x;
    std::byte* input = region.buffer(rank.window.data(), is_output ? combine.output_idx : dispatch.buffer_idx);
    if (combine.from != CombineFrom::received) {
        const std::vector<uint16_t>& outputs = combine.outputs[rank_idx];
        machine.enqueue(rank_idx, simt::Copy{input, rank.take_copy(outputs), outputs.size() * sizeof(uint16_t)});
    }
    const std::vector<uint16_t>& sums = combine.sums[rank_idx];
    const uint64_t out_bytes = sums.size() * sizeof(uint16_t);
    machine.enqueue(rank_idx, simt::Fill{out_[rank_idx], kPoison, out_bytes});

    CombineCall launch{};
    launch.rank_idx = rank_idx;
    launch.num_tokens = dispatch.inputs[rank_idx].num_tokens;
    launch.grid = call.grid[rank_idx];
    launch.deadline_ns = kNoDeadline;
    launch.input_offset = static_cast<uint64_t>(input - rank.window.data());
    launch.handle = handles_[rank_idx][combine.dispatch_idx];
    if (out_bytes > 0) launch.out = out_[rank_idx];
    launch.fault = rank.fault();
    for (uint32_t peer = 0; peer < module_.num_ranks; ++peer) launch.window[peer] = ranks_[peer].window.data();
    enqueue_kernel(machine, rank_idx, module_.combine(launch));

    // Its end shows that every rank has ended the combine before it, whose output buffer is the caller's again.
    const uint32_t next_output_idx = (combine.output_idx + 1) % layout_.output.num_buffers;
    machine.enqueue(rank_idx, simt::Fill{layout_.output.buffer(rank.window.data(), next_output_idx), kPoison,
                                         std::min(layout_.output.bytes, received.num_rows * module_.combine_row_bytes)});
    if (call.rest_ns[rank_idx] != 0 && !options_.explores) machine.enqueue(rank_idx, simt::Delay{call.rest_ns[rank_idx]});
    compare_later(machine, out_[rank_idx],
                  {"out", &call, call_idx, rank_idx, sums.data(), out_bytes, 0, sizeof(uint16_t),
                   module_.combine_row_bytes});
}

void Runner::enqueue_query(simt::Machine& machine, uint32_t rank_idx, uint32_t query_idx) {
    const Query& query = sequence_.queries[query_idx];
    RankMemory& rank = ranks_[rank_idx];
    const uint32_t tag = 1 + sequence_.num_calls + query_idx;
    DispatchLayoutCall launch{};
    launch.rank_idx = rank_idx;
    launch.num_tokens = query.input.num_tokens;
    launch.record_tag = tag;
    if (query.input.num_tokens > 0) launch.topk_idx = rank.take_copy(query.input.topk_idx);
    launch.record = take_record(machine, rank_idx, {query_idx, true, tag, false, 0, nullptr, &query.layout,
                                                    &query.input});
    const auto output = [&](const auto& expected) {
        const uint64_t bytes = expected.size() * sizeof(expected[0]);
        std::byte* data = rank.take(bytes);
        machine.enqueue(rank_idx, simt::Fill{data, kPoison, bytes});
        return data;
    };
    launch.num_tokens_per_rank = output(query.layout.num_tokens_per_rank);
    launch.num_tokens_per_expert = output(query.layout.num_tokens_per_expert);
    launch.is_token_in_rank = output(query.layout.is_token_in_rank);
    enqueue_kernel(machine, rank_idx, module_.dispatch_layout(launch));
    const auto compare = [&](const char* name, const void* seen, const auto& expected) {
        const auto bytes = static_cast<uint32_t>(sizeof(expected[0]));
        compare_later(machine, static_cast<const std::byte*>(seen),
                      {name, nullptr, query.before_call, rank_idx, expected.data(), expected.size() * bytes, 0, bytes,
                       bytes});
    };
    compare("num_tokens_per_rank", launch.num_tokens_per_rank, query.layout.num_tokens_per_rank);
    compare("num_tokens_per_expert", launch.num_tokens_per_expert, query.layout.num_tokens_per_expert);
    compare("is_token_in_rank", launch.is_token_in_rank, query.layout.is_token_in_rank);
}

// Comparisons

void Runner::compare_later(simt::Machine& machine, const std::byte* data, Check check) {
    if (check.bytes + check.poison_bytes == 0) return;
    if (num_checks_ == checks_.size()) checks_.emplace_back();
    Check& kept = checks_[num_checks_++] = check;
    machine.enqueue(check.rank_idx, simt::Download{data, check.bytes + check.poison_bytes,
                                                   [this, &kept](simt::Status status, simt::Bytes bytes) {
                                                       if (status != simt::Status::done) return;
                                                       compare(kept, bytes.data.get());
                                                   }});
}

void Runner::compare_handle(simt::Machine& machine, uint32_t rank_idx, uint32_t call_idx) {
    const Call& call = sequence_.calls[call_idx];
    const model::Received& received = sequence_.dispatches[call.idx].received[rank_idx];
    const std::byte* handle = handles_[rank_idx][call.idx];
    const auto field = [&](const char* name, uint64_t offset, const void* expected, size_t count, uint64_t width) {
        compare_later(machine, handle + offset,
                      {name, &call, call_idx, rank_idx, expected, count * sizeof(int32_t), 0, sizeof(int32_t),
                       width * sizeof(int32_t)});
    };
    const uint64_t num_ranks = module_.num_ranks;
    const uint64_t num_channels = module_.num_channels;
    field("handle.num_recv_tokens", layout_.num_recv_tokens.offset, &received.num_rows, 1, 1);
    field("handle.num_tokens_per_expert", layout_.num_tokens_per_expert.offset, received.num_tokens_per_expert.data(),
          received.num_tokens_per_expert.size(), 1);
    field("handle.rank_prefix", layout_.rank_prefix.offset, received.rank_prefix.data(), num_ranks * num_ranks,
          num_ranks);
    field("handle.channel_prefix", layout_.channel_prefix.offset, received.channel_prefix.data(),
          num_ranks * num_channels, num_channels);
    field("handle.recv_channel_prefix", layout_.recv_channel_prefix_of_handle.offset,
          received.recv_channel_prefix.data(), num_ranks * num_channels, num_channels);
    field("handle.slot", module_.handle_header_bytes, received.slot.data(), received.slot.size(), num_ranks);
}

void Runner::compare(const Check& check, const std::byte* seen) {
    const auto* expected = static_cast<const std::byte*>(check.expected);
    if (check.bytes > 0 && std::memcmp(seen, expected, check.bytes) != 0) {
        const uint64_t byte = std::mismatch(seen, seen + check.bytes, expected).first - seen;
        const uint64_t element = byte / check.element_bytes * check.element_bytes;
        const bool was_never_written = is_poison(seen + element, check.element_bytes);
        return add_data(check, std::string(check.what) + "[" + std::to_string(element / check.row_bytes) + "][" +
                                   std::to_string(element % check.row_bytes / check.element_bytes) + "]: expected " +
                                   hex(expected + element, check.element_bytes) + " but received " +
                                   hex(seen + element, check.element_bytes) +
                                   (was_never_written ? ", which was there before the call" : ""));
    }
    if (!is_poison(seen + check.bytes, check.poison_bytes)) {
        add_data(check, std::string(check.what) + " was written behind its " +
                            std::to_string(check.bytes / check.row_bytes) + " rows");
    }
}

// Counts in host memory

CountRecord* Runner::take_record(simt::Machine& machine, uint32_t rank_idx, RecordCheck check) {
    const uint32_t record_idx = num_records_[rank_idx]++;
    records_[rank_idx][record_idx] = check;
    CountRecord* record = ranks_[rank_idx].record(module_, record_idx);
    machine.enqueue(rank_idx, simt::Fill{record, kPoison, module_.record_bytes});
    return record;
}

/// A kernel has completed a record: from now on a host may read it.
void Runner::host_stored(const std::byte* address) {
    for (uint32_t rank_idx = 0; rank_idx < module_.num_ranks; ++rank_idx) {
        const RankMemory& rank = ranks_[rank_idx];
        if (address < rank.records.data() || address >= reinterpret_cast<const std::byte*>(rank.fault())) continue;
        return compare_record(rank_idx, static_cast<uint32_t>((address - rank.records.data()) / record_stride(module_)));
    }
}

void Runner::compare_record(uint32_t rank_idx, uint32_t record_idx) {
    RecordCheck& check = records_[rank_idx][record_idx];
    const CountRecord& seen = *ranks_[rank_idx].record(module_, record_idx);
    const auto expect = [&](const char* name, int64_t expected, int64_t received) {
        if (expected == received) return;
        add_record(rank_idx, check, std::string("record.") + name + ": expected " + std::to_string(expected) +
                                        " but received " + std::to_string(received));
    };
    if (check.is_written) return add_record(rank_idx, check, "the record was completed twice");
    check.is_written = true;
    expect("tag", check.tag, seen.tag);
    const int64_t bad = check.layout->first_bad_choice;
    expect("bad_token_idx", bad < 0 ? kNoToken : bad / module_.num_topk, seen.bad_token_idx);
    if (bad >= 0) {
        expect("bad_choice_idx", bad % module_.num_topk, seen.bad_choice_idx);
        expect("bad_value", check.input->topk_idx[bad], seen.bad_value);
    }
    if (check.is_query) return;
    expect("num_recv_tokens", check.num_rows, seen.num_recv_tokens);
    const auto* counts = reinterpret_cast<const int32_t*>(&seen + 1);
    for (uint32_t expert = 0; expert < module_.num_local_experts; ++expert) {
        expect("counts", (*check.counts)[expert], counts[expert]);
    }
}

/// What only the end of all calls can tell.
void Runner::compare_after() {
    for (uint32_t rank_idx = 0; rank_idx < module_.num_ranks; ++rank_idx) {
        for (uint32_t i = 0; i < num_records_[rank_idx]; ++i) {
            const RecordCheck& check = records_[rank_idx][i];
            if (!check.is_written) add_record(rank_idx, check, "the record was never completed");
        }
        const FaultRecord& fault = *ranks_[rank_idx].fault();
        if (fault.state == 0) continue;
        findings_.push_back({"timeout",
                             "rank " + std::to_string(rank_idx) + " gave up waiting for " + phase_name(fault.phase) +
                                 " of rank " + std::to_string(fault.peer_idx) + " in " + op_name(fault.op),
                             {},
                             "",
                             std::string(op_name(fault.op)) + phase_name(fault.phase)});
    }
}

// Findings

std::string Runner::call_text(uint32_t call_idx) const {
    const Call& call = sequence_.calls[call_idx];
    const std::string number = "call " + std::to_string(call_idx + 1) + " of " + std::to_string(sequence_.num_calls);
    if (call.is_dispatch) return number + ", dispatch";
    switch (sequence_.combines[call.idx].from) {
        case CombineFrom::output: return number + ", combine";
        case CombineFrom::received: return number + ", combine of rows in place";
        case CombineFrom::rewritten: return number + ", combine of rows rewritten in place";
    }
    return number;
}

void Runner::add_data(const Check& check, const std::string& text) {
    const std::string call = check.call != nullptr
                                 ? call_text(check.call_idx)
                                 : "dispatchLayout before call " + std::to_string(check.call_idx + 1);
    findings_.push_back(
        {"data", call + ", rank " + std::to_string(check.rank_idx) + ": " + text, {}, "", check.what});
}

void Runner::add_record(uint32_t rank_idx, const RecordCheck& check, const std::string& text) {
    const std::string call = check.is_query ? "dispatchLayout " + std::to_string(check.call_idx + 1)
                                            : call_text(check.call_idx);
    findings_.push_back({"data", call + ", rank " + std::to_string(rank_idx) + ": " + text, {}, "", "record"});
}

void Runner::add_fault(const simt::FaultReport& report) {
    Finding finding{"fault", report.message, {}, "", ""};
    if (report.kind == simt::FaultKind::deadlock) {
        finding.detector = "timeout";
        for (const simt::Waiting& waiting : report.waiting) {
            finding.places.push_back({waiting.file, waiting.line, waiting.what, "", waiting.rank_idx, waiting.block_idx,
                                      waiting.warp_idx});
        }
        finding.key = "deadlock";
    } else {
        finding.places.push_back({report.file, report.line, simt::fault_kind_name(report.kind), "", report.rank_idx,
                                  report.block_idx, report.thread_idx / 32, report.thread_idx % 32});
    }
    findings_.push_back(std::move(finding));
}

void Runner::add_race(const simt::RaceReport& report) {
    std::string message = report.text();
    const std::string tail = ": " + report.remedy;  // has a field of its own
    if (message.ends_with(tail)) message.resize(message.size() - tail.size());
    Finding finding{"race", std::move(message), {}, report.remedy, ""};
    for (const simt::RaceSide* side : {&report.first, &report.second}) {
        finding.places.push_back({side->file, side->line, side->what, side->object, side->rank_idx, side->block_idx,
                                  side->warp_idx, side->lane_idx, simt::proxy_name(side->proxy),
                                  simt::agent_name(side->agent), side->code_address});
        if (side->code_address != nullptr) finding.detector = "raw";
    }
    findings_.push_back(std::move(finding));
}

/// What takes longer than the machine's thread should: lines of raw accesses, and what tells causes apart.
void Runner::complete_findings() {
    for (Finding& finding : findings_) {
        for (FindingPlace& place : finding.places) {
            if (place.code_address == nullptr) continue;
            const SourceLine source = source_line(place.code_address);
            place.file = source.file;
            place.line = source.line;
            char address[32];
            std::snprintf(address, sizeof address, "%p", place.code_address);
            if (const size_t at = finding.message.find(address); at != std::string::npos) {
                finding.message.replace(at, std::strlen(address), source.file + ":" + std::to_string(source.line));
            }
        }
        if (!finding.key.empty()) continue;
        for (const FindingPlace& place : finding.places) {
            finding.key += place.file + ":" + std::to_string(place.line) + " " + place.what + " ";
        }
    }
}

}  // namespace epgen::verify
