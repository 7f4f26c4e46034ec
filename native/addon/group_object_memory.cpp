// Memory of ranks: arena, window, and what moves bytes in and out.
#include <span>
#include <utility>

#include "addon/group_object.hpp"
#include "addon/unpack.hpp"

namespace epgen::addon {

// uint64_t Group::allocate(uint32_t rank_idx, uint64_t num_bytes)
// alloc(rank: number, bytes: number): bigint
Napi::Value GroupObject::alloc(const Napi::CallbackInfo& info) {
    return throwing_js(info.Env(), "allocate memory of the arena", [&]() -> Napi::Value {
        const uint64_t address = group_->allocate(unpack_rank(info), unpack_integer(info[1], "bytes"));
        tell_collector(info.Env(), group_->num_arena_bytes_in_use());
        return Napi::BigInt::New(info.Env(), address);
    });
}

// void Group::free(uint32_t rank_idx, uint64_t address)
// free(rank: number, pointer: bigint): void
void GroupObject::free(const Napi::CallbackInfo& info) {
    throwing_js(info.Env(), "free memory of the arena", [&] {
        group_->free(unpack_rank(info), unpack_bigint(info[1], "pointer"));
        tell_collector(info.Env(), group_->num_arena_bytes_in_use());
    });
}

/// Tells the collector of memory that it doesn't see: blocks go back when JavaScript forgets what refers to them.
void GroupObject::tell_collector(Napi::Env env, uint64_t num_bytes) {
    const auto told = static_cast<int64_t>(num_bytes);
    Napi::MemoryManagement::AdjustExternalMemory(env, told - told_bytes_);
    told_bytes_ = told;
}

// collectGarbage(): void
void GroupObject::collect_garbage(const Napi::CallbackInfo& info) {
    // More than any heap may grow to: V8 then collects before it returns, as it would under real pressure.
    constexpr int64_t kTooMuch = int64_t{1} << 46;
    // Twice: a collection that was under way already keeps what it had marked before.
    for (int i = 0; i < 2; ++i) {
        Napi::MemoryManagement::AdjustExternalMemory(info.Env(), kTooMuch);
        Napi::MemoryManagement::AdjustExternalMemory(info.Env(), -kTooMuch);
    }
}

// uint64_t Group::window_base(uint32_t rank_idx, uint32_t window_idx)
// windowBase(rank: number, window?: number): bigint
Napi::Value GroupObject::window_base(const Napi::CallbackInfo& info) {
    return throwing_js(info.Env(), "locate the window", [&]() -> Napi::Value {
        return Napi::BigInt::New(info.Env(), group_->window_base(unpack_rank(info),
                                                                     unpack_optional_uint32(info[1], "window", 0)));
    });
}

// uint64_t Group::arena_base(uint32_t rank_idx)
// arenaBase(rank: number): bigint
Napi::Value GroupObject::arena_base(const Napi::CallbackInfo& info) {
    return throwing_js(info.Env(), "locate the arena", [&]() -> Napi::Value {
        return Napi::BigInt::New(info.Env(), group_->arena_base(unpack_rank(info)));
    });
}

// void Group::write(uint32_t rank_idx, uint64_t address, std::span<const std::byte> bytes, Completion completion)
// write(rank: number, pointer: bigint, bytes: Uint8Array): Promise<void>
Napi::Value GroupObject::write(const Napi::CallbackInfo& info) {
    return promise(info.Env(), "enqueue a write", [&](Completion completion) {
        const Napi::Uint8Array bytes = unpack_bytes(info[2], "bytes");
        group_->write(unpack_rank(info), unpack_bigint(info[1], "pointer"),
                      std::as_bytes(std::span(bytes.Data(), bytes.ByteLength())), std::move(completion));
    });
}

// void Group::fill(uint32_t rank_idx, uint64_t address, uint64_t num_bytes, uint8_t value, Completion completion)
// fill(rank: number, pointer: bigint, numBytes: number, value: number): Promise<void>
Napi::Value GroupObject::fill(const Napi::CallbackInfo& info) {
    return promise(info.Env(), "enqueue a fill", [&](Completion completion) {
        group_->fill(unpack_rank(info), unpack_bigint(info[1], "pointer"), unpack_integer(info[2], "numBytes"),
                     static_cast<uint8_t>(unpack_integer(info[3], "value", 255)), std::move(completion));
    });
}

// void Group::read(uint32_t rank_idx, uint64_t address, uint64_t num_bytes, Completion completion)
// read(rank: number, pointer: bigint, numBytes: number): Promise<ArrayBuffer>
Napi::Value GroupObject::read(const Napi::CallbackInfo& info) {
    return promise(info.Env(), "enqueue a read", [&](Completion completion) {
        group_->read(unpack_rank(info), unpack_bigint(info[1], "pointer"), unpack_integer(info[2], "numBytes"),
                     std::move(completion));
    });
}

// void Group::copy(uint32_t rank_idx, uint32_t stream_idx, uint64_t to, uint64_t from, uint64_t num_bytes)
// copy(rank: number, to: bigint, from: bigint, numBytes: number, stream?: number): void
void GroupObject::copy(const Napi::CallbackInfo& info) {
    throwing_js(info.Env(), "enqueue a copy", [&] {
        group_->copy(unpack_rank(info), unpack_stream(info[4]), unpack_bigint(info[1], "to"),
                     unpack_bigint(info[2], "from"), unpack_integer(info[3], "numBytes"));
    });
}

}  // namespace epgen::addon
