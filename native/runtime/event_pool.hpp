// A rank's events, by numbers that never come again, on indices of the backend that do.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "runtime/backend.hpp"

namespace epgen {

class EventPool {
public:
    EventPool() {
        while (free_.size() < kNumEvents) free_.push_back(kNumEvents - 1 - static_cast<uint32_t>(free_.size()));
    }

    /// The number of an event that is to be recorded.
    uint64_t number() { return ++newest_; }
    bool knows(uint64_t event) const { return event >= 1 && event <= newest_; }

    /// Where the event is recorded; nothing while all indices are on their way.
    std::optional<uint32_t> take(uint64_t event) {
        if (free_.empty()) return std::nullopt;
        const uint32_t event_idx = free_.back();
        free_.pop_back();
        pending_.emplace(event, event_idx);
        return event_idx;
    }

    /// Nothing where it was reached.
    std::optional<uint32_t> pending(uint64_t event) const {
        const auto found = pending_.find(event);
        return found == pending_.end() ? std::nullopt : std::optional(found->second);
    }

    void reached(uint64_t event) {
        const auto found = pending_.find(event);
        free_.push_back(found->second);
        pending_.erase(found);
    }

private:
    uint64_t newest_ = 0;
    std::vector<uint32_t> free_;
    std::map<uint64_t, uint32_t> pending_;
};

}  // namespace epgen
