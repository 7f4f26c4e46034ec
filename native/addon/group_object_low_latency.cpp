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
// llCombine(rank: number, call: RawLlCombineCall): Promise<void>
Napi::Value GroupObject::ll_combine(const Napi::CallbackInfo& info) {
    return promise(info.Env(), "enqueue a low-latency combine", [&](Completion completion) {
        group_->ll_combine(unpack_rank(info), unpack_ll_combine(unpack_object(info[1], "call")), std::move(completion));
    });
}

// void Group::ll_stage(uint32_t rank_idx, const LlStageRequest& request)
// llStage(rank: number, call: RawLlStageCall): void
void GroupObject::ll_stage(const Napi::CallbackInfo& info) {
    throwing_js(info.Env(), "enqueue rows for a low-latency combine", [&] {
        group_->ll_stage(unpack_rank(info), unpack_ll_stage(unpack_object(info[1], "call")));
    });
}

}  // namespace epgen::addon
