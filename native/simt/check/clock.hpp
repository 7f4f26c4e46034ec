// A vector clock over all threads of a group, as a tree: queue, block, warp, lane. Any level may be one number that
// holds for everything below it. Clocks share their parts, so that a copy costs nothing and equal parts are recognised.
#pragma once

#include <cstdint>
#include <utility>

#include "simt/check/pool.hpp"

namespace epgen::simt::check {

constexpr uint32_t kLanes = 32;
/// Stands for a stream among the blocks of its kernels; above all of them.
constexpr uint32_t kStreamBlock = 0x3fff;

/// A rank's stream as one number, with the rank in the lowest bits.
constexpr uint32_t kRankBits = 3;
constexpr uint32_t queue_of(uint32_t rank_idx, uint32_t stream_idx) { return stream_idx << kRankBits | rank_idx; }
constexpr uint32_t rank_of(uint32_t queue_idx) { return queue_idx & ((1u << kRankBits) - 1); }

/// Whose number a clock tells.
struct Position {
    uint32_t queue_idx;
    uint32_t block_idx;
    uint32_t thread_idx;
};

/// How far a launch's part of the tree reaches.
struct Shape {
    uint32_t num_queues;
    uint32_t num_blocks;
    uint32_t num_warps;
};

enum class Level : uint8_t { queue, block, warp, lane };

class Clock {
public:
    Clock() = default;
    Clock(const Clock& other);
    Clock(Clock&& other) noexcept : root_(std::exchange(other.root_, kZero)) {}
    Clock& operator=(Clock other) noexcept {
        std::swap(root_, other.root_);
        return *this;
    }
    ~Clock();

    /// Everything at the position up to this number is known.
    uint32_t number_of(Position position) const;
    void join(const Clock& other, Pool& pool);
    /// Raises all numbers in the part of the tree of this level around `position`.
    void raise(Position position, Level level, uint32_t number, const Shape& shape, Pool& pool);
    /// Raises the numbers of a warp's lanes one by one.
    void raise_lanes(Position position, const uint32_t (&numbers)[kLanes], const Shape& shape, Pool& pool);
    /// Equal for sure; unequal clocks may still hold equal numbers.
    bool is_same(const Clock& other) const { return root_ == other.root_; }

private:
    /// A number (odd) or the address of a node.
    using Entry = uintptr_t;
    static constexpr Entry kZero = 1;
    struct Node;
    struct Tree;

    Entry root_ = kZero;
};

}  // namespace epgen::simt::check
