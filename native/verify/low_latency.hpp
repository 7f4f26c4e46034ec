// Low-latency calls of a group between its other calls, drawn from the same seed, and what must come of every one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/module.hpp"
#include "simt/random.hpp"
#include "verify/model_low_latency.hpp"
#include "verify/options.hpp"
#include "verify/spec_layout.hpp"

namespace epgen::verify {

/// Rows of one local expert that an earlier dispatch brought, in its receive buffer.
struct LlSource {
    static constexpr uint32_t kNone = UINT32_MAX;
    uint32_t dispatch_idx = kNone;
    uint32_t expert = 0;
};

/// A low-latency dispatch of all ranks.
struct LlDispatch {
    std::vector<model::Input> inputs;          // per rank
    std::vector<model::LlReceived> received;   // per rank
    std::vector<LlSource> sources;             // per rank: where its rows may come from
    uint32_t epoch;                            // what handles remember
};

/// A low-latency combine of all ranks.
struct LlCombine {
    uint32_t dispatch_idx;
    std::vector<std::vector<uint8_t>> outputs;   // per rank: bf16 rows, packed as they were received
    std::vector<bool> has_received;              // per rank: whether they are the rows as received
    std::vector<std::vector<uint32_t>> weights;  // per rank
    std::vector<std::vector<uint8_t>> sums;      // per rank
};

/// One launch of one rank.
struct LlOrder {
    bool is_dispatch;
    uint32_t phases;
    uint32_t idx;          // of the dispatch or combine
    uint32_t before_call;  // of the sequence's other calls
    uint32_t grid;
    uint32_t delay_ns, rest_ns;
    bool is_staged;        // of a combine that sends: its input is brought by a kernel
    bool is_overwritten;   // of a dispatch that receives: the caller writes over its rows, else reads them again late
    std::vector<int32_t> expert_stats;  // of a dispatch that receives: all that came so far; empty where nobody asks
    std::string text;
};

/// Lives across schedules.
class LowLatency {
public:
    LowLatency(const Module& module, const SpecLayout& layout) : module_(module), layout_(layout.low_latency) {}

    /// How many dispatches and combines a schedule may have.
    static uint32_t most_calls(const Options& options) { return 2 * options.num_calls + 4; }

    void draw(uint64_t seed, const Options& options, uint64_t num_earlier_calls, uint32_t num_other_calls);

    std::vector<LlDispatch> dispatches;
    std::vector<LlCombine> combines;
    std::vector<std::vector<LlOrder>> orders;  // per rank
    uint64_t num_earlier_calls = 0;

private:
    struct Event {
        bool is_dispatch;
        uint32_t idx, before_call;
    };

    void draw_dispatch(simt::Random& random, const Options& options);
    void draw_source(simt::Random& random, uint32_t rank_idx, LlDispatch& dispatch);
    void draw_combine(simt::Random& random);
    /// Keeps to what the runtime allows each rank: second halves late, in any order, but in time for the next calls.
    void draw_orders(simt::Random& random, const std::vector<Event>& events, std::vector<LlOrder>& orders,
                     uint32_t rank_idx);

    const Module& module_;
    const LowLatencyLayout& layout_;
};

}  // namespace epgen::verify
