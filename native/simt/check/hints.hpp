// Synchronisation that was nearly there: what reports name as the mistake.
#pragma once

#include <vector>

#include "simt/check/knowledge.hpp"
#include "simt/check/stamp.hpp"

namespace epgen::simt::check {

/// At a load: what it would have learned if the load or the store had been of another kind.
struct Hint {
    enum class Kind { relaxed_load, relaxed_store, narrow_release, narrow_acquire };
    Kind kind;
    Place place;  // of the mistake
    Known known;  // what the storing thread knew
    Component writer;
    uint32_t writer_number;
    Component reader;
    uint32_t reader_number;
};

/// The newest hints.
class Hints {
public:
    void add(Hint hint) {
        if (hints_.size() < kNumHints) {
            hints_.push_back(std::move(hint));
        } else {
            hints_[next_] = std::move(hint);
        }
        next_ = (next_ + 1) % kNumHints;
    }
    void clear() {
        hints_.clear();
        next_ = 0;
    }
    /// The newest hint that holds, or null.
    template <class Holds>
    const Hint* find(Holds holds) const {
        for (std::size_t age = 1; age <= hints_.size(); ++age) {
            const Hint& hint = hints_[(next_ + hints_.size() - age) % hints_.size()];
            if (holds(hint)) return &hint;
        }
        return nullptr;
    }

private:
    static constexpr uint32_t kNumHints = 1024;
    std::vector<Hint> hints_;
    uint32_t next_ = 0;
};

}  // namespace epgen::simt::check
