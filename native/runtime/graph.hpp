// Calls that were captured, to be appended to the ranks' own streams again and again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "runtime/ll_sends.hpp"
#include "runtime/module.hpp"

namespace epgen {

/// How many different num_worst_tokens the captured dispatches of a rank may have.
constexpr uint32_t kNumGraphRecords = 256;

/// What captured dispatches write to the tag of their record, which nobody polls.
constexpr uint32_t kGraphTag = 1;

/// A record for all captured dispatches of a rank that have room for as many rows. A number in it is right for each of
/// them: it may be from a later replay, of another graph, than the one whose end the host sees.
struct GraphRecord {
    uint32_t record_idx;
    uint32_t num_worst_tokens;  // most rows that may come, or 0 where the window is the limit
};

struct GraphCopy {
    std::byte* to;
    const std::byte* from;
    uint64_t num_bytes;
};

using GraphStep = std::variant<Launch, GraphCopy>;

/// One rank's part of a graph.
struct GraphPart {
    std::vector<GraphStep> steps;  // until the backend has them
    std::vector<std::shared_ptr<const GraphRecord>> records;  // of its dispatches that count, each once
    uint32_t num_dispatches = 0;
    uint32_t num_combines = 0;
    uint32_t num_ll_dispatches = 0;
    uint32_t num_ll_combines = 0;
    LlSends ll_sends;  // until the capture ends

    uint32_t num_collectives() const { return num_dispatches + num_combines + num_ll_dispatches + num_ll_combines; }
};

struct Graph {
    uint32_t graph_idx;  // never comes again
    std::vector<GraphPart> parts;
};

}  // namespace epgen
