#include <utility>

#include "addon/group_object.hpp"
#include "addon/unpack_requests.hpp"

namespace epgen::addon {

// void Group::ll_dispatch(uint32_t rank_idx, const LlDispatchRequest& request)
// llDispatch(rank: number, call: RawLlDispatchCall): void
void GroupObject::ll_dispatch(const Napi::CallbackInfo& info) {
    throwing_js(info.Env(), "enqueue a low-latency dispatch", [&] {
        group_->ll_dispatch(unpack_rank(info), unpack_ll_dispatch(unpack_object(info[1], "call")));
    });
}

// void Group::ll_combine(uint32_t rank_idx, const LlCombineRequest& request, Completion completion)
// llCombine(rank: number, call: RawLlCombineCall): Promise<void> | undefined    (undefined for a send alone)
Napi::Value GroupObject::ll_combine(const Napi::CallbackInfo& info) {
    constexpr const char* kWanted = "enqueue a low-latency combine";
    const LlCombineRequest request =
        throwing_js(info.Env(), kWanted, [&] { return unpack_ll_combine(unpack_object(info[1], "call")); });
    const auto start = [&](Completion completion) {
        group_->ll_combine(unpack_rank(info), request, std::move(completion));
    };
    if ((request.phases & kLlReceive) != 0) return promise(info.Env(), kWanted, start);
    throwing_js(info.Env(), kWanted, [&] { start(nullptr); });
    return info.Env().Undefined();
}

// void Group::ll_stage(uint32_t rank_idx, const LlStageRequest& request)
// llStage(rank: number, call: RawLlStageCall): void
void GroupObject::ll_stage(const Napi::CallbackInfo& info) {
    throwing_js(info.Env(), "enqueue rows for a low-latency combine", [&] {
        group_->ll_stage(unpack_rank(info), unpack_ll_stage(unpack_object(info[1], "call")));
    });
}

}  // namespace epgen::addon
