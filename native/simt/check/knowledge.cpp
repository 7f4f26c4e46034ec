#include "simt/check/knowledge.hpp"

#include <new>

namespace epgen::simt::check {

Known Known::nothing(Pool& pool) { return Known(new (pool.take(sizeof(Knowledge))) Knowledge); }

void Knowledge::carry_over(bool shared_only) {
    fenced[static_cast<uint32_t>(Fenced::shared)] = plane(Plane::thread);
    if (shared_only) return;
    fenced[static_cast<uint32_t>(Fenced::global)] = plane(Plane::thread);
    for (uint32_t idx = 0; idx < kNumAsyncPlanes; ++idx) carried[idx] = planes[idx + 1];
}

bool Knowledge::is_carried_over(bool shared_only) const {
    if (!fenced[static_cast<uint32_t>(Fenced::shared)].is_same(plane(Plane::thread))) return false;
    if (shared_only) return true;
    bool is_same = fenced[static_cast<uint32_t>(Fenced::global)].is_same(plane(Plane::thread));
    for (uint32_t idx = 0; idx < kNumAsyncPlanes; ++idx) is_same &= carried[idx].is_same(planes[idx + 1]);
    return is_same;
}

void Knowledge::leave_fences() {
    for (Clock& clock : fenced) clock = {};
    for (Clock& clock : carried) clock = {};
}

void Known::free() {
    shared_->~Knowledge();
    Pool::give_back(shared_, sizeof(Knowledge));
}

Knowledge& Known::own(Pool& pool) {
    if (shared_->num_refs > 1) {
        auto* copy = new (pool.take(sizeof(Knowledge))) Knowledge(*shared_);
        copy->num_refs = 0;
        *this = Known(copy);
    }
    return *shared_;
}

void Known::join(const Known& other, Pool& pool) {
    if (shared_ == other.shared_ || !other) return;
    if (shared_ == nullptr) {
        *this = other;
        return;
    }
    Knowledge joined = *shared_;
    bool is_mine = true;
    bool is_others = true;
    const auto join_part = [&](Clock& part, const Clock& mine, const Clock& others) {
        part.join(others, pool);
        is_mine &= part.is_same(mine);
        is_others &= part.is_same(others);
    };
    for (uint32_t idx = 0; idx < kNumPlanes; ++idx) {
        join_part(joined.planes[idx], shared_->planes[idx], other->planes[idx]);
    }
    for (uint32_t idx = 0; idx < kNumFenced; ++idx) {
        join_part(joined.fenced[idx], shared_->fenced[idx], other->fenced[idx]);
    }
    for (uint32_t idx = 0; idx < kNumAsyncPlanes; ++idx) {
        join_part(joined.carried[idx], shared_->carried[idx], other->carried[idx]);
    }
    if (is_mine) return;
    if (is_others) {
        *this = other;
        return;
    }
    joined.num_refs = 0;
    *this = Known(new (pool.take(sizeof(Knowledge))) Knowledge(std::move(joined)));
}

}  // namespace epgen::simt::check
