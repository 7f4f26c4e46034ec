// A group as a JavaScript object: unpack, call, pack.
#pragma once

#include <napi.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <unordered_map>

#include "addon/mailbox.hpp"
#include "addon/pending.hpp"
#include "runtime/group.hpp"

namespace epgen::addon {

class GroupObject : public Napi::ObjectWrap<GroupObject> {
public:
    static Napi::Function define(Napi::Env env);

    /// `info[0]`: RawGroupOptions of addon-types.ts
    explicit GroupObject(const Napi::CallbackInfo& info);
    ~GroupObject() override;

private:
    void assert_usable(const Napi::CallbackInfo& info);
    Napi::Value alloc(const Napi::CallbackInfo& info);
    void free(const Napi::CallbackInfo& info);
    void collect_garbage(const Napi::CallbackInfo& info);
    Napi::Value window_base(const Napi::CallbackInfo& info);
    Napi::Value arena_base(const Napi::CallbackInfo& info);
    Napi::Value write(const Napi::CallbackInfo& info);
    Napi::Value fill(const Napi::CallbackInfo& info);
    Napi::Value read(const Napi::CallbackInfo& info);
    void copy(const Napi::CallbackInfo& info);
    Napi::Value dispatch(const Napi::CallbackInfo& info);
    Napi::Value combine(const Napi::CallbackInfo& info);
    Napi::Value dispatch_layout(const Napi::CallbackInfo& info);
    Napi::Value expert_major(const Napi::CallbackInfo& info);
    Napi::Value expert_sum(const Napi::CallbackInfo& info);
    void ll_dispatch(const Napi::CallbackInfo& info);
    Napi::Value ll_combine(const Napi::CallbackInfo& info);
    void ll_stage(const Napi::CallbackInfo& info);
    Napi::Value synchronize(const Napi::CallbackInfo& info);
    void delay(const Napi::CallbackInfo& info);
    Napi::Value open_stream(const Napi::CallbackInfo& info);
    Napi::Value import_stream(const Napi::CallbackInfo& info);
    void close_stream(const Napi::CallbackInfo& info);
    Napi::Value record_event(const Napi::CallbackInfo& info);
    void wait_event(const Napi::CallbackInfo& info);
    Napi::Value begin_capture(const Napi::CallbackInfo& info);
    Napi::Value end_capture(const Napi::CallbackInfo& info);
    void cancel_capture(const Napi::CallbackInfo& info);
    void replay(const Napi::CallbackInfo& info);
    void free_graph(const Napi::CallbackInfo& info);
    void hold(const Napi::CallbackInfo& info);
    void release(const Napi::CallbackInfo& info);
    Napi::Value reset(const Napi::CallbackInfo& info);
    Napi::Value counters(const Napi::CallbackInfo& info);
    Napi::Value refusal(const Napi::CallbackInfo& info);
    Napi::Value cuda_calls(const Napi::CallbackInfo& info);
    Napi::Value stream(const Napi::CallbackInfo& info);
    Napi::Value event(const Napi::CallbackInfo& info);
    Napi::Value elapsed_ms(const Napi::CallbackInfo& info);
    void start_barrier(const Napi::CallbackInfo& info);
    Napi::Value dispose(const Napi::CallbackInfo& info);

    /// A promise for what `start` begins; an Error that it throws rejects the promise. `wanted` as in throwing_error.
    Napi::Value promise(Napi::Env env, const char* wanted, const std::function<void(Completion)>& start);
    void settle(Napi::Env env, uint64_t id, Outcome outcome);
    void tell_collector(Napi::Env env, uint64_t num_bytes);
    void close(bool environment_ends);
    static void environment_ends(void* self);

    std::unique_ptr<Group> group_;
    std::shared_ptr<Mailbox> mailbox_;
    std::unordered_map<uint64_t, Pending> pending_;
    uint64_t last_id_ = 0;
    int64_t told_bytes_ = 0;  // what the collector believes
    std::thread closer_;             // waits for the backend in dispose()
    Napi::ObjectReference closing_;  // the promise of dispose()
    bool closed_ = false;
};

}  // namespace epgen::addon
