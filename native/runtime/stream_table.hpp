// Which of a rank's streams a caller may name.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "runtime/backend.hpp"

namespace epgen {

class StreamTable {
public:
    explicit StreamTable(uint32_t num_windows) : is_open_(1 + num_windows, true) {}

    bool is_open(uint32_t stream_idx) const { return stream_idx < is_open_.size() && is_open_[stream_idx]; }

    /// The index that add() takes; nothing where there are too many.
    std::optional<uint32_t> next() const {
        if (is_open_.size() == kMaxStreams) return std::nullopt;
        return static_cast<uint32_t>(is_open_.size());
    }

    void add() { is_open_.push_back(true); }

    void close(uint32_t stream_idx) {
        is_open_[stream_idx] = false;
        closed_.push_back(stream_idx);
    }

    /// One that was closed, behind what is on it still; nothing where there is none.
    std::optional<uint32_t> reopen() {
        if (closed_.empty()) return std::nullopt;
        const uint32_t stream_idx = closed_.back();
        closed_.pop_back();
        is_open_[stream_idx] = true;
        return stream_idx;
    }

    /// A stream of the caller's, by its address: always under the same index, and never closed.
    std::optional<uint32_t> imported(uint64_t pointer) const {
        const auto found = imported_.find(pointer);
        return found == imported_.end() ? std::nullopt : std::optional(found->second);
    }

    void add_imported(uint64_t pointer) {
        imported_.emplace(pointer, static_cast<uint32_t>(is_open_.size()));
        add();
    }

private:
    std::vector<bool> is_open_;
    std::vector<uint32_t> closed_;
    std::map<uint64_t, uint32_t> imported_;
};

}  // namespace epgen
