#include "simt/check/checker.hpp"

#include <algorithm>

#include "simt/block.hpp"
#include "simt/bulk.hpp"
#include "simt/check/state.hpp"
#include "simt/fiber.hpp"

namespace epgen::simt::check {

namespace {

Site site_of(const Access& access) { return {access.what, access.object, access.place, nullptr, Agent::thread}; }

}  // namespace

Checker::Checker(uint32_t num_ranks, std::function<void(const RaceReport&)> on_race)
    : state_(std::make_unique<State>()) {
    state_->num_findings = &num_findings_;
    state_->on_race = std::move(on_race);
    state_->queue_at(num_ranks - 1);
}

Checker::~Checker() = default;

void Checker::add_region(const MemoryRegion& region) {
    auto& regions = state_->regions;
    auto added = std::make_unique<CheckedRegion>(
        CheckedRegion{Shadow(region.data, region.bytes), region.name, region.rank_idx});
    const auto after = std::find_if(regions.begin(), regions.end(), [&](const auto& other) {
        return other->shadow.begin() > added->shadow.begin();
    });
    regions.insert(after, std::move(added));
}

void Checker::kernel_starts(const Launch& launch) {
    const uint32_t num_blocks = launch.kernel.grid;
    const uint32_t queue_idx = queue_of(launch.rank_idx, launch.stream_idx);
    QueueView& queue = state_->queue_at(queue_idx);
    LaunchView& view = queue.launch;
    view.queue_idx = queue_idx;
    view.shape = {static_cast<uint32_t>(state_->queues.size()), num_blocks,
                  launch.kernel.entry->num_threads / kWarpLanes};
    view.first_number = view.newest_number = queue.newest_number + 1;
    view.blocks.assign(num_blocks, nullptr);
    state_->settle(queue, queue_idx);
    view.start = view.end = queue.known;
}

void Checker::kernel_ends(const Launch& launch) {
    QueueView& queue = state_->queue_at(queue_of(launch.rank_idx, launch.stream_idx));
    queue.newest_number = queue.launch.newest_number;
    queue.known = std::move(queue.launch.end);
    queue.launch.first_number = queue.newest_number + 1;  // nothing of this launch is running any more
    queue.launch.start = {};
}

void Checker::block_starts(const Block& block) {
    State& state = *state_;
    LaunchView& launch = state.queue_at(queue_of(block.launch->rank_idx, block.launch->stream_idx)).launch;
    BlockView& view = state.take_block();
    view.launch = &launch;
    view.block_idx = block.block_idx;
    launch.blocks[block.block_idx] = &view;
    view.shared = Shadow(block.shared, block.launch->kernel.entry->shared_bytes);
    view.warps.assign(launch.shape.num_warps, {});
    view.threads.resize(block.num_threads());
    for (uint32_t thread_idx = 0; thread_idx < block.num_threads(); ++thread_idx) {
        View& thread = view.threads[thread_idx];
        thread = {};
        thread.known = launch.start;
        thread.block = &view;
        thread.component = Component(Plane::thread, view.position(thread_idx));
        thread.number = launch.first_number;
        block.fibers[thread_idx]->view = &thread;
    }
}

void Checker::block_ends(const Block& block) {
    BlockView& view = *block.fibers.front()->view->block;
    LaunchView& launch = *view.launch;
    const Known* newest = nullptr;
    for (const View& thread : view.threads) {
        if (newest == nullptr || !(*newest == thread.known)) launch.end.join(thread.known, state_->pool);
        newest = &thread.known;
    }
    launch.newest_number = std::max(launch.newest_number, view.newest_number());
    Knowledge& end = launch.end.own(state_->pool);
    for (uint32_t first = 0; first < view.threads.size(); first += kLanes) {
        state_->share_own(end, &view.threads[first]);
    }
    launch.blocks[view.block_idx] = nullptr;
    state_->end_block(view);
}

uint32_t Checker::event_recorded(StreamId stream) {
    State& state = *state_;
    const uint32_t queue_idx = queue_of(stream.rank_idx, stream.stream_idx);
    QueueView& queue = state.queue_at(queue_idx);
    state.settle(queue, queue_idx);
    state.events.push_back(queue.known);
    return static_cast<uint32_t>(state.events.size() - 1);
}

void Checker::event_waited(StreamId stream, uint32_t event) {
    QueueView& queue = state_->queue_at(queue_of(stream.rank_idx, stream.stream_idx));
    queue.known.join(state_->events[event], state_->pool);
}

void Checker::stream_access(StreamId stream, AccessKind kind, const void* data, uint64_t bytes, const char* what) {
    State& state = *state_;
    const uint32_t queue_idx = queue_of(stream.rank_idx, stream.stream_idx);
    QueueView& queue = state.queue_at(queue_idx);
    const bool is_write = kind != AccessKind::load;
    const uint32_t site = state.sites.number_of({what, nullptr, {"", 0}, nullptr, Agent::stream});
    const Component component(Plane::thread, {queue_idx, kStreamBlock, 0});
    const Stamp stamp{component, ++queue.newest_number, site, 0, is_write, Scope::none, kAnyExtent};
    const Subject subject{stamp, nullptr, queue.known.get()};
    if (Shadow* shadow = state.shadow_of(nullptr, data)) {
        Trail trail;
        state.touch(subject, trail, *shadow, data, bytes);
        state.drop(trail);
    }
    if (is_write) state.words.forget(reinterpret_cast<uintptr_t>(data), bytes);
}

void Checker::host_reads(uint32_t rank_idx, const void* word, const void* data, uint64_t bytes) {
    State& state = *state_;
    Shadow* shadow = state.shadow_of(nullptr, data);
    if (shadow == nullptr) return;
    Known known = Known::nothing(state.pool);
    if (const Word* found = state.words.find(reinterpret_cast<uintptr_t>(word), sizeof(uint32_t))) {
        for (const ReleasedClock& released : found->released) {
            if (released.scope == Scope::sys) known.join(released.known, state.pool);
        }
    }
    const uint32_t site = state.sites.number_of({"host", nullptr, {"", 0}, nullptr, Agent::host});
    // As strong as what announces the memory, which is among what is read.
    const Stamp stamp{Component(Plane::thread, {rank_idx, kStreamBlock, 0}), 0, site, 0, false, Scope::sys, kAnyExtent};
    const Subject subject{stamp, nullptr, known.get(), Fenced::global, /*is_host=*/true};
    shadow->update(reinterpret_cast<uintptr_t>(data), bytes, state.histories,
                   [&](Histories::Id history, uintptr_t at) {
                       state.judge(subject, history, at);
                       return history;
                   });
}

void Checker::access(Fiber& fiber, const Access& access) {
    View& view = *fiber.view;
    Shadow* shadow = state_->shadow_of(view.block, access.address);
    if (shadow == nullptr) return;
    const bool is_write = access.kind != AccessKind::load;
    const Scope scope = access.order == Order::weak ? Scope::none : access.scope;
    const Subject subject = state_->subject(view, site_of(access), is_write, scope,
                                            extent_of(scope, access.address, access.bytes));
    state_->touch(subject, view.trails[is_write], *shadow, access.address, access.bytes);
}

void Checker::raw_access(Fiber& fiber, bool is_write, const void* address, uint32_t bytes, const void* code_address) {
    View& view = *fiber.view;
    Shadow* shadow = state_->shadow_of(view.block, address);
    if (shadow == nullptr) return;
    const Subject subject = state_->subject(view, {"raw access", nullptr, {"", 0}, code_address, Agent::thread},
                                            is_write, Scope::none);
    state_->touch(subject, view.trails[is_write], *shadow, address, bytes);
}

ReleasedClock Checker::stored(Fiber& fiber, const Access& access) {
    if (access.order != Order::release && access.order != Order::relaxed) return {};
    View& view = *fiber.view;
    const uint32_t number = view.number;
    Known known = access.order == Order::release ? state_->release(view) : view.known;
    if (access.order == Order::release) known.own(state_->pool).leave_fences();
    return {std::move(known), access.order, access.scope, view.component.position(), number, access.place};
}

void Checker::store_visible(const void* data, uint32_t bytes, bool is_rmw, const ReleasedClock& released) {
    state_->words.store(reinterpret_cast<uintptr_t>(data), bytes, is_rmw, released, state_->pool);
}

void Checker::loaded(Fiber& fiber, const Access& access, const ReleasedClock* in_flight) {
    View& view = *fiber.view;
    const Position here = view.component.position();
    const auto hint = [&](Hint::Kind kind, const ReleasedClock& released, Place place) {
        const Component writer(Plane::thread, released.position);
        state_->hints.add({kind, place, released.known, writer, released.number, view.component, view.number});
    };
    const auto observe = [&](const ReleasedClock& released) {
        if (!reaches(released.scope, released.position, here)) {
            hint(Hint::Kind::narrow_release, released, released.place);
        } else if (!reaches(access.scope, here, released.position)) {
            hint(Hint::Kind::narrow_acquire, released, access.place);
        } else if (access.order != Order::acquire) {
            hint(Hint::Kind::relaxed_load, released, access.place);
        } else {
            view.block->memo_of(view).join(view.known, released.known, state_->pool);
        }
    };
    if (in_flight != nullptr) {
        if (in_flight->order == Order::release) observe(*in_flight);
        return;
    }
    const Word* word = state_->words.find(reinterpret_cast<uintptr_t>(access.address), access.bytes);
    if (word == nullptr) return;
    for (const ReleasedClock& released : word->released) observe(released);
    if (word->relaxed.known) hint(Hint::Kind::relaxed_store, word->relaxed, word->relaxed.place);
}

void Checker::meet_warp(Fiber* const* lanes) {
    View* views = lanes[0]->view;
    const Shape& shape = views->block->launch->shape;
    state_->meet(views, kLanes, [&](Clock& clock, uint32_t number) {
        clock.raise(views->component.position(), Level::warp, number, shape, state_->pool);
    });
}

void Checker::meet_block(const Block& block) {
    BlockView& view = *block.fibers.front()->view->block;
    state_->meet(view.threads.data(), block.num_threads(), [&](Clock& clock, uint32_t number) {
        clock.raise(view.position(0), Level::block, number, view.launch->shape, state_->pool);
    });
}

void Checker::vote(Fiber* const* lanes, Place place) {
    lanes[0]->view->block->warps[lanes[0]->thread_idx / kLanes].vote_place = place;
}

void Checker::mbarrier_init(Fiber& fiber, const void* mbarrier, const char* object, Place place) {
    BlockView& block = *fiber.view->block;
    const auto slot = static_cast<uint32_t>(block.mbarriers.size());
    if (slot >= LaunchView::kMaxMbarriers) {
        raise(FaultKind::limit, place, "mbarrier_init on \"%s\": races are checked in blocks of up to %u mbarriers",
              object, LaunchView::kMaxMbarriers);
    }
    const Access access{AccessKind::store, Order::weak, Scope::none, Space::shared,     "mbarrier_init",
                        object,            mbarrier,    8,           place};
    this->access(fiber, access);
    block.mbarriers.push_back({mbarrier, object, slot, 0, {}, {}});
}

void Checker::mbarrier_arrive(Fiber& fiber, const void* mbarrier, const char* object, Place place) {
    View& view = *fiber.view;
    state_->touch_mbarrier(view, mbarrier, "mbarrier_arrive", object, AccessKind::read_modify_write, place);
    MbarrierView* found = state_->mbarrier_of(*view.block, mbarrier);
    if (found != nullptr) found->arrived.join(state_->release(view), state_->pool);
}

void Checker::mbarrier_phase_ends(const Block& block, const void* mbarrier) {
    BlockView& view = *block.fibers.front()->view->block;
    MbarrierView* found = state_->mbarrier_of(view, mbarrier);
    if (found == nullptr) return;
    if (!found->arrived) found->arrived = Known::nothing(state_->pool);
    found->arrived.own(state_->pool)
        .plane(Plane::mbarrier)
        .raise(view.position(found->slot), Level::lane, view.launch->first_number + found->phase,
               view.launch->shape_of(Plane::mbarrier), state_->pool);
    found->ended = std::move(found->arrived);
    ++found->phase;
}

void Checker::mbarrier_acquire(Fiber& fiber, const void* mbarrier, uint32_t parity, const char* what,
                               const char* object, Place place) {
    View& view = *fiber.view;
    state_->touch_mbarrier(view, mbarrier, what, object, AccessKind::load, place);
    const MbarrierView* found = state_->mbarrier_of(*view.block, mbarrier);
    if (found == nullptr || found->phase == 0 || ((found->phase - 1) & 1) != (parity & 1)) return;
    view.block->memo_of(view).join(view.known, found->ended, state_->pool);
}

void Checker::bulk_issued(Fiber& fiber, const BulkCopy& copy) {
    State& state = *state_;
    View& view = *fiber.view;
    const LaunchView& launch = *view.block->launch;
    const Agent agent = copy.is_store ? Agent::bulk_store : Agent::bulk_load;
    const Position self = view.component.position();
    const auto thread_idx = static_cast<uint16_t>(self.thread_idx);
    Component reads(Plane::bulk_source, self);
    Component writes(Plane::bulk_write, self);
    uint32_t number;
    if (copy.is_store) {
        number = launch.first_number + copy.group_number;
        view.newest_group = number;
    } else {
        state.touch_mbarrier(view, copy.mbarrier, "bulk_load", copy.mbarrier_name, AccessKind::read_modify_write,
                             copy.place);
        const MbarrierView* mbarrier = state.mbarrier_of(*view.block, copy.mbarrier);
        if (mbarrier == nullptr) return;
        number = launch.first_number + mbarrier->phase;
        reads = writes = Component(Plane::mbarrier, view.block->position(mbarrier->slot));
    }
    const auto touch_end = [&](Component component, const BulkEnd& end, bool is_write, bool is_shared) {
        const uint32_t site = state.sites.number_of({copy.name(), end.name, copy.place, nullptr, agent});
        const Stamp stamp{component, number, site, thread_idx, is_write, Scope::none, kAnyExtent};
        const Subject subject{stamp, &view, view.known.get(), is_shared ? Fenced::shared : Fenced::global};
        Shadow* shadow = state.shadow_of(is_shared ? view.block : nullptr, end.data);
        if (shadow == nullptr) return;
        Trail trail;
        state.touch(subject, trail, *shadow, end.data, copy.bytes);
        state.drop(trail);
    };
    touch_end(reads, copy.from, /*is_write=*/false, /*is_shared=*/copy.is_store);
    touch_end(writes, copy.to, /*is_write=*/true, /*is_shared=*/!copy.is_store);
}

void Checker::groups_waited(Fiber& fiber, uint32_t end_group, bool read_only, Place place) {
    View& view = *fiber.view;
    (read_only ? view.wait_read_place : view.wait_place) = place;
    if (end_group == 0) return;
    const uint32_t number = view.block->launch->first_number + end_group - 1;
    uint32_t& read = view.own_group(Plane::bulk_source);
    uint32_t& complete = view.own_group(Plane::bulk_write);
    read = std::max(read, number);
    if (!read_only) complete = std::max(complete, number);
    view.has_own_groups = true;
}

void Checker::proxy_fence(Fiber& fiber, bool shared_only, Place place) {
    View& view = *fiber.view;
    if (shared_only) view.shared_fence_place = place;
    view.own_fenced[static_cast<uint32_t>(Fenced::shared)] = view.number;
    if (!shared_only) view.own_fenced[static_cast<uint32_t>(Fenced::global)] = view.number;
    WarpMemo& memo = view.block->memo_of(view);
    if (!(memo.before_fence == view.known) || memo.is_fence_of_shared != shared_only) {
        memo.before_fence = memo.after_fence = view.known;
        memo.is_fence_of_shared = shared_only;
        if (!view.known->is_carried_over(shared_only)) memo.after_fence.own(state_->pool).carry_over(shared_only);
    }
    view.known = memo.after_fence;
    view.has_own_fenced = true;
    ++view.number;
}

void Checker::forget() {
    State& state = *state_;
    for (const auto& region : state.regions) region->shadow.clear(state.histories);
    while (!state.blocks.empty()) {
        BlockView& block = *state.blocks.back();
        // What the ranks know of it stays: nothing else may get its numbers.
        block.launch->newest_number = std::max(block.launch->newest_number, block.newest_number());
        state.end_block(block);
    }
    state.words.clear();
    state.hints.clear();
    for (QueueView& queue : state.queues) {
        queue.newest_number = std::max(queue.newest_number, queue.launch.newest_number);
        queue.launch.start = queue.launch.end = {};
        queue.launch.blocks.clear();
    }
}

void Checker::report() {
    std::vector<RaceReport> findings;
    findings.swap(state_->findings);
    num_findings_ = 0;
    for (const RaceReport& finding : findings) state_->on_race(finding);
}

}  // namespace epgen::simt::check
