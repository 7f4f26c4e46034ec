#include "addon/group_object.hpp"

#include <system_error>
#include <utility>

#include "addon/unpack.hpp"
#include "addon/unpack_requests.hpp"

namespace epgen::addon {

Napi::Function GroupObject::define(Napi::Env env) {
    return DefineClass(env, "RawGroup",
                       {
                           InstanceMethod<&GroupObject::assert_usable>("assertUsable"),
                           InstanceMethod<&GroupObject::alloc>("alloc"),
                           InstanceMethod<&GroupObject::free>("free"),
                           InstanceMethod<&GroupObject::collect_garbage>("collectGarbage"),
                           InstanceMethod<&GroupObject::window_base>("windowBase"),
                           InstanceMethod<&GroupObject::arena_base>("arenaBase"),
                           InstanceMethod<&GroupObject::write>("write"),
                           InstanceMethod<&GroupObject::fill>("fill"),
                           InstanceMethod<&GroupObject::read>("read"),
                           InstanceMethod<&GroupObject::copy>("copy"),
                           InstanceMethod<&GroupObject::dispatch>("dispatch"),
                           InstanceMethod<&GroupObject::combine>("combine"),
                           InstanceMethod<&GroupObject::dispatch_layout>("dispatchLayout"),
                           InstanceMethod<&GroupObject::expert_major>("expertMajor"),
                           InstanceMethod<&GroupObject::expert_sum>("expertSum"),
                           InstanceMethod<&GroupObject::ll_dispatch>("llDispatch"),
                           InstanceMethod<&GroupObject::ll_combine>("llCombine"),
                           InstanceMethod<&GroupObject::ll_stage>("llStage"),
                           InstanceMethod<&GroupObject::synchronize>("synchronize"),
                           InstanceMethod<&GroupObject::delay>("delay"),
                           InstanceMethod<&GroupObject::open_stream>("openStream"),
                           InstanceMethod<&GroupObject::import_stream>("importStream"),
                           InstanceMethod<&GroupObject::close_stream>("closeStream"),
                           InstanceMethod<&GroupObject::record_event>("recordEvent"),
                           InstanceMethod<&GroupObject::wait_event>("waitEvent"),
                           InstanceMethod<&GroupObject::begin_capture>("beginCapture"),
                           InstanceMethod<&GroupObject::end_capture>("endCapture"),
                           InstanceMethod<&GroupObject::cancel_capture>("cancelCapture"),
                           InstanceMethod<&GroupObject::replay>("replay"),
                           InstanceMethod<&GroupObject::free_graph>("freeGraph"),
                           InstanceMethod<&GroupObject::hold>("hold"),
                           InstanceMethod<&GroupObject::release>("release"),
                           InstanceMethod<&GroupObject::reset>("reset"),
                           InstanceMethod<&GroupObject::counters>("counters"),
                           InstanceMethod<&GroupObject::refusal>("refusal"),
                           InstanceMethod<&GroupObject::cuda_calls>("cudaCalls"),
                           InstanceMethod<&GroupObject::stream>("stream"),
                           InstanceMethod<&GroupObject::event>("event"),
                           InstanceMethod<&GroupObject::elapsed_ms>("elapsedMs"),
                           InstanceMethod<&GroupObject::start_barrier>("startBarrier"),
                           InstanceMethod<&GroupObject::dispose>("dispose"),
                       });
}

GroupObject::GroupObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    const Napi::Env env = info.Env();
    throwing_js(env, "open a group", [&] { group_ = std::make_unique<Group>(module(), unpack_options(info[0])); });
    mailbox_ = Mailbox::open(env, [this](Napi::Env env, uint64_t id, Outcome outcome) {
        settle(env, id, std::move(outcome));
    });
    // After the mailbox was opened: hooks run in reverse, and the backend has to end before the mailbox does.
    napi_add_env_cleanup_hook(env, environment_ends, this);
}

GroupObject::~GroupObject() {
    close(/*environment_ends=*/false);
}

