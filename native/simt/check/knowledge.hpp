// What a thread knows to have happened, and what it hands on when it releases. Immutable and shared once made.
#pragma once

#include <cstdint>
#include <utility>

#include "simt/check/clock.hpp"

namespace epgen::simt::check {

/// What is counted: a thread's own accesses by its releases; the source reads and the writes of its bulk stores by
/// group; the bulk loads of an mbarrier by phase.
enum class Plane : uint8_t { thread, bulk_source, bulk_write, mbarrier };
constexpr uint32_t kNumPlanes = 4;
constexpr uint32_t kNumAsyncPlanes = 3;  // all but that of threads

/// Which memory a proxy fence covers.
enum class Fenced : uint8_t { global, shared };
constexpr uint32_t kNumFenced = 2;

struct Knowledge {
    uint32_t num_refs = 0;
    Clock planes[kNumPlanes];
    // The parts that a proxy fence of this block has carried over to its copies: what threads did, by the memory that
    // the fence covers, and what copies did, which those of other blocks need. A fence is nothing to other blocks.
    Clock fenced[kNumFenced];
    Clock carried[kNumAsyncPlanes];

    Clock& plane(Plane plane) { return planes[static_cast<uint32_t>(plane)]; }
    const Clock& plane(Plane plane) const { return planes[static_cast<uint32_t>(plane)]; }
    const Clock& carried_of(Plane plane) const { return carried[static_cast<uint32_t>(plane) - 1]; }
    /// What a fence does.
    void carry_over(bool shared_only);
    bool is_carried_over(bool shared_only) const;
    /// What a release to other blocks leaves out.
    void leave_fences();
};

/// A share in a Knowledge; may be empty.
class Known {
public:
    Known() = default;
    explicit Known(Knowledge* shared) : shared_(shared) {
        if (shared_ != nullptr) ++shared_->num_refs;
    }
    Known(const Known& other) : Known(other.shared_) {}
    Known(Known&& other) noexcept : shared_(std::exchange(other.shared_, nullptr)) {}
    Known& operator=(Known other) noexcept {
        std::swap(shared_, other.shared_);
        return *this;
    }
    ~Known() {
        if (shared_ != nullptr && --shared_->num_refs == 0) free();
    }

    static Known nothing(Pool& pool);
    explicit operator bool() const { return shared_ != nullptr; }
    const Knowledge* operator->() const { return shared_; }
    const Knowledge& operator*() const { return *shared_; }
    bool operator==(const Known& other) const { return shared_ == other.shared_; }
    const Knowledge* get() const { return shared_; }

    /// To change; nobody else sees the change.
    Knowledge& own(Pool& pool);
    void join(const Known& other, Pool& pool);

private:
    void free();
    Knowledge* shared_ = nullptr;
};

}  // namespace epgen::simt::check
