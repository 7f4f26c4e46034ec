// What the newest stores to synchronisation words have released.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "simt/check/checker.hpp"
#include "simt/check/stamp.hpp"

namespace epgen::simt::check {

struct Word {
    uint32_t bytes;
    std::vector<ReleasedClock> released;  // the release sequence; one for all of a scope and the place that it reaches
    ReleasedClock relaxed;  // the newest relaxed store, if any
};

class Words {
public:
    void store(uintptr_t address, uint32_t bytes, bool is_rmw, const ReleasedClock& released, Pool& pool);
    /// Bytes are overwritten without a release.
    void forget(uintptr_t address, uint64_t bytes);
    void clear();

    /// The word of just these bytes, or null: accesses of others don't synchronise.
    const Word* find(uintptr_t address, uint32_t bytes) const {
        if (!may_have(address)) return nullptr;
        const auto found = words_.find(address);
        return found != words_.end() && found->second.bytes == bytes ? &found->second : nullptr;
    }

private:
    static constexpr uint32_t kMinBytes = 4;
    static constexpr uint32_t kMaxBytes = 8;
    static constexpr uint64_t kPageBytes = 1024;
    static constexpr uint32_t kNumPages = 1 << 15;

    static uint32_t page(uintptr_t address) { return static_cast<uint32_t>(address / kPageBytes % kNumPages); }
    bool may_have(uintptr_t address) const { return has_words_[page(address)]; }

    std::unordered_map<uintptr_t, Word> words_;
    std::vector<bool> has_words_ = std::vector<bool>(kNumPages);  // by pages of memory, folded
};

}  // namespace epgen::simt::check