void GroupObject::environment_ends(void* self) {
    static_cast<GroupObject*>(self)->close(/*environment_ends=*/true);
}

/// Stops and joins everything; what is pending stays unsettled.
void GroupObject::close(bool environment_ends) {
    if (!group_ || std::exchange(closed_, true)) return;
    group_->shut_down();
    if (closer_.joinable()) closer_.join();
    mailbox_->close(environment_ends);
    if (environment_ends) return;
    napi_remove_env_cleanup_hook(Env(), GroupObject::environment_ends, this);
    tell_collector(Env(), 0);
}

Napi::Value GroupObject::promise(Napi::Env env, const char* wanted, const std::function<void(Completion)>& start) {
    const uint64_t id = ++last_id_;
    Pending pending(env);
    const Napi::Promise promise = pending.promise();
    try {
        throwing_error(wanted, [&] {
            start([id, mailbox = mailbox_](Outcome outcome) { mailbox->post(id, std::move(outcome)); });
        });
    } catch (const Error& error) {
        pending.settle(env, error);
        return promise;
    }
    if (pending_.empty()) {
        mailbox_->keep_alive(env, true);
        Ref();
    }
    pending_.emplace(id, std::move(pending));
    return promise;
}

void GroupObject::settle(Napi::Env env, uint64_t id, Outcome outcome) {
    const auto found = pending_.find(id);
    if (found == pending_.end()) return;
    Pending pending = std::move(found->second);
    pending_.erase(found);
    pending.settle(env, std::move(outcome));
    if (!pending_.empty()) return;
    mailbox_->keep_alive(env, false);
    Unref();
}

// void Group::require_usable()
// assertUsable(): void
void GroupObject::assert_usable(const Napi::CallbackInfo& info) {
    throwing_js(info.Env(), "ask whether the group is usable", [&] { group_->require_usable(); });
}

// void Group::dispatch(uint32_t rank_idx, const DispatchRequest& request, Completion completion)
// dispatch(rank: number, call: RawDispatch): Promise<RawCounts> | undefined    (undefined where call.wait is false)
Napi::Value GroupObject::dispatch(const Napi::CallbackInfo& info) {
    const auto start = [&](Completion completion) {
        group_->dispatch(unpack_rank(info), unpack_dispatch(unpack_object(info[1], "call")), std::move(completion));
    };
    constexpr const char* kWanted = "enqueue a dispatch";
    const bool waits = throwing_js(
        info.Env(), kWanted, [&] { return unpack_boolean(unpack_object(info[1], "call")["wait"], "wait"); });
    if (waits) return promise(info.Env(), kWanted, start);
    throwing_js(info.Env(), kWanted, [&] { start(nullptr); });
    return info.Env().Undefined();
}

// void Group::combine(uint32_t rank_idx, const CombineRequest& request, Completion completion)
// combine(rank: number, call: RawCombine): Promise<void>
Napi::Value GroupObject::combine(const Napi::CallbackInfo& info) {
    return promise(info.Env(), "enqueue a combine", [&](Completion completion) {
        group_->combine(unpack_rank(info), unpack_combine(unpack_object(info[1], "call")), std::move(completion));
    });
}

// void Group::dispatch_layout(uint32_t rank_idx, const DispatchLayoutRequest& request, Completion completion)
// dispatchLayout(rank: number, call: RawDispatchLayout): Promise<void>
Napi::Value GroupObject::dispatch_layout(const Napi::CallbackInfo& info) {
    return promise(info.Env(), "enqueue a layout query", [&](Completion completion) {
        group_->dispatch_layout(unpack_rank(info), unpack_dispatch_layout(unpack_object(info[1], "call")),
                                std::move(completion));
    });
}

// void Group::expert_major(uint32_t rank_idx, const ExpertMajorRequest& request, Completion completion)
// expertMajor(rank: number, call: RawExpertMajorCall): Promise<void>
Napi::Value GroupObject::expert_major(const Napi::CallbackInfo& info) {
    return promise(info.Env(), "enqueue expert-major", [&](Completion completion) {
        group_->expert_major(unpack_rank(info), unpack_expert_major(unpack_object(info[1], "call")),
                             std::move(completion));
    });
}

