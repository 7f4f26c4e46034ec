// Which low-latency calls of a rank were sent and not received.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>

#include "device/record.cuh"

namespace epgen {

class LlSends {
public:
    /// What a receive knows of its send. A handle has one dispatch and one combine in flight at most.
    struct Key {
        uint64_t handle;
        uint32_t window_idx;
        Op op;
        auto operator<=>(const Key&) const = default;
    };
    /// What both share: which of the rank's collective calls it is, and how long its waits may take.
    struct Call {
        uint64_t ordinal;
        double deadline_ms;
    };

    void add(const Key& key, Call call) { sends_.insert_or_assign(key, call); }

    /// The call is received, or nobody will ask for it any more. Nothing where there is none.
    std::optional<Call> take(const Key& key) {
        const auto node = sends_.extract(key);
        return node.empty() ? std::nullopt : std::optional(node.mapped());
    }

    /// The memory of a handle goes.
    void forget(uint64_t handle) {
        sends_.erase(sends_.lower_bound({handle, 0, Op{}}),
                     sends_.upper_bound({handle, std::numeric_limits<uint32_t>::max(), Op{}}));
    }

    void clear() { sends_.clear(); }

private:
    std::map<Key, Call> sends_;
};

}  // namespace epgen
