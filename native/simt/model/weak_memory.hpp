// The operational model of memory: what threads and bulk copies may see of writes that nothing orders yet.
//
// A store through a peer pointer flies: it lands at a random later step, out of order except with the thread's other
// stores to the same bytes. A release lands what it covers first. To bulk copies, bytes that a thread has written look
// as they were, by chance, until a proxy fence of someone who was told of the write. Everything else is at once.
//
// What it can't show, and only the checker finds: a load never returns what was there before the newest store landed,
// so an acquire that is missing goes unnoticed; a bulk copy never runs ahead of the thread that issues it; what a task
// of a stream or an earlier kernel wrote is seen by everyone. No kernel elects a lane, so nothing here draws one.
#pragma once

#include <cstdint>
#include <vector>

#include "simt/block.hpp"
#include "simt/machine.hpp"
#include "simt/model/old_bytes.hpp"
#include "simt/model/stores.hpp"

namespace epgen::simt {

struct BulkCopy;

class WeakMemory {
public:
    WeakMemory(uint64_t seed, uint32_t num_ranks);
    void add_region(const MemoryRegion& region) { regions_.push_back(region); }

    // Blocks and kernels
    void block_starts(Block& block);
    void block_ends(Block& block);
    void kernel_ends(const Launch& launch);
    /// After a fault: stores in flight are lost.
    void forget_kernels();

    // Threads
    /// Changes the `bytes` bytes that memory holds at `address` to those that the thread sees.
    void see(const Fiber& reader, const void* address, uint32_t bytes, void* value) const;
    /// The store in flight that the thread reads this word from, or null. No update: that goes on from what was there.
    const FlyingStore* newest_store(const Fiber& reader, const void* address, uint32_t bytes) const;
    /// Before a write that is performed at once.
    void before_write(const Fiber& writer, const Access& access);
    /// Before a release of this scope, to memory of rank `home_rank_idx`: lands what it covers.
    void release(const Fiber& writer, Scope scope, uint32_t home_rank_idx);
    /// A store that flies, of the bytes at `value`, or an update.
    FlyingStore& issue(const Fiber& writer, const Access& access, const void* value);
    void meet_warp(const Fiber& member) {
        model_of(member).knowledge.meet_warp(member.thread_idx / kWarpLanes, num_writes_);
    }
    void meet_block(const Block& block) { block.model->knowledge.meet_block(num_writes_); }
    void arrive(const Fiber& fiber) { model_of(fiber).knowledge.tell_block(fiber.thread_idx, num_writes_); }
    void fence_proxy_async(const Fiber& fiber, bool shared_only);

    // Bulk copies
    void issue(const Fiber& issuer, const BulkCopy& copy);
    /// Changes the bytes that memory holds at `from` to those that the async proxy sees.
    void see_async(const BulkCopy& copy, const void* from, uint32_t bytes, void* value);
    /// Before the async proxy writes.
    void before_async_write(const BulkCopy& copy, const void* to, uint32_t bytes);

    // Time
    uint32_t num_flying() const { return stores_.size(); }
    /// Lets a few random stores land, or comes closer to it.
    void move();
    /// How often what has left its thread is passed over before it lands. Most is passed over a few times at most; some
    /// takes longer than anything else that happens meanwhile.
    uint32_t patience();

    /// The rank whose memory this is, or kNowhere.
    static constexpr uint32_t kNowhere = UINT32_MAX;
    uint32_t home_of(const void* address) const;

private:
    static BlockModel& model_of(const Fiber& fiber) { return *fiber.block->model; }
    WriteOrigin origin_of(const Fiber& writer);
    bool knows(const Fiber& fiber, const WriteOrigin& write) const;
    /// Threads of other ranks can't be told of what hasn't landed.
    bool knows(const Fiber& fiber, const FlyingStore& store) const {
        return store.origin.rank_idx == fiber.rank_idx && knows(fiber, store.origin);
    }
    template <class Predicate>
    void land_if(Predicate predicate);
    /// Those that touch at most 16 bytes within a multiple of 16.
    template <class Predicate>
    void land_near(const void* address, uint32_t bytes, Predicate predicate);
    void land(FlyingStore& store);
    /// Old bytes of a rank's memory; null for memory of the host.
    OldByteList* old_bytes_at(const void* address);

    Random random_;
    std::vector<MemoryRegion> regions_;
    std::vector<OldByteList> old_bytes_;  // of each rank's memory
    FlyingStores stores_;
    std::vector<FlyingStore*> to_land_;  // scratch of land_if
    uint64_t num_writes_ = 0;
};

}  // namespace epgen::simt
