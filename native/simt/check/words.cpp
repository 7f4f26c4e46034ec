#include "simt/check/words.hpp"

#include <algorithm>

namespace epgen::simt::check {

void Words::store(uintptr_t address, uint32_t bytes, bool is_rmw, const ReleasedClock& released, Pool& pool) {
    if (!is_rmw) forget(address, bytes);
    if (released.order != Order::release && released.order != Order::relaxed) return;
    has_words_[page(address)] = true;
    Word& word = words_[address];
    if (word.bytes != bytes) word = {bytes, {}, {}};
    if (released.order == Order::relaxed) {
        word.relaxed = released;
        return;
    }
    const auto same = std::find_if(word.released.begin(), word.released.end(), [&](const ReleasedClock& other) {
        return other.scope == released.scope && reaches(other.scope, other.position, released.position);
    });
    if (same == word.released.end()) {
        word.released.push_back(released);
    } else {
        same->known.join(released.known, pool);
        same->place = released.place;
    }
}

void Words::forget(uintptr_t address, uint64_t bytes) {
    const uintptr_t end = address + bytes;
    for (uintptr_t at = address / kMaxBytes * kMaxBytes; at < end;) {
        if (!may_have(at)) {
            at = at / kPageBytes * kPageBytes + kPageBytes;
            continue;
        }
        const auto found = words_.find(at);
        if (found != words_.end() && at + found->second.bytes > address) {
            found->second.released.clear();
            found->second.relaxed = {};
        }
        at += kMinBytes;
    }
}

void Words::clear() {
    words_.clear();
    has_words_.assign(kNumPages, false);
}

}  // namespace epgen::simt::check
