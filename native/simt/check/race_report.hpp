// What the happens-before checker reports: two accesses that nothing orders, and what would have.
#pragma once

#include <cstdint>
#include <string>

namespace epgen::simt {

enum class Proxy : uint8_t { generic, async };

/// Who performs an access.
enum class Agent : uint8_t { thread, bulk_load, bulk_store, stream, host };

const char* proxy_name(Proxy proxy);
const char* agent_name(Agent agent);

/// One of the two accesses. A copy names the thread that issued it; of a stream and of the host only `rank_idx` means
/// something.
struct RaceSide {
    std::string what;    // primitive: "st_relaxed_sys", "bulk_load"; "raw access" for one that is no primitive
    std::string object;  // "control.rank_counts"; empty where none is known
    std::string file;    // empty for streams and raw accesses
    int line;
    const void* code_address;  // of a raw access: where it returns to, for addr2line
    uint32_t rank_idx;
    uint32_t block_idx;
    uint32_t warp_idx;
    uint32_t lane_idx;
    bool is_write;
    Proxy proxy;
    Agent agent;

    /// `st of "control.word" at dispatch.cu:17, rank 0 block 1 warp 2 lane 3`
    std::string text() const;
};

struct RaceReport {
    RaceSide first;   // was announced first
    RaceSide second;  // isn't ordered after it
    std::string address;  // "rank 1's window + 128"
    std::string remedy;   // what would have ordered them

    /// All of it in one sentence.
    std::string text() const;
};

}  // namespace epgen::simt
