#include "simt/check/state.hpp"

#include <algorithm>

namespace epgen::simt::check {

namespace {

constexpr Plane kPlanes[] = {Plane::thread, Plane::bulk_source, Plane::bulk_write, Plane::mbarrier};

}  // namespace

void WarpMemo::join(Known& known, const Known& released, Pool& pool) {
    if (!(before == known) || !(other == released)) {
        before = joined = known;
        other = released;
        joined.join(released, pool);
    }
    known = joined;
}

QueueView& Checker::State::queue_at(uint32_t queue_idx) {
    while (queues.size() <= queue_idx) queues.emplace_back().known = Known::nothing(pool);
    return queues[queue_idx];
}

void Checker::State::settle(QueueView& queue, uint32_t queue_idx) {
    // A queue's blocks and warps don't matter where all of them are raised.
    const Shape shape{static_cast<uint32_t>(queues.size()), 1, 1};
    Knowledge& known = queue.known.own(pool);
    for (const Plane plane : kPlanes) {
        known.plane(plane).raise({queue_idx, 0, 0}, Level::queue, queue.newest_number, shape, pool);
    }
}

Subject Checker::State::subject(const View& view, const Site& site, bool is_write, Scope scope, uint8_t extent) {
    const auto thread_idx = static_cast<uint16_t>(view.component.position().thread_idx);
    return {{view.component, view.number, sites.number_of(site), thread_idx, is_write, scope, extent}, &view,
            view.known.get()};
}

Known Checker::State::release(View& view) {
    LaunchView& launch = *view.block->launch;
    const Position position = view.component.position();
    Known released = view.known;
    Knowledge& known = released.own(pool);
    const auto raise = [&](Clock& clock, uint32_t number) {
        clock.raise(position, Level::lane, number, launch.shape, pool);
    };
    raise(known.plane(Plane::thread), view.number);
    if (view.has_own_groups) {
        for (const Plane plane : {Plane::bulk_source, Plane::bulk_write}) {
            raise(known.plane(plane), view.own_group(plane));
        }
    }
    if (view.has_own_fenced) {
        for (uint32_t idx = 0; idx < kNumFenced; ++idx) raise(known.fenced[idx], view.own_fenced[idx]);
    }
    ++view.number;
    return released;
}

void Checker::State::share_own(Knowledge& known, View* lanes) {
    const LaunchView& launch = *lanes->block->launch;
    const Position position = lanes->component.position();
    const auto raise = [&](Clock& clock, auto number_of) {
        uint32_t numbers[kLanes];
        for (uint32_t lane = 0; lane < kLanes; ++lane) numbers[lane] = number_of(lanes[lane]);
        clock.raise_lanes(position, numbers, launch.shape, pool);
    };
    if (std::any_of(lanes, lanes + kLanes, [](const View& view) { return view.has_own_groups; })) {
        for (const Plane plane : {Plane::bulk_source, Plane::bulk_write}) {
            raise(known.plane(plane), [plane](const View& view) { return view.own_group(plane); });
        }
    }
    if (std::any_of(lanes, lanes + kLanes, [](const View& view) { return view.has_own_fenced; })) {
        for (uint32_t idx = 0; idx < kNumFenced; ++idx) {
            raise(known.fenced[idx], [idx](const View& view) { return view.own_fenced[idx]; });
        }
    }
    for (uint32_t lane = 0; lane < kLanes; ++lane) lanes[lane].has_own_groups = lanes[lane].has_own_fenced = false;
}

BlockView& Checker::State::take_block() {
    if (free_blocks.empty()) {
        blocks.push_back(std::make_unique<BlockView>());
    } else {
        blocks.push_back(std::move(free_blocks.back()));
        free_blocks.pop_back();
    }
    return *blocks.back();
}

void Checker::State::end_block(BlockView& block) {
    block.shared.clear(histories);
    for (View& thread : block.threads) {
        for (Trail& trail : thread.trails) drop(trail);
        thread.known = {};
    }
    block.mbarriers.clear();
    block.warps.clear();
    const auto found =
        std::find_if(blocks.begin(), blocks.end(), [&](const auto& running) { return running.get() == &block; });
    free_blocks.push_back(std::move(*found));
    *found = std::move(blocks.back());
    blocks.pop_back();
}

MbarrierView* Checker::State::mbarrier_of(BlockView& block, const void* mbarrier) {
    // The newest one, where memory was used again.
    for (auto it = block.mbarriers.rbegin(); it != block.mbarriers.rend(); ++it) {
        if (it->address == mbarrier) return &*it;
    }
    return nullptr;
}

void Checker::State::touch_mbarrier(View& view, const void* mbarrier, const char* what, const char* object,
                                    AccessKind kind, Place place) {
    const bool is_write = kind != AccessKind::load;
    const Subject it = subject(view, {what, object, place, nullptr, Agent::thread}, is_write, Scope::block,
                               extent_of(Scope::block, mbarrier, sizeof(uint64_t)));
    touch(it, view.trails[is_write], view.block->shared, mbarrier, sizeof(uint64_t));
}

}  // namespace epgen::simt::check
