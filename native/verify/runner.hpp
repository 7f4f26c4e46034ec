// Runs schedules: one seed is one sequence of calls on one machine, everything enqueued before the start.
#pragma once

#include <array>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "simt/machine.hpp"
#include "simt/trace.hpp"
#include "verify/finding.hpp"
#include "verify/rank_memory.hpp"
#include "verify/sequence.hpp"

namespace epgen::verify {

class Runner {
public:
    Runner(const Module& module, const Options& options);

    struct Outcome {
        uint64_t trace_hash;
        uint64_t num_steps;
        simt::Policy::Kind policy;
        /// Did not end in time: the process can't go on.
        bool hangs;
    };
    Outcome run(uint64_t seed, simt::Steering* steering = nullptr);
    /// Of the last schedule.
    const std::vector<Finding>& findings() const { return findings_; }

private:
    /// Bytes that a call has left, to be compared where its rank's stream reads them.
    struct Check {
        const char* what;
        const Call* call;
        uint32_t call_idx;
        uint32_t rank_idx;
        const void* expected;
        uint64_t bytes;
        uint64_t poison_bytes;  // that follow, untouched
        uint32_t element_bytes;
        uint64_t row_bytes;
    };
    /// Counts that a kernel writes to host memory.
    struct RecordCheck {
        uint32_t call_idx;  // or the query's index
        bool is_query;
        uint32_t tag;  // 0: not used in this schedule
        bool is_written;
        uint32_t num_rows;
        const std::vector<int32_t>* counts;  // null: none
        const model::Layout* layout;
        const model::Input* input;
    };

    simt::MachineOptions machine_options(uint64_t seed);
    simt::MachineOptions steered_options(uint64_t seed, simt::Steering& steering);
    std::unique_ptr<simt::Tracer> tracer_of(uint64_t seed, simt::Policy::Kind policy) const;
    void prepare();
    void enqueue_rank(simt::Machine& machine, uint32_t rank_idx);
    void enqueue_dispatch(simt::Machine& machine, uint32_t rank_idx, uint32_t call_idx);
    void enqueue_combine(simt::Machine& machine, uint32_t rank_idx, uint32_t call_idx);
    void enqueue_query(simt::Machine& machine, uint32_t rank_idx, uint32_t query_idx);
    void enqueue_kernel(simt::Machine& machine, uint32_t rank_idx, Launch launch);
    std::array<simt::Fill, 5> poison_of_result(uint32_t rank_idx, uint32_t dispatch_idx);
    void read_late(simt::Machine& machine, uint32_t rank_idx, uint32_t dispatch_idx, uint32_t call_idx);
    void compare_later(simt::Machine& machine, const std::byte* data, Check check);
    void compare_handle(simt::Machine& machine, uint32_t rank_idx, uint32_t call_idx);
    void compare(const Check& check, const std::byte* seen);
    CountRecord* take_record(simt::Machine& machine, uint32_t rank_idx, RecordCheck check);
    void host_stored(const std::byte* address);
    void compare_record(uint32_t rank_idx, uint32_t record_idx);
    void compare_after();
    void add_data(const Check& check, const std::string& text);
    void add_record(uint32_t rank_idx, const RecordCheck& check, const std::string& text);
    void add_race(const simt::RaceReport& report);
    void complete_findings();
    void add_fault(const simt::FaultReport& report);
    std::string call_text(uint32_t call_idx) const;
    void rank_ended();
    bool wait();

    const Module& module_;
    const SpecLayout& layout_;
    const Options options_;
    Sequence sequence_;
    std::vector<RankMemory> ranks_;
    std::vector<std::byte*> out_;                          // [rank] of every combine
    std::vector<std::vector<std::byte*>> x_, choices_, weights_, handles_;  // [rank][dispatch]
    std::vector<std::vector<RecordCheck>> records_;        // [rank][record]
    std::vector<uint32_t> num_records_;                    // [rank]
    std::deque<Check> checks_;                             // of all schedules so far; callbacks point to them
    size_t num_checks_ = 0;                                // of this schedule
    std::vector<Finding> findings_;

    std::mutex mutex_;
    std::condition_variable changed_;
    uint32_t num_ranks_ended_ = 0;
};

}  // namespace epgen::verify
