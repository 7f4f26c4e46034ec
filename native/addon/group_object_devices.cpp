#include "addon/group_object.hpp"
#include "addon/unpack_requests.hpp"

namespace epgen::addon {

// std::optional<std::string> Group::refusal(uint32_t rank_idx, uint64_t address, uint64_t num_bytes)
// refusal(rank: number, pointer: bigint, numBytes: number): string | null
Napi::Value GroupObject::refusal(const Napi::CallbackInfo& info) {
    return throwing_js(info.Env(), "look up an address", [&]() -> Napi::Value {
        const auto found = group_->refusal(unpack_uint32(info[0], "rank"), unpack_bigint(info[1], "pointer"),
                                           unpack_integer(info[2], "numBytes"));
        return found ? to_js(info.Env(), epgen::Value(*found)) : info.Env().Null();
    });
}

// std::vector<std::string> Group::device_calls()
// cudaCalls(): string[]
Napi::Value GroupObject::cuda_calls(const Napi::CallbackInfo& info) {
    return throwing_js(info.Env(), "list the calls of the driver", [&] {
        const std::vector<std::string> calls = group_->device_calls();
        return to_js(info.Env(), epgen::Value(epgen::Value::List(calls.begin(), calls.end())));
    });
}

// uint64_t Group::stream(uint32_t rank_idx, uint32_t stream_idx)
// stream(rank: number, stream?: number): bigint
Napi::Value GroupObject::stream(const Napi::CallbackInfo& info) {
    return throwing_js(info.Env(), "find the stream of a rank", [&]() -> Napi::Value {
        return Napi::BigInt::New(info.Env(),
                                 group_->stream(unpack_uint32(info[0], "rank"), unpack_stream(info[1])));
    });
}

// uint32_t Group::record_time(uint32_t rank_idx)
// event(rank: number): number
Napi::Value GroupObject::event(const Napi::CallbackInfo& info) {
    return throwing_js(info.Env(), "record a time", [&]() -> Napi::Value {
        return Napi::Number::New(info.Env(), group_->record_time(unpack_uint32(info[0], "rank")));
    });
}

// float Group::elapsed_ms(uint32_t rank_idx, uint32_t from_event_idx, uint32_t to_event_idx)
// elapsedMs(rank: number, from: number, to: number): number
Napi::Value GroupObject::elapsed_ms(const Napi::CallbackInfo& info) {
    return throwing_js(info.Env(), "read a time", [&]() -> Napi::Value {
        const float elapsed = group_->elapsed_ms(unpack_uint32(info[0], "rank"), unpack_uint32(info[1], "from"),
                                                 unpack_uint32(info[2], "to"));
        return Napi::Number::New(info.Env(), elapsed);
    });
}

// void Group::start_barrier()
// startBarrier(): void
void GroupObject::start_barrier(const Napi::CallbackInfo& info) {
    throwing_js(info.Env(), "enqueue a barrier", [&] { group_->start_barrier(); });
}

}  // namespace epgen::addon
