// A sequence of calls that a group of ranks makes, drawn from a seed, and what must come of every one.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/module.hpp"
#include "simt/random.hpp"
#include "verify/model.hpp"
#include "verify/options.hpp"
#include "verify/spec_layout.hpp"

namespace epgen::verify {

/// One dispatch of all ranks.
struct Dispatch {
    uint32_t buffer_idx;
    bool is_poisoned;                  // the receive buffer could be, before it was written
    bool is_read_late;                 // its rows are read once more at the end of their life
    std::vector<model::Input> inputs;  // per rank
    std::vector<model::Layout> layouts;
    std::vector<model::Received> received;
    std::vector<const uint16_t*> rows;  // per rank, what its receive buffer holds in the end
};

enum class CombineFrom { output, received, rewritten };

/// One combine of all ranks.
struct Combine {
    uint32_t dispatch_idx;  // whose handle it uses
    uint32_t output_idx;    // output buffer that the call has, used or not
    CombineFrom from;
    std::vector<std::vector<uint16_t>> outputs;  // per rank, unless they are the rows as received
    std::vector<const uint16_t*> rows;           // per rank: what is combined
    std::vector<std::vector<uint16_t>> sums;     // per rank: what comes out
};

/// A query of one rank, before collective call `before_call`.
struct Query {
    uint32_t rank_idx;
    uint32_t before_call;
    model::Input input;
    model::Layout layout;
};

/// A collective call: which of the dispatches or combines it is, and how each rank launches it.
struct Call {
    bool is_dispatch;
    uint32_t idx;
    std::vector<uint32_t> grid;      // per rank
    std::vector<uint32_t> delay_ns;  // per rank: how long its stream stands still first
    std::vector<uint32_t> rest_ns;   // per rank: and afterwards, before anything is read
};

/// Lives across schedules, so that its vectors keep their memory: `num_*` say what is in use.
struct Sequence {
    uint64_t num_earlier_calls;  // dispatches and combines that the group seems to have made
    uint32_t num_calls, num_dispatches, num_combines, num_queries;
    std::vector<Call> calls;
    std::vector<Dispatch> dispatches;
    std::vector<Combine> combines;
    std::vector<Query> queries;

    /// Keeps to what the runtime allows: receive buffers and output buffers in turn, results used while they live,
    /// nothing written that peers may be reading.
    void draw(uint64_t seed, const Options& options, const Module& module, const SpecLayout& layout);

private:
    void draw_dispatch(simt::Random& random, const Options& options, const Module& module, const SpecLayout& layout);
    void draw_combine(simt::Random& random, const SpecLayout& layout);
    void draw_query(simt::Random& random, const Options& options, const Module& module, const SpecLayout& layout);

    std::vector<int32_t> pulled_at_;  // per dispatch: call that last combined its result in place, or -1
};

}  // namespace epgen::verify
