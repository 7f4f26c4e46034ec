#include "simt/check/race_report.hpp"

#include <cstdio>

namespace epgen::simt {

const char* proxy_name(Proxy proxy) { return proxy == Proxy::generic ? "generic" : "async"; }

const char* agent_name(Agent agent) {
    switch (agent) {
        case Agent::thread: return "thread";
        case Agent::bulk_load: return "bulk_load";
        case Agent::bulk_store: return "bulk_store";
        case Agent::stream: return "stream";
        case Agent::host: return "host";
    }
    return "unknown";
}

std::string RaceSide::text() const {
    const std::string rank = "rank " + std::to_string(rank_idx);
    if (agent == Agent::stream) return what + " on the stream of " + rank;
    if (agent == Agent::host) return what + " of " + rank;
    std::string text = what;
    if (agent != Agent::thread) text += is_write ? " to" : " from";
    else if (!object.empty()) text += " of";
    if (!object.empty()) text += " \"" + object + "\"";
    if (code_address != nullptr) {
        char address[32];
        std::snprintf(address, sizeof address, " at %p", code_address);
        text += address;
    } else {
        text += " at " + file + ":" + std::to_string(line);
    }
    return text + ", " + rank + " block " + std::to_string(block_idx) + " warp " + std::to_string(warp_idx) +
           " lane " + std::to_string(lane_idx);
}

std::string RaceReport::text() const {
    return std::string("race at ") + address + ": " + (first.is_write ? "write" : "read") + " by " + first.text() +
           ", and " + (second.is_write ? "write" : "read") + " by " + second.text() + ": " + remedy;
}

}  // namespace epgen::simt
