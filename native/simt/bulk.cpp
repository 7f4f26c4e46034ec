// Bulk copies: issued by threads, performed by the scheduler.
#include "simt/bulk.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "simt/engine.hpp"
#include "simt/mbarrier.hpp"

namespace epgen::simt {

namespace {

constexpr uint32_t kGranule = 16;
constexpr uint32_t kMaxPieces = 3;

/// Takes a random set bit out of `mask`.
uint32_t take_piece(uint32_t& mask, Schedule& schedule) {
    uint32_t skipped = schedule.below(static_cast<uint32_t>(__builtin_popcount(mask)));
    uint32_t rest = mask;
    for (; skipped > 0; --skipped) rest &= rest - 1;
    const auto idx = static_cast<uint32_t>(__builtin_ctz(rest));
    mask &= ~(1u << idx);
    return idx;
}

void cut(BulkCopy& copy, Schedule& schedule) {
    const uint32_t num_granules = copy.bytes / kGranule;
    const uint32_t wanted = schedule.num_pieces(std::min(kMaxPieces, num_granules));
    copy.piece_bytes = (num_granules + wanted - 1) / wanted * kGranule;
    const uint32_t num_pieces = (copy.bytes + copy.piece_bytes - 1) / copy.piece_bytes;
    copy.unwritten = (1u << num_pieces) - 1;
    copy.unread = copy.is_store ? copy.unwritten : 0;
    copy.patience = schedule.copy_patience();
}

/// What went wrong with the mbarrier of a load that is complete, or null.
const char* count_bytes(const BulkCopy& copy) {
    MbarrierState state;
    if (!MbarrierState::read(copy.mbarrier, state)) return "which was overwritten since";
    if (copy.block->num_phases_of(copy.mbarrier) != copy.phase_number) return "which was of an earlier phase";
    state.num_bytes -= static_cast<int32_t>(copy.bytes);
    if (state.num_bytes < -MbarrierState::kMaxBytes || (state.num_pending == 0 && state.num_bytes < 0)) {
        return "which expected fewer bytes";
    }
    const bool is_over = state.try_end_phase();
    state.write(copy.mbarrier);
    if (is_over) mbarrier_phase_ends(*copy.block, copy.mbarrier);
    return nullptr;
}

}  // namespace

void BulkGroups::commit() {
    if (groups.size() >= 16) {
        const auto is_live = [](Group group) { return group.num_invisible > 0; };
        const auto live = std::find_if(groups.begin(), groups.end(), is_live);
        first_number += static_cast<uint32_t>(live - groups.begin());
        groups.erase(groups.begin(), live);
    }
    groups.push_back({});
}

bool BulkGroups::are_done(uint32_t num_newest, bool read_only) const {
    for (std::size_t idx = 0; idx + 1 + num_newest < groups.size(); ++idx) {
        if ((read_only ? groups[idx].num_unread : groups[idx].num_invisible) > 0) return false;
    }
    return true;
}

BulkCopy& BulkCopies::add() {
    if (free_.empty()) {
        active_.push_back(std::make_unique<BulkCopy>());
    } else {
        active_.push_back(std::move(free_.back()));
        free_.pop_back();
    }
    return *active_.back();
}

void BulkCopies::remove(uint32_t idx) {
    std::swap(active_[idx], active_.back());
    free_.push_back(std::move(active_.back()));
    active_.pop_back();
}

void BulkCopies::clear() {
    for (auto& copy : active_) free_.push_back(std::move(copy));
    active_.clear();
}

BulkCopy& Engine::add_copy(const Fiber& owner) {
    BulkCopy& copy = copies_.add();
    copy.owner = fiber;
    copy.block = owner.block;
    copy.launch = owner.block->launch;
    copy.rank_idx = owner.rank_idx;
    copy.block_idx = owner.block_idx;
    copy.thread_idx = owner.thread_idx;
    ++copy.block->num_shared_copies;
    begin_flight(*copy.launch);
    return copy;
}

std::unique_ptr<BulkGroups> Engine::take_groups() {
    if (free_groups_.empty()) return std::make_unique<BulkGroups>();
    auto groups = std::move(free_groups_.back());
    free_groups_.pop_back();
    groups->groups.assign(1, {});
    groups->first_number = 0;
    return groups;
}

void Engine::give_back_groups(Fiber& owner) {
    free_groups_.emplace_back(std::exchange(owner.groups, nullptr));
}

/// Lets a few random copies make one move each, and a few stores land, as the schedule wants it.
void Engine::move_in_flight(bool is_idle) {
    flight_countdown_ = schedule.steps_to_flight();
    const bool has_stores = weak_memory != nullptr && weak_memory->num_flying() > 0;
    const Schedule::Flight flight = schedule.flight(!copies_.empty(), has_stores, is_idle);
    if (flight.stores) weak_memory->move();
    if (!flight.copies) return;
    for (uint32_t num_moves = 1 + copies_.size() / 64; num_moves > 0 && !copies_.empty(); --num_moves) {
        const uint32_t idx = schedule.below(copies_.size());
        if (copies_[idx].patience > 0) {
            --copies_[idx].patience;
        } else {
            move_copy(idx);
        }
    }
}

void Engine::move_copy(uint32_t idx) {
    BulkCopy& copy = copies_[idx];
    const auto wake_owner = [&] {
        if (copy.owner != nullptr && copy.owner->state == FiberState::on_copies) make_runnable(*copy.owner);
    };
    auto* to = static_cast<std::byte*>(copy.to.data);
    const auto* from = static_cast<const std::byte*>(copy.from.data);
    const bool reads = copy.unread != 0;
    const uint32_t begin = take_piece(reads ? copy.unread : copy.unwritten, schedule) * copy.piece_bytes;
    const uint32_t bytes = std::min(copy.piece_bytes, copy.bytes - begin);
    trace(uint64_t{reads} << 63 | uint64_t{begin} << 32 | trace_id_of(copy.rank_idx, copy.block_idx, copy.thread_idx));
    if (reads) {
        std::memcpy(copy.staging.data() + begin, from + begin, bytes);
        if (weak_memory != nullptr) weak_memory->see_async(copy, from + begin, bytes, copy.staging.data() + begin);
        if (copy.unread != 0) return;
        if (tracer != nullptr) tracer->copy_source_read(now(), copy.trace_number);
        --copy.block->num_shared_copies;
        copy.patience = weak_memory != nullptr ? weak_memory->patience() : schedule.copy_patience();
        if (copy.owner != nullptr) --copy.owner->groups->numbered(copy.group_number).num_unread;
        wake_owner();
        return;
    }
    if (weak_memory != nullptr) weak_memory->before_async_write(copy, to + begin, bytes);
    std::memcpy(to + begin, (copy.is_store ? copy.staging.data() : from) + begin, bytes);
    if (weak_memory != nullptr && !copy.is_store) weak_memory->see_async(copy, from + begin, bytes, to + begin);
    if (copy.is_store) notify_range(reinterpret_cast<uintptr_t>(to + begin), bytes);
    if (copy.unwritten != 0) return;
    if (tracer != nullptr) tracer->copy_visible(now(), copy.trace_number);
    if (copy.is_store) {
        if (copy.owner != nullptr) --copy.owner->groups->numbered(copy.group_number).num_invisible;
        wake_owner();
    } else {
        --copy.block->num_shared_copies;
        if (const char* problem = count_bytes(copy)) {
            char text[256];
            std::snprintf(text, sizeof text, "bulk_load of %u bytes counts on mbarrier \"%s\", %s", copy.bytes,
                          copy.mbarrier_name, problem);
            post_fault(FaultKind::barrier, copy.place, copy.rank_idx, copy.block_idx, copy.thread_idx, text);
        }
    }
    end_flight(*copy.launch);
    copies_.remove(idx);
}

void bulk_load(BulkEnd to, BulkEnd from, uint32_t bytes, void* mbarrier, const char* mbarrier_name, Place place) {
    yield();
    Fiber& self = *current->fiber;
    MbarrierState state;
    if (!MbarrierState::read(mbarrier, state)) {
        raise(FaultKind::barrier, place, "bulk_load on \"%s\", which was not initialised or was overwritten",
              mbarrier_name);
    }
    if (self.block->num_unfenced_mbarriers > 0) {
        raise(FaultKind::barrier, place, "bulk_load on \"%s\" before fence_mbarrier_init", mbarrier_name);
    }
    BulkCopy& copy = engine().add_copy(self);
    copy.is_store = false;
    copy.to = to;
    copy.from = from;
    copy.bytes = bytes;
    copy.mbarrier = mbarrier;
    copy.mbarrier_name = mbarrier_name;
    copy.phase_number = self.block->num_phases_of(mbarrier);
    copy.place = place;
    cut(copy, engine().schedule);
    engine().watch_issue(self, copy);
}

void bulk_store(BulkEnd to, BulkEnd from, uint32_t bytes, Place place) {
    yield();
    Fiber& self = *current->fiber;
    if (self.groups == nullptr) self.groups = engine().take_groups().release();
    BulkCopy& copy = engine().add_copy(self);
    copy.is_store = true;
    copy.to = to;
    copy.from = from;
    copy.bytes = bytes;
    copy.place = place;
    copy.staging.resize(bytes);
    copy.group_number = self.groups->open_number();
    BulkGroups::Group& group = self.groups->numbered(copy.group_number);
    ++group.num_unread;
    ++group.num_invisible;
    cut(copy, engine().schedule);
    engine().watch_issue(self, copy);
}

void bulk_commit_group() {
    Fiber& self = *current->fiber;
    if (self.groups == nullptr) self.groups = engine().take_groups().release();
    self.groups->commit();
}

void bulk_wait_group(uint32_t num_newest, bool read_only, Place place) {
    yield();
    Fiber& self = *current->fiber;
    if (self.groups == nullptr) return;
    const WaitNote note = plain_note(read_only ? "bulk_wait_group_read" : "bulk_wait_group", place);
    self.note = &note;
    while (!self.groups->are_done(num_newest, read_only)) {
        self.state = FiberState::on_copies;
        engine().park_fiber();
    }
    if (current->checker != nullptr) {
        const uint32_t open = self.groups->open_number();
        current->checker->groups_waited(self, open - std::min(open, num_newest), read_only, place);
    }
}

}  // namespace epgen::simt
