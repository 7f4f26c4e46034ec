#include "simt/check/clock.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace epgen::simt::check {

/// A queue, a block or all queues, with an entry for each part; or a warp, with a number for each lane.
struct Clock::Node {
    uint32_t num_refs;
    uint32_t base;  // no number below is smaller; that of parts beyond `count`, and of the stream
    uint32_t count;
    bool is_warp;

    Entry* parts() { return reinterpret_cast<Entry*>(this + 1); }
    uint32_t* lanes() { return reinterpret_cast<uint32_t*>(this + 1); }
    uint32_t size() const {
        return static_cast<uint32_t>(sizeof(Node) + (is_warp ? kLanes * sizeof(uint32_t) : count * sizeof(Entry)));
    }
};

struct Clock::Tree {
    static bool is_number(Entry entry) { return (entry & 1) != 0; }
    static uint32_t number(Entry entry) { return static_cast<uint32_t>(entry >> 1); }
    static Entry entry(uint32_t number) { return Entry{number} << 1 | 1; }
    static Node* node(Entry entry) { return reinterpret_cast<Node*>(entry); }
    static Entry entry(Node* node) { return reinterpret_cast<Entry>(node); }

    static Entry share(Entry entry) {
        if (!is_number(entry)) ++node(entry)->num_refs;
        return entry;
    }
    static void drop(Entry entry) {
        if (is_number(entry) || --node(entry)->num_refs != 0) return;
        Node* ended = node(entry);
        if (!ended->is_warp) {
            for (uint32_t idx = 0; idx < ended->count; ++idx) drop(ended->parts()[idx]);
        }
        Pool::give_back(ended, ended->size());
    }

    static Node* take(uint32_t count, bool is_warp, uint32_t base, Pool& pool) {
        const Node header{1, base, count, is_warp};
        return new (pool.take(header.size())) Node(header);
    }
    static Node* uniform(uint32_t count, bool is_warp, uint32_t base, Pool& pool) {
        Node* made = take(count, is_warp, base, pool);
        if (is_warp) {
            std::fill_n(made->lanes(), kLanes, base);
        } else {
            std::fill_n(made->parts(), count, entry(base));
        }
        return made;
    }
    static Entry part(Node* node, uint32_t idx) { return idx < node->count ? node->parts()[idx] : entry(node->base); }

    /// Makes the node in `slot` changeable, with at least `count` parts.
    static Node* own(Entry& slot, uint32_t count, Pool& pool) {
        Node* old = node(slot);
        if (old->num_refs == 1 && (old->is_warp || old->count >= count)) return old;
        Node* made = take(std::max(old->count, count), old->is_warp, old->base, pool);
        if (old->is_warp) {
            std::memcpy(made->lanes(), old->lanes(), kLanes * sizeof(uint32_t));
        } else {
            for (uint32_t idx = 0; idx < made->count; ++idx) made->parts()[idx] = share(part(old, idx));
        }
        drop(slot);
        slot = entry(made);
        return made;
    }

    /// Puts one number in the place of a node whose numbers are all equal.
    static void collapse(Entry& slot) {
        Node* whole = node(slot);
        if (whole->is_warp) {
            const uint32_t first = whole->lanes()[0];
            for (uint32_t lane = 1; lane < kLanes; ++lane) {
                if (whole->lanes()[lane] != first) return;
            }
            drop(std::exchange(slot, entry(first)));
        } else {
            const Entry first = whole->parts()[0];
            if (!is_number(first)) return;
            for (uint32_t idx = 1; idx < whole->count; ++idx) {
                if (whole->parts()[idx] != first) return;
            }
            drop(std::exchange(slot, first));
        }
    }

    static void raise_all(Entry& slot, uint32_t number, Pool& pool) {
        if (is_number(slot)) {
            if (Tree::number(slot) < number) slot = entry(number);
            return;
        }
        if (number <= node(slot)->base) return;
        Node* owned = own(slot, 0, pool);
        owned->base = number;
        if (owned->is_warp) {
            for (uint32_t lane = 0; lane < kLanes; ++lane) {
                owned->lanes()[lane] = std::max(owned->lanes()[lane], number);
            }
        } else {
            for (uint32_t idx = 0; idx < owned->count; ++idx) raise_all(owned->parts()[idx], number, pool);
        }
        collapse(slot);
    }

