// Everything a checker holds, and how it judges an access.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "simt/check/checker.hpp"
#include "simt/check/hints.hpp"
#include "simt/check/sites.hpp"
#include "simt/check/view.hpp"
#include "simt/check/words.hpp"
#include "simt/fiber.hpp"

namespace epgen::simt::check {

struct CheckedRegion {
    Shadow shadow;
    const char* name;
    uint32_t rank_idx;
};

/// A rank's stream, and the kernel that it runs.
struct QueueView {
    Known known;             // of the stream
    uint32_t newest_number;  // of anything on this stream
    LaunchView launch;       // the newest
};

/// An access that is being judged.
struct Subject {
    Stamp stamp;
    const View* view;  // of the thread that performs or issues it; null for a stream and for the host
    const Knowledge* known;
    Fenced fenced = Fenced::global;  // the memory, where the access is the async proxy's
    bool is_host = false;
};

struct Checker::State {
    Pool pool;  // first: all clocks go back to it
    std::function<void(const RaceReport&)> on_race;
    std::deque<QueueView> queues;  // as far as they were used, those between included
    std::vector<Known> events;     // what the stream knew that came to each
    std::vector<std::unique_ptr<CheckedRegion>> regions;  // by address
    CheckedRegion* newest_region = nullptr;
    Histories histories;
    Sites sites;
    Words words;
    Hints hints;
    std::vector<std::unique_ptr<BlockView>> free_blocks;
    std::vector<std::unique_ptr<BlockView>> blocks;
    std::unordered_set<uint64_t> reported_sites;  // pairs
    std::unordered_set<std::string> reported_places;
    std::vector<RaceReport> findings;
    uint32_t* num_findings;  // their number, where inlined code sees it

    QueueView& queue_at(uint32_t queue_idx);
    /// The stream knows all that it has done.
    void settle(QueueView& queue, uint32_t queue_idx);

    // Memory
    CheckedRegion* region_of(uintptr_t address);
    /// Of shared memory of the block, if there is one, or a region; null for memory that isn't checked.
    Shadow* shadow_of(BlockView* block, const void* address);
    /// Judges the access to all of the bytes, and remembers it.
    void touch(const Subject& subject, Trail& trail, Shadow& shadow, const void* address, uint64_t bytes);
    void drop(Trail& trail);

    // Threads
    Subject subject(const View& view, const Site& site, bool is_write, Scope scope, uint8_t extent = kAnyExtent);
    /// All that the thread knows, itself included. Its own knowledge stays as it is: the same as that of its warp.
    Known release(View& view);
    /// Puts what only the lanes of a warp knew, each about its copies and fences, into what they know together.
    void share_own(Knowledge& known, View* lanes);
    /// All of these threads learn what each of them knows. `raise` raises their numbers to one.
    template <class Raise>
    void meet(View* threads, uint32_t num_threads, Raise raise);
    BlockView& take_block();
    void end_block(BlockView& block);
    MbarrierView* mbarrier_of(BlockView& block, const void* mbarrier);
    void touch_mbarrier(View& view, const void* mbarrier, const char* what, const char* object, AccessKind kind,
                        Place place);

    // Order
    bool knows(const Subject& subject, const Stamp& earlier) const;
    bool has_carried_over(const Subject& subject, const Stamp& earlier) const;
    bool has_carried_over_copy(const Subject& subject, const Stamp& earlier) const;
    bool is_ordered(const Subject& subject, const Stamp& earlier) const;
    bool supersedes(const Subject& subject, const Stamp& earlier) const;
    /// Reports what the subject, at this address, is not ordered after.
    void judge(const Subject& subject, Histories::Id history, uintptr_t address);
    Histories::Id next(const Subject& subject, Trail& trail, Histories::Id before, uintptr_t address);
    Histories::Id with_write(const Subject& subject, Histories::Id before);
    Histories::Id with_read(const Subject& subject, Histories::Id before);
    Histories::Id lose(const Subject& subject, Histories::Id history);
    Histories::Id fresh(const Subject& subject, Trail& trail);

    // Reports
    void find(const Stamp& first, const Subject& second, uintptr_t address);
    RaceSide side(const Stamp& stamp) const;
    std::string address_text(uintptr_t address, const Subject& subject) const;
    std::string remedy(const Stamp& first, const Subject& second) const;
};

template <class Raise>
void Checker::State::meet(View* threads, uint32_t num_threads, Raise raise) {
    Known joined = threads[0].known;
    Known newest = joined;
    uint32_t number = 0;
    for (View& thread : std::span(threads, num_threads)) {
        if (!(thread.known == newest)) {
            newest = thread.known;
            joined.join(newest, pool);
        }
        thread.known = {};
        number = std::max(number, thread.number);
    }
    newest = {};
    Knowledge& known = joined.own(pool);
    raise(known.plane(Plane::thread), number);
    for (uint32_t first = 0; first < num_threads; first += kLanes) share_own(known, threads + first);
    for (View& thread : std::span(threads, num_threads)) {
        thread.known = joined;
        thread.number = number + 1;
    }
}

}  // namespace epgen::simt::check
