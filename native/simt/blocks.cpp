// Blocks come and go: fibers, shared memory, and what must be true when they end.
#include <boost/context/detail/fcontext.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "simt/engine.hpp"
#include "simt/mbarrier.hpp"

namespace epgen::simt {

namespace {

constexpr uint64_t kSharedAlignment = 128;

void enter_fiber(boost::context::detail::transfer_t from) {
    static_cast<Fiber*>(from.data)->context = from.fctx;
    engine().run_fiber(*current->fiber);
}

}  // namespace

void Engine::start_blocks() {
    for (Stream& stream : streams_) {
        if (stream.launch == nullptr) continue;
        Launch& launch = *stream.launch;
        while (!launch.unstarted.empty()) {
            const uint32_t limit = options_.policy.max_resident_blocks;
            if (limit != 0 && launch.num_resident >= limit) break;
            start_block(launch);
            if (launch.trickles) break;
        }
    }
}

void Engine::start_block(Launch& launch) {
    const KernelEntry& entry = *launch.kernel.entry;
    std::unique_ptr<Block> block;
    if (free_blocks_.empty()) {
        block = std::make_unique<Block>();
    } else {
        block = std::move(free_blocks_.back());
        free_blocks_.pop_back();
    }
    block->launch = &launch;
    block->block_idx = launch.unstarted.back();
    launch.unstarted.pop_back();
    ++launch.num_resident;
    block->shared = take_shared(entry.shared_bytes);
    block->num_at_block = 0;
    block->num_ended = 0;
    block->num_unfenced_mbarriers = 0;
    block->num_shared_copies = 0;
    block->phases.clear();
    std::fill(std::begin(block->warps), std::end(block->warps), Warp{});
    block->fibers.resize(entry.num_threads);
    const uint32_t block_priority = schedule.block_priority();
    for (uint32_t warp_idx = 0; warp_idx < entry.num_threads / kWarpLanes; ++warp_idx) {
        Warp& warp = block->warps[warp_idx];
        warp.lanes = &block->fibers[warp_idx * kWarpLanes];
        warp.base_priority = schedule.base_priority(launch.rank_idx, block_priority, warp_idx);
    }
    for (uint32_t thread_idx = 0; thread_idx < entry.num_threads; ++thread_idx) {
        Fiber& fiber = *(block->fibers[thread_idx] = stacks_.take());
        fiber.block = block.get();
        fiber.warp = &block->warps[thread_idx / kWarpLanes];
        fiber.rank_idx = launch.rank_idx;
        fiber.thread_idx = thread_idx;
        fiber.num_threads = entry.num_threads;
        fiber.block_idx = block->block_idx;
        fiber.num_blocks = launch.kernel.grid;
        fiber.trace_id = trace_id_of(launch.rank_idx, block->block_idx, thread_idx);
        fiber.groups = nullptr;
        fiber.view = nullptr;
        fiber.num_unfenced_mbarriers = 0;
        const auto stack_bytes = static_cast<std::size_t>(reinterpret_cast<std::byte*>(&fiber) - fiber.stack_low);
        fiber.context = boost::context::detail::make_fcontext(&fiber, stack_bytes, enter_fiber);
        make_runnable(fiber);
    }
    if (weak_memory != nullptr) weak_memory->block_starts(*block);
    if (checker != nullptr) checker->block_starts(*block);
    if (tracer != nullptr) tracer->block_starts(now(), *block);
    if (steering != nullptr) steering->block_starts(*block);
    resident_.push_back(std::move(block));
}

std::byte* Engine::take_shared(uint32_t bytes) {
    std::vector<std::byte*>& free = free_shared_[bytes];
    std::byte* shared;
    if (free.empty()) {
        const uint64_t size = (bytes + kSharedAlignment) / kSharedAlignment * kSharedAlignment;
        shared = static_cast<std::byte*>(std::aligned_alloc(kSharedAlignment, size));
        if (shared == nullptr) throw std::bad_alloc();
        all_shared_.push_back(shared);
    } else {
        shared = free.back();
        free.pop_back();
    }
    std::memset(shared, kSharedPoison, bytes);
    return shared;
}

void* shared_data(uint64_t bytes, Place place) {
    const Block& block = *current->fiber->block;
    const KernelEntry& entry = *block.launch->kernel.entry;
    if (bytes > entry.shared_bytes) {
        raise(FaultKind::access, place, "shared_memory of %llu bytes in kernel %s, which was launched with %u",
              static_cast<unsigned long long>(bytes), entry.name, entry.shared_bytes);
    }
    return block.shared;
}

void Engine::run_fiber(Fiber& self) {
    const Kernel& kernel = self.block->launch->kernel;
    kernel.entry->body(kernel.args.data());
    end_fiber(self);
    __builtin_unreachable();
}

void Engine::end_fiber(Fiber& self) {
    Block& block = *self.block;
    Warp& warp = block.warp_of(self);
    if (warp.num_arrived > 0 || block.num_at_block > 0) {
        const auto waits = [&](const Fiber* fiber) {
            return fiber->state == (warp.num_arrived > 0 ? FiberState::at_warp : FiberState::at_block);
        };
        const auto first = warp.num_arrived > 0 ? block.lanes_of(self) : block.fibers.data();
        const auto count = warp.num_arrived > 0 ? kWarpLanes : block.num_threads();
        const Fiber& other = **std::find_if(first, first + count, waits);
        raise(FaultKind::mismatch, other.note->place,
              "%s waits for a thread that has ended, thread %u (warp %u lane %u); thread %u waits", other.note->what,
              self.thread_idx, self.thread_idx / kWarpLanes, self.thread_idx % kWarpLanes, other.thread_idx);
    }
    if (!StackPool::is_intact(&self)) {
        StackPool::mend(&self);
        raise(FaultKind::stack, {"", 0}, "stack of a thread overflowed its %u bytes", options_.stack_bytes);
    }
    if (self.groups != nullptr) {
        for (uint32_t idx = 0; idx < copies_.size(); ++idx) {
            if (copies_[idx].owner == &self) copies_[idx].owner = nullptr;
        }
        give_back_groups(self);
    }
    self.state = FiberState::ended;
    ++warp.num_ended;
    if (++block.num_ended == block.num_threads()) {
        ended_block_ = &block;
        switch_to_scheduler();
    } else {
        leave_fiber();
    }
}

void Engine::end_block(Block& block) {
    if (block.num_shared_copies > 0) {
        for (uint32_t idx = 0; idx < copies_.size(); ++idx) {
            const BulkCopy& copy = copies_[idx];
            if (copy.block != &block || !copy.uses_shared()) continue;
            char text[256];
            std::snprintf(text, sizeof text, "%s of %u bytes from \"%s\" to \"%s\" is not complete when its block ends",
                          copy.name(), copy.bytes, copy.from.name, copy.to.name);
            post_fault(FaultKind::access, copy.place, copy.rank_idx, copy.block_idx, copy.thread_idx, text);
            return;
        }
    }
    if (checker != nullptr) checker->block_ends(block);
    if (tracer != nullptr) tracer->block_ends(now(), block);
    if (steering != nullptr) steering->block_ends(block);
    --block.launch->num_resident;
    const auto found = std::find_if(resident_.begin(), resident_.end(),
                                    [&](const std::unique_ptr<Block>& resident) { return resident.get() == &block; });
    std::swap(*found, resident_.back());
    release_block(std::move(resident_.back()));
    resident_.pop_back();
}

void Engine::release_block(std::unique_ptr<Block> block) {
    if (weak_memory != nullptr) weak_memory->block_ends(*block);
    for (Fiber* fiber : block->fibers) {
        if (fiber->groups != nullptr) give_back_groups(*fiber);
        stacks_.give_back(fiber);
    }
    free_shared_[block->launch->kernel.entry->shared_bytes].push_back(block->shared);
    free_blocks_.push_back(std::move(block));
}

/// Forgets all kernels where they stand; their stacks are not unwound.
void Engine::abandon_kernels() {
    runnable_.clear();
    pending_.clear();
    copies_.clear();
    if (weak_memory != nullptr) weak_memory->forget_kernels();
    num_in_flight_ = 0;
    for (auto& block : resident_) {
        for (Fiber* fiber : block->fibers) {
            if (!StackPool::is_intact(fiber)) StackPool::mend(fiber);
        }
        release_block(std::move(block));
    }
    resident_.clear();
    if (checker != nullptr) checker->forget();
    std::fill(std::begin(waiters.bucket), std::end(waiters.bucket), nullptr);
    std::fill(std::begin(page_waiters_), std::end(page_waiters_), 0);
    next_deadline_ns_ = kNoDeadline;
    ended_block_ = nullptr;
    scheduler_call_ = nullptr;
    idle_at_timeout_.reset();
}

}  // namespace epgen::simt