    struct Path {
        uint32_t idx[4];    // of the queue, the block, the warp and the lane
        uint32_t count[4];  // of queues, blocks, warps and lanes
    };
    /// `change` raises the entry at `target`, a level counted from all queues on.
    template <class Change>
    static void raise_at(Entry& slot, uint32_t level, uint32_t target, const Path& path, Pool& pool, Change change) {
        if (level == target) return change(slot);
        if (is_number(slot)) {
            slot = entry(uniform(path.count[level], /*is_warp=*/level == 3, number(slot), pool));
        }
        Node* owned = own(slot, path.count[level], pool);
        const uint32_t idx = path.idx[level];
        if (owned->is_warp) {
            Entry lane = entry(owned->lanes()[idx]);
            change(lane);
            owned->lanes()[idx] = number(lane);
        } else {
            raise_at(owned->parts()[idx], level + 1, target, path, pool, change);
        }
        collapse(slot);
    }
    static Path path(Position position, const Shape& shape) {
        return {{position.queue_idx, position.block_idx, position.thread_idx / kLanes, position.thread_idx % kLanes},
                {shape.num_queues, shape.num_blocks, shape.num_warps, kLanes}};
    }

    /// The larger of each two numbers; `a` or `b` itself where that is the result.
    static Entry join(Entry a, Entry b, Pool& pool) {
        if (a == b) return share(a);
        if (is_number(a)) std::swap(a, b);
        if (is_number(b)) {
            if (is_number(a)) return std::max(a, b);
            Entry raised = share(a);
            raise_all(raised, number(b), pool);
            return raised;
        }
        Node* left = node(a);
        Node* right = node(b);
        Node* made = take(std::max(left->count, right->count), left->is_warp, std::max(left->base, right->base), pool);
        bool is_left = made->count == left->count && made->base == left->base;
        bool is_right = made->count == right->count && made->base == right->base;
        if (made->is_warp) {
            for (uint32_t lane = 0; lane < kLanes; ++lane) {
                made->lanes()[lane] = std::max(left->lanes()[lane], right->lanes()[lane]);
                is_left &= made->lanes()[lane] == left->lanes()[lane];
                is_right &= made->lanes()[lane] == right->lanes()[lane];
            }
        } else {
            for (uint32_t idx = 0; idx < made->count; ++idx) {
                made->parts()[idx] = join(part(left, idx), part(right, idx), pool);
                is_left &= made->parts()[idx] == part(left, idx);
                is_right &= made->parts()[idx] == part(right, idx);
            }
        }
        Entry result = entry(made);
        if (is_left || is_right) {
            drop(result);
            return share(is_left ? a : b);
        }
        collapse(result);
        return result;
    }
};

Clock::Clock(const Clock& other) : root_(Tree::share(other.root_)) {}

Clock::~Clock() { Tree::drop(root_); }

uint32_t Clock::number_of(Position position) const {
    const uint32_t idx[] = {position.queue_idx, position.block_idx, position.thread_idx / kLanes};
    Entry entry = root_;
    for (uint32_t level = 0; level < 3; ++level) {
        if (Tree::is_number(entry)) return Tree::number(entry);
        entry = Tree::part(Tree::node(entry), idx[level]);
    }
    if (Tree::is_number(entry)) return Tree::number(entry);
    return Tree::node(entry)->lanes()[position.thread_idx % kLanes];
}

void Clock::join(const Clock& other, Pool& pool) {
    if (root_ == other.root_) return;
    Tree::drop(std::exchange(root_, Tree::join(root_, other.root_, pool)));
}

void Clock::raise(Position position, Level level, uint32_t number, const Shape& shape, Pool& pool) {
    if (level == Level::lane && number_of(position) >= number) return;
    const uint32_t target = static_cast<uint32_t>(level) + 1;
    Tree::raise_at(root_, 0, target, Tree::path(position, shape), pool,
                   [&](Entry& entry) { Tree::raise_all(entry, number, pool); });
}

void Clock::raise_lanes(Position position, const uint32_t (&numbers)[kLanes], const Shape& shape, Pool& pool) {
    const uint32_t target = static_cast<uint32_t>(Level::warp) + 1;
    Tree::raise_at(root_, 0, target, Tree::path(position, shape), pool, [&](Entry& entry) {
        if (Tree::is_number(entry)) {
            entry = Tree::entry(Tree::uniform(kLanes, /*is_warp=*/true, Tree::number(entry), pool));
        }
        uint32_t* lanes = Tree::own(entry, 0, pool)->lanes();
        for (uint32_t lane = 0; lane < kLanes; ++lane) lanes[lane] = std::max(lanes[lane], numbers[lane]);
        Tree::collapse(entry);
    });
}

}  // namespace epgen::simt::check
