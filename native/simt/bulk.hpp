// Bulk copies in flight: each is cut into pieces that move at random later steps, and done when its last one has.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "simt/core.hpp"

namespace epgen::simt {

struct Launch;

/// The bulk groups of one thread, oldest first; the last one is open. Numbered from 0 as the thread commits them.
struct BulkGroups {
    struct Group {
        uint32_t num_unread = 0;     // stores that still read their source
        uint32_t num_invisible = 0;  // stores that still write their destination
    };
    std::vector<Group> groups;
    uint32_t first_number = 0;

    BulkGroups() : groups(1) {}
    uint32_t open_number() const { return first_number + static_cast<uint32_t>(groups.size()) - 1; }
    Group& numbered(uint32_t number) { return groups[number - first_number]; }
    void commit();
    /// Whether all but the `num_newest` newest closed groups are complete, or have read their sources.
    bool are_done(uint32_t num_newest, bool read_only) const;
};

struct BulkCopy {
    bool is_store;
    Fiber* owner;  // null once it has ended
    Block* block;
    Launch* launch;
    BulkEnd to;
    BulkEnd from;
    uint32_t bytes;
    void* mbarrier;  // of a load
    const char* mbarrier_name;
    uint32_t phase_number;  // how many phases of the mbarrier had ended when it was issued
    uint32_t group_number;  // of a store
    Place place;
    uint32_t rank_idx;
    uint32_t block_idx;
    uint32_t thread_idx;
    uint64_t trace_number;  // where there is a tracer

    uint32_t piece_bytes;
    uint32_t unread;     // mask of the pieces that are still to be read into `staging`; loads have none
    uint32_t unwritten;  // mask of the pieces that are still to be written
    uint32_t patience;
    std::vector<std::byte> staging;

    const char* name() const { return is_store ? "bulk_store" : "bulk_load"; }
    bool uses_shared() const { return !is_store || unread != 0; }
};

/// Copies in flight, in no order, and their recycled records.
class BulkCopies {
public:
    bool empty() const { return active_.empty(); }
    uint32_t size() const { return static_cast<uint32_t>(active_.size()); }
    BulkCopy& operator[](uint32_t idx) { return *active_[idx]; }
    BulkCopy& add();
    void remove(uint32_t idx);
    void clear();

private:
    std::vector<std::unique_ptr<BulkCopy>> active_;
    std::vector<std::unique_ptr<BulkCopy>> free_;
};

}  // namespace epgen::simt
