#include "addon/group_object.hpp"
#include "addon/unpack_requests.hpp"

namespace epgen::addon {

// uint32_t Group::open_stream(uint32_t rank_idx)
// openStream(rank: number): number
Napi::Value GroupObject::open_stream(const Napi::CallbackInfo& info) {
    return throwing_js(info.Env(), "open a stream", [&]() -> Napi::Value {
        return Napi::Number::New(info.Env(), group_->open_stream(unpack_rank(info)));
    });
}

// uint32_t Group::import_stream(uint32_t rank_idx, uint64_t pointer)
// importStream(rank: number, pointer: bigint): number
Napi::Value GroupObject::import_stream(const Napi::CallbackInfo& info) {
    return throwing_js(info.Env(), "use a stream", [&]() -> Napi::Value {
        return Napi::Number::New(info.Env(),
                                 group_->import_stream(unpack_rank(info), unpack_bigint(info[1], "pointer")));
    });
}

// void Group::close_stream(uint32_t rank_idx, uint32_t stream_idx)
// closeStream(rank: number, stream: number): void
void GroupObject::close_stream(const Napi::CallbackInfo& info) {
    throwing_js(info.Env(), "close a stream",
                [&] { group_->close_stream(unpack_rank(info), unpack_uint32(info[1], "stream")); });
}

// uint64_t Group::record_event(uint32_t rank_idx, uint32_t stream_idx)
// recordEvent(rank: number, stream: number): number
Napi::Value GroupObject::record_event(const Napi::CallbackInfo& info) {
    return throwing_js(info.Env(), "record an event", [&]() -> Napi::Value {
        const uint64_t event = group_->record_event(unpack_rank(info), unpack_uint32(info[1], "stream"));
        return Napi::Number::New(info.Env(), static_cast<double>(event));
    });
}

// void Group::wait_event(uint32_t rank_idx, uint32_t stream_idx, uint64_t event)
// waitEvent(rank: number, stream: number, event: number): void
void GroupObject::wait_event(const Napi::CallbackInfo& info) {
    throwing_js(info.Env(), "wait for an event", [&] {
        group_->wait_event(unpack_rank(info), unpack_uint32(info[1], "stream"), unpack_integer(info[2], "event"));
    });
}

}  // namespace epgen::addon
