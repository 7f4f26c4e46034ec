#include "simt/model/weak_memory.hpp"

#include <algorithm>
#include <cstring>

#include "simt/bulk.hpp"
#include "simt/engine.hpp"

namespace epgen::simt {

namespace {

constexpr uint64_t kSeedOfModel = 0x6d656d6f7279;

bool is_by(const WriteOrigin& write, const Fiber& fiber) {
    return write.block == fiber.block && write.thread_idx == fiber.thread_idx;
}

bool is_same_thread(const WriteOrigin& a, const WriteOrigin& b) {
    return a.thread_idx == b.thread_idx && a.rank_idx == b.rank_idx && a.block == b.block;
}

}  // namespace

WeakMemory::WeakMemory(uint64_t seed, uint32_t num_ranks) : random_(seed ^ kSeedOfModel), old_bytes_(num_ranks) {}

uint32_t WeakMemory::home_of(const void* address) const {
    const auto* byte = static_cast<const std::byte*>(address);
    for (const MemoryRegion& region : regions_) {
        const auto* data = static_cast<const std::byte*>(region.data);
        if (byte >= data && byte < data + region.bytes) return region.rank_idx;
    }
    return kNowhere;
}

OldByteList* WeakMemory::old_bytes_at(const void* address) {
    const uint32_t home = home_of(address);
    return home == kNowhere ? nullptr : &old_bytes_[home];
}

/// Lands the stores that satisfy the predicate, oldest first.
template <class Predicate>
void WeakMemory::land_if(Predicate predicate) {
    if (stores_.empty()) return;
    to_land_.clear();
    for (uint32_t idx = 0; idx < stores_.size(); ++idx) {
        if (predicate(stores_[idx])) to_land_.push_back(&stores_[idx]);
    }
    std::sort(to_land_.begin(), to_land_.end(), [](const FlyingStore* a, const FlyingStore* b) {
        return a->origin.number < b->origin.number;
    });
    for (FlyingStore* store : to_land_) land(*store);
}

template <class Predicate>
void WeakMemory::land_near(const void* address, uint32_t bytes, Predicate predicate) {
    for (FlyingStore* store = stores_.oldest_near(address); store != nullptr;) {
        FlyingStore* next = store->next;
        if (store->overlaps(address, bytes) && predicate(*store)) land(*store);
        store = next;
    }
}

// Blocks and kernels

void WeakMemory::block_starts(Block& block) {
    if (block.model == nullptr) block.model = std::make_unique<BlockModel>();
    block.model->knowledge = BlockKnowledge(block.num_threads());
    block.model->old_shared.clear();
}

void WeakMemory::block_ends(Block& block) {
    const auto detach = [&block](WriteOrigin& write) {
        if (write.block != &block) return;
        write.is_published |= block.model->knowledge.is_published(write);
        write.block = nullptr;
    };
    for (uint32_t idx = 0; idx < stores_.size(); ++idx) detach(stores_[idx].origin);
    for (OldByteList& list : old_bytes_) list.for_each_origin(detach);
}

void WeakMemory::kernel_ends(const Launch& launch) {
    for (OldByteList& list : old_bytes_) {
        list.forget_if([&launch](const OldBytes& old) { return old.origin.launch == &launch; });
    }
}

void WeakMemory::forget_kernels() {
    stores_.clear();
    for (OldByteList& list : old_bytes_) list.clear();
}

// Threads

WriteOrigin WeakMemory::origin_of(const Fiber& writer) {
    return {num_writes_++, writer.block->launch, writer.block, writer.rank_idx, writer.thread_idx, false};
}

bool WeakMemory::knows(const Fiber& fiber, const WriteOrigin& write) const {
    if (write.is_published) return true;
    if (write.block == nullptr) return false;
    const BlockKnowledge& knowledge = write.block->model->knowledge;
    return write.block == fiber.block ? knowledge.knows(fiber.thread_idx, write) : knowledge.is_published(write);
}

void WeakMemory::see(const Fiber& reader, const void* address, uint32_t bytes, void* value) const {
    if (stores_.empty()) return;
    const auto* data = static_cast<const std::byte*>(address);
    auto* copy = static_cast<std::byte*>(value);
    for (const FlyingStore* store = stores_.oldest_near(address); store != nullptr; store = store->next) {
        if (!store->overlaps(address, bytes) || !knows(reader, *store)) continue;
        const std::byte* begin = std::max<const std::byte*>(store->address, data);
        const std::byte* end = std::min<const std::byte*>(store->address + store->bytes, data + bytes);
        if (!store->is_update) {
            std::memcpy(copy + (begin - data), store->value + (begin - store->address), end - begin);
        } else if (begin == store->address && end == store->address + store->bytes) {
            store->apply(copy + (begin - data));
        }
    }
}

const FlyingStore* WeakMemory::newest_store(const Fiber& reader, const void* address, uint32_t bytes) const {
    const FlyingStore* newest = nullptr;
    for (const FlyingStore* store = stores_.oldest_near(address); store != nullptr; store = store->next) {
        if (!store->is_update && store->overlaps(address, bytes) && knows(reader, *store)) newest = store;
    }
    return newest;
}

void WeakMemory::before_write(const Fiber& writer, const Access& access) {
    const bool is_shared = access.space == Space::shared;
    if (!is_shared) {
        land_near(access.address, access.bytes, [&](const FlyingStore& store) { return knows(writer, store); });
    }
    OldByteList* list = is_shared ? &model_of(writer).old_shared : old_bytes_at(access.address);
    if (list != nullptr) list->add(origin_of(writer), static_cast<const std::byte*>(access.address), access.bytes);
}

void WeakMemory::release(const Fiber& writer, Scope scope, uint32_t home_rank_idx) {
    BlockKnowledge& knowledge = model_of(writer).knowledge;
    if (scope == Scope::block) {
        knowledge.tell_block(writer.thread_idx, num_writes_);
        return;
    }
    if (scope == Scope::sys) {
        land_if([&](const FlyingStore& store) { return knows(writer, store); });
    } else if (home_rank_idx == writer.rank_idx) {
        // Threads of this device see what is in its memory; what is on its way elsewhere, nobody has to see yet.
        land_if([&](const FlyingStore& store) {
            return store.home_rank_idx == writer.rank_idx && knows(writer, store);
        });
    }
    knowledge.tell_device(writer.thread_idx, num_writes_);
}

FlyingStore& WeakMemory::issue(const Fiber& writer, const Access& access, const void* value) {
    land_near(access.address, access.bytes, [&](const FlyingStore& store) {
        return !is_by(store.origin, writer) && knows(writer, store);
    });
    FlyingStore& store = stores_.add(const_cast<void*>(access.address));
    store.origin = origin_of(writer);
    store.bytes = access.bytes;
    store.home_rank_idx = home_of(access.address);
    store.is_update = access.kind == AccessKind::read_modify_write;
    store.is_fenced = false;
    store.scope = access.scope;
    std::memcpy(store.value, value, access.bytes);
    store.patience = patience();
    engine().begin_flight(*store.origin.launch);
    return store;
}

void WeakMemory::fence_proxy_async(const Fiber& fiber, bool shared_only) {
    const auto is_told = [&](const OldBytes& old) { return knows(fiber, old.origin); };
    model_of(fiber).old_shared.forget_if(is_told);
    if (shared_only) return;
    for (OldByteList& list : old_bytes_) list.forget_if(is_told);
    for (uint32_t idx = 0; idx < stores_.size(); ++idx) {
        FlyingStore& store = stores_[idx];
        store.is_fenced = store.is_fenced || knows(fiber, store);
    }
}

// Bulk copies

void WeakMemory::issue(const Fiber& issuer, const BulkCopy& copy) {
    const void* global = copy.is_store ? copy.to.data : copy.from.data;
    land_if([&](const FlyingStore& store) {
        return store.overlaps(global, copy.bytes) && knows(issuer, store);
    });
}

void WeakMemory::see_async(const BulkCopy& copy, const void* from, uint32_t bytes, void* value) {
    const OldByteList* list = copy.is_store ? &copy.block->model->old_shared : old_bytes_at(from);
    if (list == nullptr) return;
    list->restore(static_cast<const std::byte*>(from), bytes, static_cast<std::byte*>(value), random_);
}

void WeakMemory::before_async_write(const BulkCopy& copy, const void* to, uint32_t bytes) {
    OldByteList* list = copy.is_store ? old_bytes_at(to) : &copy.block->model->old_shared;
    if (list == nullptr) return;
    const auto* data = static_cast<const std::byte*>(to);
    list->forget_if([&](const OldBytes& old) { return old.overlaps(data, bytes); });
}

// Time

uint32_t WeakMemory::patience() {
    const uint32_t draw = random_.below(16);
    return draw < 8 ? 0 : random_.below(draw < 12 ? 8 : draw < 15 ? 64 : 512);
}

void WeakMemory::move() {
    for (uint32_t num_moves = 1 + stores_.size() / 16; num_moves > 0 && !stores_.empty(); --num_moves) {
        FlyingStore& store = stores_[random_.below(stores_.size())];
        if (store.patience > 0) {
            --store.patience;
        } else {
            land(store);
        }
    }
}

void WeakMemory::land(FlyingStore& store) {
    for (FlyingStore* older = stores_.oldest_near(store.address); older != &store;) {
        FlyingStore* next = older->next;
        if (older->overlaps(store.address, store.bytes) && is_same_thread(older->origin, store.origin)) land(*older);
        older = next;
    }
    if (!store.is_fenced && store.home_rank_idx != kNowhere) {
        old_bytes_[store.home_rank_idx].add(store.origin, store.address, store.bytes);
    }
    store.land();
    engine().store_lands(store);
    stores_.remove(store);
}

}  // namespace epgen::simt
