// Runs schedules: one seed is one sequence of calls on one machine, everything enqueued before the start.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "simt/machine.hpp"
#include "simt/trace.hpp"
#include "verify/findings.hpp"
#include "verify/low_latency.hpp"
#include "verify/low_latency_streams.hpp"
#include "verify/records.hpp"
#include "verify/results.hpp"
#include "verify/sequence.hpp"
#include "verify/sequence_memory.hpp"
#include "verify/streams.hpp"

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
    /// Writes a trace if `is_traced` and the options name a file. `steering`, if any, decides the order.
    Outcome run(uint64_t seed, bool is_traced, simt::Steering* steering = nullptr);
    /// Of the last schedule.
    std::vector<Finding> findings() const { return findings_.all(); }

private:
    simt::MachineOptions machine_options(uint64_t seed);
    simt::MachineOptions steered_options(uint64_t seed, simt::Steering& steering);
    std::unique_ptr<simt::Tracer> make_tracer(uint64_t seed, simt::Policy::Kind policy) const;
    void compare_after();
    void rank_ended();
    bool wait();

    const Module& module_;
    const SpecLayout& layout_;
    const Options options_;
    Sequence sequence_;
    Findings findings_{sequence_};
    SequenceMemory memory_{module_, layout_, options_, sequence_};
    Records records_{module_, options_, memory_, findings_};
    Results results_{findings_};
    LowLatency low_latency_{module_, layout_};
    LowLatencyStreams low_latency_streams_{module_, layout_, options_, low_latency_, memory_.ranks, records_, results_};
    Streams streams_{module_, layout_, options_, sequence_, memory_, records_, results_, low_latency_streams_};

    simt::Machine* machine_ = nullptr;  // of the schedule that runs
    std::mutex mutex_;
    std::condition_variable changed_;
    uint32_t num_ranks_ended_ = 0;
};

}  // namespace epgen::verify
