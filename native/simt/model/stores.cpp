#include "simt/model/stores.hpp"

#include <utility>

namespace epgen::simt {

FlyingStore& FlyingStores::add(void* address) {
    if (free_.empty()) {
        active_.push_back(std::make_unique<FlyingStore>());
    } else {
        active_.push_back(std::move(free_.back()));
        free_.pop_back();
    }
    FlyingStore& store = *active_.back();
    store.address = static_cast<std::byte*>(address);
    store.idx = size() - 1;
    store.next = nullptr;
    Bucket& bucket = buckets_[bucket_idx(address)];
    (bucket.last == nullptr ? bucket.first : bucket.last->next) = &store;
    bucket.last = &store;
    return store;
}

void FlyingStores::remove(FlyingStore& store) {
    Bucket& bucket = buckets_[bucket_idx(store.address)];
    FlyingStore* previous = nullptr;
    for (FlyingStore* other = bucket.first; other != &store; other = other->next) previous = other;
    (previous == nullptr ? bucket.first : previous->next) = store.next;
    if (bucket.last == &store) bucket.last = previous;
    store.released = {};
    const uint32_t idx = store.idx;
    std::swap(active_[idx], active_.back());
    active_[idx]->idx = idx;
    free_.push_back(std::move(active_.back()));
    active_.pop_back();
}

void FlyingStores::clear() {
    while (!empty()) remove(*active_.back());
}

}  // namespace epgen::simt
