#include <algorithm>
#include <utility>

#include "runtime/expect.hpp"
#include "runtime/group.hpp"

namespace epgen {
namespace {

uint64_t address_of(const std::byte* pointer) {
    return reinterpret_cast<uint64_t>(pointer);
}

}  // namespace

RankState& Group::rank_at(uint32_t rank_idx) {
    require_open();
    expect_within("rank", rank_idx, 0, module_.num_ranks - 1);
    return ranks_[rank_idx];
}

bool Group::is_in_window(const RankState& rank, const Module& module, uint64_t address, uint64_t num_bytes) {
    return std::ranges::any_of(rank.memory.windows, [&](const WindowMemory& window) {
        const uint64_t offset = address - address_of(window.data);
        return offset < module.window_bytes && num_bytes <= module.window_bytes - offset;
    });
}

/// The rank, with a stream that it has.
RankState& Group::rank_with(uint32_t rank_idx, uint32_t stream_idx) {
    RankState& rank = rank_at(rank_idx);
    if (!rank.streams.is_open(stream_idx)) {
        refuse("stream", "a stream of rank " + std::to_string(rank_idx), std::to_string(stream_idx));
    }
    return rank;
}

/// The memory at a device address of this rank: within one live block of its arena, or within one of its windows.
std::byte* Group::memory_at(const RankState& rank, const char* name, uint64_t address, uint64_t num_bytes,
                            uint64_t alignment) const {
    if (num_bytes == 0) return nullptr;
    if (!is_in_window(rank, module_, address, num_bytes) && !rank.arena.contains(address, num_bytes)) {
        const auto found = backend_->refusal(rank.rank_idx, address, num_bytes);
        if (found) {
            refuse(name,
                   std::to_string(num_bytes) + " bytes in one tensor or in the window of rank " +
                       std::to_string(rank.rank_idx),
                   address_text(address) + ", which is " + *found);
        }
    }
    if (address % alignment != 0) {
        refuse(name, "aligned to " + std::to_string(alignment) + " bytes", address_text(address));
    }
    return reinterpret_cast<std::byte*>(address);
}

uint64_t Group::allocate(uint32_t rank_idx, uint64_t num_bytes) {
    const std::lock_guard lock(mutex_);
    RankState& rank = rank_at(rank_idx);
    const auto address = rank.arena.allocate(num_bytes);
    if (!address) {
        refuse("bytes", "free in one piece in the arena of rank " + std::to_string(rank_idx) + " (" +
                            std::to_string(rank.arena.num_free_bytes()) + " of " +
                            std::to_string(module_.arena_bytes) + " bytes are free: arena full)",
               std::to_string(num_bytes));
    }
    return *address;
}

void Group::free(uint32_t rank_idx, uint64_t address) {
    const std::lock_guard lock(mutex_);
    RankState& rank = rank_at(rank_idx);
    if (!rank.arena.release(address)) {
        refuse("pointer", "the start of a block of rank " + std::to_string(rank_idx), address_text(address));
    }
    rank.ll_sends.forget(address);
}

std::optional<std::string> Group::refusal(uint32_t rank_idx, uint64_t address, uint64_t num_bytes) {
    const std::lock_guard lock(mutex_);
    const RankState& rank = rank_at(rank_idx);
    if (rank.arena.contains(address, num_bytes)) return std::nullopt;
    if (is_in_window(rank, module_, address, num_bytes)) return std::nullopt;
    return backend_->refusal(rank_idx, address, num_bytes);
}

uint64_t Group::num_arena_bytes_in_use() {
    const std::lock_guard lock(mutex_);
    if (state_ == State::disposed) return 0;
    uint64_t num_bytes = 0;
    for (const RankState& rank : ranks_) num_bytes += module_.arena_bytes - rank.arena.num_free_bytes();
    return num_bytes;
}

uint64_t Group::window_base(uint32_t rank_idx, uint32_t window_idx) {
    const std::lock_guard lock(mutex_);
    const RankState& rank = rank_at(rank_idx);
    expect_within("window", window_idx, 0, rank.memory.windows.size() - 1);
    return address_of(rank.memory.windows[window_idx].data);
}

uint64_t Group::arena_base(uint32_t rank_idx) {
    const std::lock_guard lock(mutex_);
    return address_of(rank_at(rank_idx).memory.arena);
}

void Group::accept_transfer(RankState& rank, uint32_t stream_idx, Completion completion,
                            std::function<void(uint32_t)> append) {
    require_usable(rank, static_cast<bool>(completion));
    // Nobody is told when what is on a stream that was opened ends.
    const bool has_end = stream_idx <= comm_stream(options_.num_windows - 1);
    const auto kind = has_end ? OperationKind::transfer : OperationKind::mark;
    auto operation = make_operation(kind, rank, std::move(completion));
    operation->append = [this, stream_idx, has_end, append = std::move(append)](const OperationPtr& self) {
        append(self->rank_idx);
        if (has_end) backend_->reached(self->rank_idx, stream_idx, end_of(self));
    };
    accept(rank, std::move(operation));
}

void Group::write(uint32_t rank_idx, uint64_t address, std::span<const std::byte> bytes, Completion completion) {
    // Copied before the lock is taken: it may be much.
    auto data = std::make_unique_for_overwrite<std::byte[]>(bytes.size());
    const auto copy = std::make_shared<HostBytes>(std::move(data), bytes.size());
    std::ranges::copy(bytes, copy->data.get());
    const std::lock_guard lock(mutex_);
    RankState& rank = rank_at(rank_idx);
    std::byte* to = memory_at(rank, "pointer", address, bytes.size());
    accept_transfer(rank, kMainStream, std::move(completion), [this, to, copy](uint32_t rank_idx) {
        if (to) backend_->upload(rank_idx, to, std::move(*copy));
    });
}

void Group::fill(uint32_t rank_idx, uint64_t address, uint64_t num_bytes, uint8_t value, Completion completion) {
    const std::lock_guard lock(mutex_);
    RankState& rank = rank_at(rank_idx);
    std::byte* to = memory_at(rank, "pointer", address, num_bytes);
    accept_transfer(rank, kMainStream, std::move(completion), [this, to, num_bytes, value](uint32_t rank_idx) {
        if (to) backend_->fill(rank_idx, to, num_bytes, value);
    });
}

void Group::read(uint32_t rank_idx, uint64_t address, uint64_t num_bytes, Completion completion) {
    const std::lock_guard lock(mutex_);
    RankState& rank = rank_at(rank_idx);
    const std::byte* from = memory_at(rank, "pointer", address, num_bytes);
    require_usable(rank, true);
    auto operation = make_operation(OperationKind::transfer, rank, std::move(completion));
    operation->append = [this, from, num_bytes](const OperationPtr& self) {
        backend_->download(self->rank_idx, from, num_bytes,
                           [this, self](bool done, HostBytes bytes) { ended(self, done, std::move(bytes)); });
    };
    accept(rank, std::move(operation));
}

void Group::copy(uint32_t rank_idx, uint32_t stream_idx, uint64_t to, uint64_t from, uint64_t num_bytes) {
    const std::lock_guard lock(mutex_);
    RankState& rank = rank_with(rank_idx, stream_idx);
    std::byte* target = memory_at(rank, "to", to, num_bytes);
    const std::byte* source = memory_at(rank, "from", from, num_bytes);
    if (capture_ && target) {
        return capture_steps(captured_part(rank, stream_idx), {GraphCopy{target, source, num_bytes}}, nullptr);
    }
    accept_transfer(rank, stream_idx, nullptr, [this, stream_idx, target, source, num_bytes](uint32_t rank_idx) {
        if (target) backend_->copy(rank_idx, stream_idx, target, source, num_bytes);
    });
}

void Group::delay(uint32_t rank_idx, uint32_t stream_idx, uint64_t ns) {
    const std::lock_guard lock(mutex_);
    accept_transfer(rank_with(rank_idx, stream_idx), stream_idx, nullptr,
                    [this, stream_idx, ns](uint32_t rank_idx) { backend_->delay(rank_idx, stream_idx, ns); });
}

void Group::synchronize(uint32_t rank_idx, Completion completion) {
    const std::lock_guard lock(mutex_);
    accept_transfer(rank_at(rank_idx), kMainStream, std::move(completion), [](uint32_t) {});
}

}  // namespace epgen
