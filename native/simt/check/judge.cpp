// Which earlier accesses a new one is ordered after, and what is remembered of both.
#include <algorithm>
#include <cstdio>

#include "simt/check/state.hpp"
#include "simt/engine.hpp"

namespace epgen::simt::check {

namespace {

/// Up to here a history is tidied at every access, above only when it is full.
constexpr std::size_t kShort = 8;

}  // namespace

bool Checker::State::knows(const Subject& subject, const Stamp& earlier) const {
    const Component component = earlier.component;
    const Position position = component.position();
    const View* view = subject.view;
    if (subject.is_host) {
        // It knows what it was told.
    } else if (view == nullptr) {
        // A stream goes on when everything before on it has ended.
        if (position.queue_idx == subject.stamp.component.position().queue_idx) return true;
    } else if (component == view->component) {
        return true;
    } else if (component.plane() == Plane::bulk_source || component.plane() == Plane::bulk_write) {
        if (Component(Plane::thread, position) == view->component &&
            view->own_group(component.plane()) >= earlier.number) {
            return true;
        }
    }
    return subject.known->plane(component.plane()).number_of(position) >= earlier.number;
}

/// For a generic access before one of the async proxy.
bool Checker::State::has_carried_over(const Subject& subject, const Stamp& earlier) const {
    const Position position = earlier.component.position();
    const View& view = *subject.view;
    const auto fenced = static_cast<uint32_t>(subject.fenced);
    if (earlier.component == view.component && view.own_fenced[fenced] >= earlier.number) return true;
    return subject.known->fenced[fenced].number_of(position) >= earlier.number ||
           view.block->launch->start->plane(Plane::thread).number_of(position) >= earlier.number;
}

/// For a copy of another block before one of the async proxy: causality within that proxy ends with the block.
bool Checker::State::has_carried_over_copy(const Subject& subject, const Stamp& earlier) const {
    const Position position = earlier.component.position();
    const Plane plane = earlier.component.plane();
    return subject.known->carried_of(plane).number_of(position) >= earlier.number ||
           subject.view->block->launch->start->plane(plane).number_of(position) >= earlier.number;
}

bool Checker::State::is_ordered(const Subject& subject, const Stamp& earlier) const {
    if (!subject.stamp.component.is_async()) return knows(subject, earlier);
    if (!earlier.component.is_async()) return has_carried_over(subject, earlier);
    return is_of_same_block(subject.stamp, earlier) ? knows(subject, earlier) : has_carried_over_copy(subject, earlier);
}

/// Whether whatever races with `earlier` from now on races with the subject too. `earlier` has been judged.
bool Checker::State::supersedes(const Subject& subject, const Stamp& earlier) const {
    const Stamp& stamp = subject.stamp;
    if (!stamp.is_write && earlier.is_write) return false;
    if (stamp.is_strong()) {
        if (!earlier.is_strong() || earlier.extent != stamp.extent) return false;
        const bool is_near = is_of_same_block(stamp, earlier);
        if (earlier.scope < stamp.scope || (stamp.scope != Scope::sys && !is_near)) return false;
    }
    if (!stamp.is_write && stamp.component.is_async()) {
        // Who knows of a copy need not know what its thread knew; but it knows what came before the kernel.
        const bool is_same = earlier.component == stamp.component && earlier.number <= stamp.number;
        return is_same || (earlier.component.position().queue_idx == stamp.component.position().queue_idx &&
                           earlier.number < subject.view->block->launch->first_number);
    }
    return (stamp.is_write && !stamp.is_strong()) || is_ordered(subject, earlier);
}

Histories::Id Checker::State::fresh(const Subject& subject, Trail& trail) {
    if (trail.fresh == 0) {
        trail.fresh = histories.take(1);
        histories.append(trail.fresh, subject.stamp);
    }
    histories.share(trail.fresh);
    return trail.fresh;
}

void Checker::State::drop(Trail& trail) {
    histories.drop(trail.fresh);
    histories.drop(trail.from);
    histories.drop(trail.to);
    trail = {};
}

void Checker::State::judge(const Subject& subject, Histories::Id history, uintptr_t address) {
    if (history == 0) return;
    const Stamp& stamp = subject.stamp;
    const std::span<const Stamp> stamps = histories.stamps(history);
    const std::size_t num_judged = stamp.is_write ? stamps.size() : histories.num_writes(history);
    for (const Stamp& earlier : stamps.first(num_judged)) {
        if (!are_strong(earlier, stamp) && !is_ordered(subject, earlier)) find(earlier, subject, address);
    }
}

Histories::Id Checker::State::next(const Subject& subject, Trail& trail, Histories::Id before, uintptr_t address) {
    if (before == 0) return fresh(subject, trail);
    if (before == trail.from) {
        if (trail.to != before) histories.share(trail.to);
        return trail.to;
    }
    judge(subject, before, address);
    const Stamp& stamp = subject.stamp;
    const std::span<const Stamp> stamps = histories.stamps(before);
    if (stamp.is_write && !stamp.is_strong()) return fresh(subject, trail);
    const bool is_memorable = histories.is_shared(before) && stamps.size() <= kShort;
    const Histories::Id after = stamp.is_write ? with_write(subject, before) : with_read(subject, before);
    if (is_memorable) {
        histories.share(before);
        histories.share(after);
        histories.drop(trail.from);
        histories.drop(trail.to);
        trail.from = before;
        trail.to = after;
    }
    return after;
}

/// The history has no room for the subject: that must not go unnoticed.
Histories::Id Checker::State::lose(const Subject& subject, Histories::Id history) {
    const Position position = subject.stamp.component.position();
    char text[128];
    std::snprintf(text, sizeof text, "%s: more than %u accesses to the same bytes that nothing orders",
                  sites[subject.stamp.site].what, Histories::kMaxStamps);
    engine().post_fault(FaultKind::limit, sites[subject.stamp.site].place, rank_of(position.queue_idx),
                        position.block_idx == kStreamBlock ? 0 : position.block_idx, subject.stamp.thread_idx, text);
    return history;
}

/// After a strong write: weak accesses stay, since other strong ones race with them.
Histories::Id Checker::State::with_write(const Subject& subject, Histories::Id before) {
    const std::span<const Stamp> stamps = histories.stamps(before);
    const bool is_tidied = stamps.size() <= kShort || histories.is_full(before);
    const uint32_t num_writes = histories.num_writes(before);
    if (!is_tidied && !histories.is_shared(before) && num_writes == stamps.size()) {
        histories.append(before, subject.stamp);
        return before;
    }
    const auto stays = [&](const Stamp& earlier) { return !is_tidied || !supersedes(subject, earlier); };
    const auto num_kept = static_cast<uint32_t>(std::count_if(stamps.begin(), stamps.end(), stays));
    if (num_kept >= Histories::kMaxStamps) return lose(subject, before);
    const Histories::Id after = histories.take(num_kept + 1);
    histories.append(after, subject.stamp);
    for (const Stamp& earlier : stamps) {
        if (stays(earlier)) histories.append(after, earlier);
    }
    return after;
}

Histories::Id Checker::State::with_read(const Subject& subject, Histories::Id before) {
    const std::span<const Stamp> stamps = histories.stamps(before);
    const uint32_t num_writes = histories.num_writes(before);
    const std::span<const Stamp> reads = stamps.subspan(num_writes);
    const Stamp& stamp = subject.stamp;
    const bool is_shared = histories.is_shared(before);
    if (!is_shared && stamps.size() > kShort) {
        // A thread that reads again and again is among the last.
        for (std::size_t idx = stamps.size(); idx > num_writes && idx > stamps.size() - kShort; --idx) {
            const Stamp& earlier = stamps[idx - 1];
            if (earlier.component == stamp.component && earlier.scope >= stamp.scope &&
                (!stamp.is_strong() || earlier.extent == stamp.extent) && earlier.number <= stamp.number) {
                histories.replace(before, static_cast<uint32_t>(idx - 1), stamp);
                return before;
            }
        }
        if (!histories.is_full(before)) {
            histories.append(before, stamp);
            return before;
        }
    }
    const bool is_tidied = stamps.size() <= kShort || histories.is_full(before);
    const auto stays = [&](const Stamp& earlier) { return !is_tidied || !supersedes(subject, earlier); };
    const auto num_kept = static_cast<uint32_t>(std::count_if(reads.begin(), reads.end(), stays));
    if (num_kept == reads.size() && !is_shared && !histories.is_full(before)) {
        histories.append(before, stamp);
        return before;
    }
    const uint32_t num_stamps = num_writes + num_kept + 1;
    if (num_stamps > Histories::kMaxStamps) return lose(subject, before);
    // Room for as many again: the next tidying is that far off.
    const Histories::Id after =
        histories.take(num_stamps <= kShort ? num_stamps : std::min(2 * num_stamps, Histories::kMaxStamps));
    for (const Stamp& write : stamps.first(num_writes)) histories.append(after, write);
    for (const Stamp& earlier : reads) {
        if (stays(earlier)) histories.append(after, earlier);
    }
    histories.append(after, stamp);
    return after;
}

CheckedRegion* Checker::State::region_of(uintptr_t address) {
    if (newest_region != nullptr && newest_region->shadow.contains(address)) return newest_region;
    if (regions.empty() || address < regions.front()->shadow.begin() || address >= regions.back()->shadow.end()) {
        return nullptr;
    }
    const auto after = std::upper_bound(regions.begin(), regions.end(), address,
                                        [](uintptr_t at, const auto& region) { return at < region->shadow.begin(); });
    CheckedRegion* region = std::prev(after)->get();
    if (!region->shadow.contains(address)) return nullptr;
    return newest_region = region;
}

Shadow* Checker::State::shadow_of(BlockView* block, const void* address) {
    const auto at = reinterpret_cast<uintptr_t>(address);
    if (block != nullptr && block->shared.contains(at)) return &block->shared;
    CheckedRegion* region = region_of(at);
    return region == nullptr ? nullptr : &region->shadow;
}

void Checker::State::touch(const Subject& subject, Trail& trail, Shadow& shadow, const void* address, uint64_t bytes) {
    if (trail.stamp != subject.stamp) {
        drop(trail);
        trail.stamp = subject.stamp;
    }
    shadow.update(reinterpret_cast<uintptr_t>(address), bytes, histories, [&](Histories::Id before, uintptr_t at) {
        return next(subject, trail, before, at);
    });
}

}  // namespace epgen::simt::check
