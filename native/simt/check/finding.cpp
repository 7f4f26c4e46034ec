// What is said about a race: both sides, where, and what would have ordered them.
#include "simt/check/state.hpp"
#include "simt/core.hpp"

namespace epgen::simt::check {

namespace {

std::string text_of(Place place) { return std::string(base_name(place.file)) + ":" + std::to_string(place.line); }

std::string text_of(Position position) {
    return "rank " + std::to_string(rank_of(position.queue_idx)) + " block " + std::to_string(position.block_idx) +
           " warp " +
           std::to_string(position.thread_idx / kLanes) + " lane " + std::to_string(position.thread_idx % kLanes);
}

const char* fence_name(Fenced fenced) {
    return fenced == Fenced::shared ? "fence_proxy_async_shared" : "fence_proxy_async";
}

/// The block of a thread or copy, while it runs the launch in which it was counted.
const BlockView* block_of(const std::deque<QueueView>& queues, const Stamp& stamp) {
    const Position position = stamp.component.position();
    const LaunchView& launch = queues[position.queue_idx].launch;
    if (stamp.number < launch.first_number || position.block_idx >= launch.blocks.size()) return nullptr;
    return launch.blocks[position.block_idx];
}

bool contains(const Knowledge& known, const Stamp& stamp) {
    return known.plane(stamp.component.plane()).number_of(stamp.component.position()) >= stamp.number;
}

/// The access is known to the thread that issues the copy, but not to the async proxy.
std::string fence_remedy(const Stamp& first, const Subject& subject) {
    std::string text = std::string(fence_name(subject.fenced)) + " is missing: ";
    text += is_of_same_block(first, subject.stamp)
                ? "by the thread of the first access before it releases, or by the thread of the copy before it issues "
                  "it"
                : "between the acquire and the copy, in the block of the copy; one on the other side does nothing for "
                  "it";
    const View& view = *subject.view;
    if (subject.fenced == Fenced::global && view.shared_fence_place.file != nullptr) {
        text += "; fence_proxy_async_shared at " + text_of(view.shared_fence_place) + " is for shared memory only";
    }
    return text;
}

/// A copy into or out of the bytes isn't known to be over. `owner` may be null.
std::string group_remedy(const Stamp& first, const Subject& second, const View* owner) {
    const char* wait = first.component.plane() == Plane::bulk_write ? "bulk_wait_group" : "bulk_wait_group_read";
    std::string text = std::string(wait) + " by the thread that issued the copy, " +
                       text_of(first.component.position()) + ", has to be ordered before the second access";
    const View* other = second.view;
    if (other == nullptr || other == owner) return text;
    const Place place = other->wait_place.file != nullptr ? other->wait_place : other->wait_read_place;
    if (place.file != nullptr) text += "; the wait at " + text_of(place) + " is for groups of its own thread only";
    return text;
}

/// The second access knows that the copy has read its source, but not that it has written.
std::string read_remedy(const View* owner) {
    std::string text = "bulk_wait_group_read";
    if (owner != nullptr && owner->wait_read_place.file != nullptr) text += " at " + text_of(owner->wait_read_place);
    return text + " waits until the source was read only; bulk_wait_group waits until the bytes are written";
}

std::string mbarrier_remedy(const Stamp& first, const BlockView* block) {
    std::string text = "a wait for the phase of the mbarrier";
    if (block != nullptr) {
        const MbarrierView& mbarrier = block->mbarriers[first.component.position().thread_idx];
        const uint32_t phase = first.number - block->launch->first_number;
        if (mbarrier.object != nullptr) text += " \"" + std::string(mbarrier.object) + "\"";
        text += " that counts the copy is missing, parity " + std::to_string(phase & 1);
        text += phase < mbarrier.phase ? "" : "; that phase isn't over yet";
    } else {
        text += " that counts the copy is missing";
    }
    return text;
}

std::string hint_remedy(const Hint& hint) {
    const std::string place = text_of(hint.place);
    switch (hint.kind) {
        case Hint::Kind::relaxed_load: return "the load at " + place + " is relaxed where an acquire would order them";
        case Hint::Kind::relaxed_store: return "the store at " + place + " is relaxed where a release would order them";
        case Hint::Kind::narrow_release: return "the scope of the release at " + place + " doesn't reach the reader";
        case Hint::Kind::narrow_acquire: return "the scope of the acquire at " + place + " doesn't reach the writer";
    }
    return "";
}

}  // namespace

std::string Checker::State::remedy(const Stamp& first, const Subject& second) const {
    const Component component = first.component;
    const bool is_async = second.stamp.component.is_async();
    if (is_async && knows(second, first)) return fence_remedy(first, second);

    const BlockView* block = component.position().block_idx == kStreamBlock ? nullptr : block_of(queues, first);
    if (component.plane() == Plane::mbarrier) return mbarrier_remedy(first, block);
    const View* owner = block == nullptr ? nullptr : &block->threads[component.position().thread_idx];
    if (component.plane() == Plane::bulk_write) {
        Stamp source = first;
        source.component = Component(Plane::bulk_source, component.position());
        if (knows(second, source)) return read_remedy(owner);
    }
    const bool has_waited = owner != nullptr && owner->own_group(component.plane()) >= first.number;
    if (component.is_async() && !has_waited) return group_remedy(first, second, owner);

    const Hint* hint = hints.find([&](const Hint& it) {
        const Stamp read{it.reader, it.reader_number, 0, 0, false, Scope::none, kAnyExtent};
        const bool has_stored = it.writer == component && it.writer_number >= first.number;
        return knows(second, read) && (has_stored || contains(*it.known, first));
    });
    if (hint != nullptr) return hint_remedy(*hint);

    if (second.view != nullptr) {
        const BlockView& here = *second.view->block;
        const uint32_t warp_idx = second.view->component.position().thread_idx / kLanes;
        const Place vote = here.warps[warp_idx].vote_place;
        const View* lanes = &here.threads[warp_idx * kLanes];
        for (uint32_t lane = 0; lane < kLanes && vote.file != nullptr; ++lane) {
            if (!contains(*lanes[lane].known, first) && lanes[lane].component != component) continue;
            return "a vote or shuffle, as at " + text_of(vote) + ", orders no memory; sync_warp does";
        }
    }
    if (component.is_async()) return group_remedy(first, second, owner);
    const uint32_t queue_idx = component.position().queue_idx;
    const uint32_t other_idx = second.stamp.component.position().queue_idx;
    const bool has_ended = first.number < queues[queue_idx].launch.first_number;
    const bool is_same_rank = rank_of(queue_idx) == rank_of(other_idx);
    return std::string("no synchronisation between them") +
           (!has_ended || queue_idx == other_idx ? ""
            : is_same_rank ? "; the end of a kernel orders nothing for other streams without an event"
                           : "; the end of a kernel orders nothing for other ranks");
}

RaceSide Checker::State::side(const Stamp& stamp) const {
    const Site& site = sites[stamp.site];
    const Position position = stamp.component.position();
    const auto text = [](const char* string) { return std::string(string == nullptr ? "" : string); };
    return {text(site.what),
            text(site.object),
            text(base_name(site.place.file)),
            site.place.line,
            site.code_address,
            rank_of(position.queue_idx),
            position.block_idx == kStreamBlock ? 0 : position.block_idx,
            stamp.thread_idx / kLanes,
            stamp.thread_idx % kLanes,
            stamp.is_write != 0,
            stamp.component.is_async() ? Proxy::async : Proxy::generic,
            site.agent};
}

std::string Checker::State::address_text(uintptr_t address, const Subject& subject) const {
    const auto at = [address](const Shadow& shadow) { return " + " + std::to_string(address - shadow.begin()); };
    if (subject.view != nullptr && subject.view->block->shared.contains(address)) {
        const BlockView& block = *subject.view->block;
        return "shared memory of rank " + std::to_string(rank_of(block.launch->queue_idx)) + " block " +
               std::to_string(block.block_idx) + at(block.shared);
    }
    for (const auto& region : regions) {
        if (!region->shadow.contains(address)) continue;
        return "rank " + std::to_string(region->rank_idx) + "'s " + region->name + at(region->shadow);
    }
    return "unknown memory";
}

void Checker::State::find(const Stamp& first, const Subject& second, uintptr_t address) {
    const auto [low, high] = std::minmax(first.site, second.stamp.site);
    if (!reported_sites.insert(uint64_t{low} << 32 | high).second) return;
    RaceReport report{side(first), side(second.stamp), address_text(address, second), remedy(first, second)};
    const auto place = [](const RaceSide& side) {
        return side.what + "@" + side.file + ":" + std::to_string(side.line) + ":" +
               std::to_string(reinterpret_cast<uintptr_t>(side.code_address));
    };
    const std::string one = place(report.first);
    const std::string other = place(report.second);
    if (!reported_places.insert(one < other ? one + other : other + one).second) return;
    findings.push_back(std::move(report));
    ++*num_findings;
}

}  // namespace epgen::simt::check
