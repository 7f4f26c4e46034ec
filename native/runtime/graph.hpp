// Calls that were captured, to be appended to the ranks' own streams again and again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "runtime/ll_sends.hpp"
#include "runtime/module.hpp"
#include "runtime/shared_record.hpp"

namespace epgen {

struct GraphCopy {
    std::byte* to;
    const std::byte* from;
    uint64_t num_bytes;
};

using GraphStep = std::variant<Launch, GraphCopy>;

/// One rank's part of a graph.
struct GraphPart {
    std::vector<GraphStep> steps;  // until the backend has them
    std::vector<std::shared_ptr<const SharedRecord>> records;  // of its dispatches that count, each once
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