// void Group::expert_sum(uint32_t rank_idx, const ExpertSumRequest& request, Completion completion)
// expertSum(rank: number, call: RawExpertSumCall): Promise<void>
Napi::Value GroupObject::expert_sum(const Napi::CallbackInfo& info) {
    return promise(info.Env(), "enqueue the sums of experts", [&](Completion completion) {
        group_->expert_sum(unpack_rank(info), unpack_expert_sum(unpack_object(info[1], "call")), std::move(completion));
    });
}

// void Group::synchronize(uint32_t rank_idx, Completion completion)
// synchronize(rank: number): Promise<void>
Napi::Value GroupObject::synchronize(const Napi::CallbackInfo& info) {
    return promise(info.Env(), "wait for a stream", [&](Completion completion) {
        group_->synchronize(unpack_rank(info), std::move(completion));
    });
}

// void Group::delay(uint32_t rank_idx, uint32_t stream_idx, uint64_t ns)
// delay(rank: number, virtualNs: number, stream?: number): void
void GroupObject::delay(const Napi::CallbackInfo& info) {
    throwing_js(info.Env(), "enqueue a delay", [&] {
        group_->delay(unpack_rank(info), unpack_stream(info[2]), unpack_integer(info[1], "virtualNs"));
    });
}

// void Group::hold()
// hold(): void
void GroupObject::hold(const Napi::CallbackInfo& info) {
    throwing_js(info.Env(), "hold the streams", [&] { group_->hold(); });
}

// void Group::release()
// release(): void
void GroupObject::release(const Napi::CallbackInfo& info) {
    throwing_js(info.Env(), "release the streams", [&] { group_->release(); });
}

// void Group::reset(uint32_t epoch, Completion completion)
// reset(epoch: number): Promise<void>
Napi::Value GroupObject::reset(const Napi::CallbackInfo& info) {
    return promise(info.Env(), "reset the group", [&](Completion completion) {
        group_->reset(unpack_uint32(info[0], "epoch"), std::move(completion));
    });
}

// std::vector<LaunchCounters> Group::launched()
// counters(): RawCounters[]
Napi::Value GroupObject::counters(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const std::vector<LaunchCounters> launched = group_->launched();
    auto array = Napi::Array::New(env, launched.size());
    for (uint32_t rank_idx = 0; rank_idx < launched.size(); ++rank_idx) {
        auto object = Napi::Object::New(env);
        const LaunchCounters& counters = launched[rank_idx];
        const std::pair<const char*, uint64_t> fields[] = {
            {"dispatch", counters.dispatch},
            {"combine", counters.combine},
            {"dispatchLayout", counters.dispatch_layout},
            {"llDispatch", counters.ll_dispatch},
            {"llCombine", counters.ll_combine},
        };
        for (const auto& [name, count] : fields) object[name] = Napi::Number::New(env, static_cast<double>(count));
        array[rank_idx] = object;
    }
    return array;
}

// void Group::shut_down()
// dispose(): Promise<void>
Napi::Value GroupObject::dispose(const Napi::CallbackInfo& info) {
    if (!closing_.IsEmpty()) return closing_.Value();
    bool is_closing = false;
    const Napi::Value promised = promise(info.Env(), "dispose the group", [&](Completion completion) {
        const auto shut_down = [this, completion = std::move(completion)] {
            group_->shut_down();
            completion(Finished{});
        };
        try {
            closer_ = std::thread(shut_down);
        } catch (const std::system_error&) {
            // No thread is to be had: JavaScript waits for the kernels instead.
            shut_down();
        }
        is_closing = true;
    });
    if (is_closing) {
        closing_ = Napi::Persistent(promised.As<Napi::Object>());
        tell_collector(info.Env(), 0);
    }
    return promised;
}

}  // namespace epgen::addon
