// Stores that have left their thread and are not in memory yet.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "simt/access.hpp"
#include "simt/check/checker.hpp"
#include "simt/core.hpp"
#include "simt/model/origin.hpp"

namespace epgen::simt {

/// A store of up to 16 bytes, or an update of a word. Never crosses a multiple of 16.
struct FlyingStore {
    WriteOrigin origin;
    std::byte* address;
    uint32_t bytes;
    uint32_t home_rank_idx;
    bool is_update;
    Update update;
    bool is_fenced;  // a proxy fence came after it: the async proxy sees it as soon as threads do
    Scope scope;
    std::byte value[16];
    check::ReleasedClock released;
    std::optional<uint64_t> trace_number;
    uint32_t patience;  // how often it is passed over before it lands

    uint32_t idx;       // among all stores in flight
    FlyingStore* next;  // of the same bucket, issued later

    bool overlaps(const void* data, uint64_t num_bytes) const {
        const auto* other = static_cast<const std::byte*>(data);
        return address < other + num_bytes && other < address + bytes;
    }
    /// Performs it on a copy of its bytes.
    void apply(std::byte* copy) const {
        if (!is_update) {
            std::memcpy(copy, value, bytes);
            return;
        }
        uint32_t word, operand;
        std::memcpy(&word, copy, sizeof word);
        std::memcpy(&operand, value, sizeof operand);
        word = updated(update, word, operand);
        std::memcpy(copy, &word, sizeof word);
    }
    /// Performs it on memory.
    void land() const {
        std::byte after[sizeof value];
        std::memcpy(after, address, bytes);
        apply(after);
        write_words(address, after, bytes);
    }
};

/// All of them, and by address in the order in which they were issued.
class FlyingStores {
public:
    bool empty() const { return active_.empty(); }
    uint32_t size() const { return static_cast<uint32_t>(active_.size()); }
    FlyingStore& operator[](uint32_t idx) { return *active_[idx]; }
    /// A store to `address`, with everything else to be filled in.
    FlyingStore& add(void* address);
    void remove(FlyingStore& store);
    void clear();

    /// The oldest store that may touch the 16 bytes around `data`, and from there on `next`; null when there is none.
    FlyingStore* oldest_near(const void* data) const { return buckets_[bucket_idx(data)].first; }

private:
    static constexpr uint32_t kNumBucketBits = 12;
    struct Bucket {
        FlyingStore* first = nullptr;
        FlyingStore* last = nullptr;
    };
    static uint32_t bucket_idx(const void* data) {
        return static_cast<uint32_t>((reinterpret_cast<uintptr_t>(data) >> 4) * 0x9e3779b97f4a7c15u >>
                                     (64 - kNumBucketBits));
    }

    std::vector<Bucket> buckets_ = std::vector<Bucket>(1u << kNumBucketBits);
    std::vector<std::unique_ptr<FlyingStore>> active_;
    std::vector<std::unique_ptr<FlyingStore>> free_;
};

}  // namespace epgen::simt
