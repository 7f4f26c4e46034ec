#include "verify/results.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>

#include "verify/sequence_memory.hpp"

namespace epgen::verify {

namespace {

std::string hex(const std::byte* data, uint64_t bytes) {
    std::string text = "0x";
    for (uint64_t i = bytes; i-- > 0;) {
        char digits[4];
        std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(data[i]));
        text += digits;
    }
    return text;
}

bool is_poison(const std::byte* data, uint64_t bytes) {
    return std::all_of(data, data + bytes, [](std::byte byte) { return byte == std::byte{kPoison}; });
}

}  // namespace

void Results::compare_later(simt::Machine& machine, const std::byte* seen, const ExpectedBytes& expected) {
    const uint64_t bytes = expected.bytes + expected.poison_bytes;
    if (bytes == 0) return;
    if (num_expected_ == expected_.size()) expected_.emplace_back();
    ExpectedBytes& kept = expected_[num_expected_++] = expected;
    const auto compare_kept = [this, &kept](simt::Status status, simt::Bytes read) {
        if (status != simt::Status::done) return;
        ++num_compared_;
        compare(kept, read.data.get());
    };
    machine.enqueue(expected.rank_idx, simt::Download{seen, bytes, compare_kept});
}

void Results::compare_after() {
    if (num_compared_ == num_expected_) return;
    findings_.add_data(0, "all calls",
                       std::to_string(num_compared_) + " of " + std::to_string(num_expected_) + " results were compared",
                       "results");
}

void Results::compare(const ExpectedBytes& expected, const std::byte* seen) {
    const auto* data = static_cast<const std::byte*>(expected.data);
    const uint64_t width = expected.element_bytes;
    if (expected.bytes > 0 && std::memcmp(seen, data, expected.bytes) != 0) {
        const uint64_t byte = std::mismatch(seen, seen + expected.bytes, data).first - seen;
        const uint64_t element = byte / width * width;
        const bool was_never_written = is_poison(seen + element, width);
        return add(expected, std::string(expected.what) + "[" + std::to_string(element / expected.row_bytes) + "][" +
                                 std::to_string(element % expected.row_bytes / width) + "]: expected " +
                                 hex(data + element, width) + " but received " + hex(seen + element, width) +
                                 (was_never_written ? ", which was there before the call" : ""));
    }
    if (!is_poison(seen + expected.bytes, expected.poison_bytes)) {
        add(expected, std::string(expected.what) + " was written behind its " +
                          std::to_string(expected.bytes / expected.row_bytes) + " rows");
    }
}

void Results::add(const ExpectedBytes& expected, const std::string& text) {
    const std::string call = expected.order != nullptr  ? *expected.order
                             : expected.call != nullptr ? findings_.call_text(expected.call_idx)
                                                        : "dispatchLayout before call " +
                                                              std::to_string(expected.call_idx + 1);
    findings_.add_data(expected.rank_idx, call, text, expected.what);
}

}  // namespace epgen::verify
