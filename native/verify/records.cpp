#include "verify/records.hpp"

#include <cstddef>

#include "verify/low_latency.hpp"

namespace epgen::verify {

Records::Records(const Module& module, const Options& options, const SequenceMemory& memory, Findings& findings)
    : module_(module), memory_(memory), findings_(findings), records_(module.num_ranks) {
    for (std::vector<ExpectedRecord>& records : records_) records.reserve(2 * options.num_calls + LowLatency::most_calls(options));
}

void Records::clear() {
    for (std::vector<ExpectedRecord>& records : records_) records.clear();
}

CountRecord* Records::take(simt::Machine& machine, uint32_t rank_idx, const ExpectedRecord& expected) {
    const auto record_idx = static_cast<uint32_t>(records_[rank_idx].size());
    records_[rank_idx].push_back(expected);
    CountRecord* record = memory_.ranks[rank_idx].record(module_, record_idx);
    machine.enqueue(rank_idx, simt::Fill{record, kPoison, module_.record_bytes});
    if (expected.num_worst_tokens > 0) {
        machine.enqueue(rank_idx, simt::Fill{&record->num_recv_tokens, 0, sizeof record->num_recv_tokens});
    }
    machine.enqueue(rank_idx, simt::Fill{&record->bad_token_idx, static_cast<uint8_t>(kNoToken), sizeof kNoToken});
    return record;
}

void Records::host_stored(simt::Machine& machine, const std::byte* address) {
    for (uint32_t rank_idx = 0; rank_idx < module_.num_ranks; ++rank_idx) {
        const RankMemory& rank = memory_.ranks[rank_idx];
        if (address < rank.records.data() || address >= reinterpret_cast<const std::byte*>(rank.fault())) continue;
        const uint64_t offset = address - rank.records.data();
        if (offset % record_stride(module_) != offsetof(CountRecord, tag)) return;
        const auto record_idx = static_cast<uint32_t>(offset / record_stride(module_));
        machine.host_reads(rank_idx, address, rank.record(module_, record_idx), module_.record_bytes);
        return compare(rank_idx, record_idx);
    }
}

void Records::compare(uint32_t rank_idx, uint32_t record_idx) {
    if (record_idx >= records_[rank_idx].size()) {
        return findings_.add_data(rank_idx, "no call", "a record was completed that no call has", "record");
    }
    ExpectedRecord& record = records_[rank_idx][record_idx];
    const CountRecord& seen = *memory_.ranks[rank_idx].record(module_, record_idx);
    const auto expect = [&](const char* name, int64_t expected, int64_t received) {
        if (expected == received) return;
        add(rank_idx, record, std::string("record.") + name + ": expected " + std::to_string(expected) +
                                        " but received " + std::to_string(received));
    };
    if (record.is_written) return add(rank_idx, record, "the record was completed twice");
    record.is_written = true;
    expect("tag", record.tag, seen.tag);
    const int64_t bad =
        record.order != nullptr ? record.first_bad_choice_of_order : record.layout->first_bad_choice;
    expect("bad_token_idx", bad < 0 ? kNoToken : bad / module_.num_topk, seen.bad_token_idx);
    if (bad >= 0) {
        expect("bad_choice_idx", bad % module_.num_topk, seen.bad_choice_idx);
        expect("bad_value", record.input->topk_idx[bad], seen.bad_value);
    }
    if (record.is_query || record.order != nullptr) return;
    const bool fits = record.received->num_rows <= record.num_worst_tokens;
    expect("num_recv_tokens", fits ? 0 : record.received->num_rows, seen.num_recv_tokens);
    const auto* counts = reinterpret_cast<const int32_t*>(&seen + 1);
    for (uint32_t expert = 0; expert < module_.num_local_experts; ++expert) {
        expect("counts", record.received->num_tokens_per_expert[expert], counts[expert]);
    }
    const int32_t* rank_counts = counts + module_.num_local_experts;
    for (uint32_t source = 0; source < module_.num_rank_counts; ++source) {
        expect("rank_counts", record.received->num_tokens_per_rank[source], rank_counts[source]);
    }
}

void Records::compare_after() {
    for (uint32_t rank_idx = 0; rank_idx < module_.num_ranks; ++rank_idx) {
        for (const ExpectedRecord& record : records_[rank_idx]) {
            if (!record.is_written) add(rank_idx, record, "the record was never completed");
        }
    }
}

void Records::add(uint32_t rank_idx, const ExpectedRecord& record, const std::string& text) {
    const std::string call = record.order != nullptr ? *record.order
                             : record.is_query       ? "dispatchLayout " + std::to_string(record.call_idx + 1)
                                             : findings_.call_text(record.call_idx);
    findings_.add_data(rank_idx, call, text, "record");
}

}  // namespace epgen::verify
