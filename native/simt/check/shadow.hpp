// The histories of a region's bytes, in cells of 16 bytes; where accesses are smaller these fall into cells of 4 and 1.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "simt/check/history.hpp"

namespace epgen::simt::check {

class Shadow {
public:
    Shadow() = default;
    Shadow(const void* data, uint64_t bytes)
        : begin_(reinterpret_cast<uintptr_t>(data)),
          end_(begin_ + bytes),
          base_(begin_ / kCell * kCell),
          pages_((end_ - base_ + kPageBytes - 1) / kPageBytes) {}

    uintptr_t begin() const { return begin_; }
    uintptr_t end() const { return end_; }
    bool contains(uintptr_t address) const { return address >= begin_ && address < end_; }

    /// Gives all cells of the range their next history. `next(id, address)` returns the history that follows `id`:
    /// that itself, possibly changed, or another with a share for this cell; it doesn't drop the old one.
    template <class Next>
    void update(uintptr_t address, uint64_t bytes, Histories& histories, Next next) {
        const uintptr_t end = std::min<uintptr_t>(address + bytes, end_);
        for (uintptr_t at = std::max(address, begin_); at < end;) {
            const uintptr_t part_end = std::min<uintptr_t>(at / kCell * kCell + kCell, end);
            update_cell<kCell>(cell_at(at), at, part_end, histories, next);
            at = part_end;
        }
    }

    /// Forgets everything.
    void clear(Histories& histories) {
        for (auto& page : pages_) {
            if (page == nullptr) continue;
            for (uint32_t& cell : page->cells) {
                if (cell != 0) drop(std::exchange(cell, 0), histories);
            }
        }
    }

private:
    static constexpr uint32_t kCell = 16;
    static constexpr uint32_t kPageCells = 1024;
    static constexpr uint64_t kPageBytes = uint64_t{kPageCells} * kCell;
    static constexpr uint32_t kSplit = 1u << 31;
    struct Page {
        uint32_t cells[kPageCells] = {};
    };

    static bool is_split(uint32_t cell) { return (cell & kSplit) != 0; }

    uint32_t& cell_at(uintptr_t address) {
        std::unique_ptr<Page>& page = pages_[(address - base_) / kPageBytes];
        if (page == nullptr) page = std::make_unique<Page>();
        return page->cells[(address - base_) / kCell % kPageCells];
    }

    /// The part from `at` to `end` of the cell of `kBytes` bytes in which they lie.
    template <uint32_t kBytes, class Next>
    static void update_cell(uint32_t& cell, uintptr_t at, uintptr_t end, Histories& histories, Next& next) {
        if (end - at == kBytes && !is_split(cell)) {
            const uint32_t before = cell;
            const uint32_t after = next(before, at);
            if (after == before) return;
            cell = after;
            histories.drop(before);
        } else if constexpr (kBytes > 1) {
            if (!is_split(cell)) split(cell, histories);
            while (at < end) {
                constexpr uint32_t kPart = kBytes / 4;
                const uintptr_t part_end = std::min<uintptr_t>(at / kPart * kPart + kPart, end);
                update_cell<kPart>(histories.quarters(cell & ~kSplit)[at % kBytes / kPart], at, part_end, histories,
                                   next);
                at = part_end;
            }
            merge(cell, histories);
        }
    }

    static void split(uint32_t& cell, Histories& histories) {
        const uint32_t id = histories.take_quarters();
        for (uint32_t part = 0; part < 4; ++part) {
            histories.quarters(id)[part] = cell;
            histories.share(cell);
        }
        histories.drop(cell);
        cell = id | kSplit;
    }

    /// Equal parts become one cell again.
    static void merge(uint32_t& cell, Histories& histories) {
        const uint32_t* part = histories.quarters(cell & ~kSplit);
        const uint32_t first = part[0];
        if (is_split(first) || part[1] != first || part[2] != first || part[3] != first) return;
        for (uint32_t idx = 0; idx < 3; ++idx) histories.drop(first);
        histories.give_back_quarters(cell & ~kSplit);
        cell = first;
    }

    static void drop(uint32_t cell, Histories& histories) {
        if (!is_split(cell)) return histories.drop(cell);
        const uint32_t id = cell & ~kSplit;
        for (uint32_t idx = 0; idx < 4; ++idx) drop(histories.quarters(id)[idx], histories);
        histories.give_back_quarters(id);
    }

    uintptr_t begin_ = 0;
    uintptr_t end_ = 0;
    uintptr_t base_ = 0;
    std::vector<std::unique_ptr<Page>> pages_;
};

}  // namespace epgen::simt::check
