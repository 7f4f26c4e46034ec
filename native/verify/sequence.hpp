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

/// Every byte of what nobody has written. As a bf16 it is 3.4e38, so that no sum swallows it; as an index or an offset
/// it leads nowhere.
constexpr uint8_t kPoison = 0x7f;

/// Bounds of what calls ask for.
constexpr uint32_t kMostExpertAlignment = 8;
constexpr uint32_t kMostWorstTokens = 40;
constexpr uint32_t kMostExpertMajorBlocks = 3;

/// Received rows once for each selection, by local expert.
struct ExpertMajor {
    uint32_t grid;
    bool pads_zeros;
    model::Grouped grouped;
};

/// One dispatch of all ranks.
struct Dispatch {
    DispatchMode mode;
    uint32_t routing_idx;              // the dispatch whose handle it has: an earlier one where that is cached
    uint32_t buffer_idx;
    bool is_poisoned;                  // the receive buffer could be, before it was written
    bool is_read_late;                 // its rows are read once more at the end of their life
    uint32_t expert_alignment;
    uint32_t num_worst_tokens;         // 0: none
    std::vector<model::Input> inputs;  // per rank
    std::vector<model::Layout> layouts;
    std::vector<model::Received> received;
    std::vector<const uint8_t*> rows;       // per rank, what its receive buffer holds in the end
    std::vector<ExpertMajor> expert_major;  // per rank; empty where nobody asks for it
};

enum class CombineFrom { output, received, rewritten, experts };

/// Where a rank's top-k weights lie that a combine brings back.
enum class WeightsFrom { none, output, received };

/// One combine of all ranks.
struct Combine {
    uint32_t dispatch_idx;  // whose result it uses
    uint32_t output_idx;    // output buffer that the call has, used or not
    CombineFrom from;
    std::vector<std::vector<uint8_t>> outputs;         // per rank, unless they are the rows as received
    std::vector<std::vector<uint8_t>> expert_outputs;  // per rank, by expert: what the outputs are sums of
    std::vector<const uint8_t*> rows;                  // per rank: what is combined
    std::vector<std::vector<uint8_t>> sums;            // per rank: what comes out
    std::vector<WeightsFrom> weights_from;             // per rank: all bring weights, or none
    std::vector<std::vector<uint32_t>> weights;        // per rank, unless they are those received
    std::vector<std::vector<uint32_t>> weight_sums;    // per rank
    std::vector<std::vector<std::vector<uint8_t>>> biases;  // per rank, up to two
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
    void draw_inputs(simt::Random& random, const Options& options, const SpecLayout& layout, Dispatch& dispatch);
    void draw_routing(const Module& module, const SpecLayout& layout, Dispatch& dispatch);
    void draw_expert_major(const Module& module, const SpecLayout& layout, Dispatch& dispatch);
    void draw_combine(simt::Random& random, const Module& module, const SpecLayout& layout);
    void draw_weights(const Module& module, const SpecLayout& layout, Combine& combine);
    void draw_biases(const Module& module, const SpecLayout& layout, Combine& combine);
    bool is_live(uint32_t dispatch_idx, const SpecLayout& layout) const;
    bool may_be_poisoned(uint32_t dispatch_idx, const Module& module, const SpecLayout& layout) const;
    void draw_query(simt::Random& random, const Options& options, const Module& module, const SpecLayout& layout);

    /// Draws what only some specs have, and options of calls: without them everything else stays as it was.
    simt::Random options_random_{0};
    std::vector<int32_t> pulled_at_;  // per dispatch: call that last combined its result in place, or -1
};

}  // namespace epgen::verify
