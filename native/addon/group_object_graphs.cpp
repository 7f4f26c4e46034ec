#include "addon/group_object.hpp"
#include "addon/unpack.hpp"

namespace epgen::addon {

// uint32_t Group::begin_capture()
// beginCapture(): number
Napi::Value GroupObject::begin_capture(const Napi::CallbackInfo& info) {
    return throwing_js(info.Env(), "begin a capture", [&]() -> Napi::Value {
        return Napi::Number::New(info.Env(), group_->begin_capture());
    });
}

// void Group::end_capture(Completion completion)
// endCapture(): Promise<void>
Napi::Value GroupObject::end_capture(const Napi::CallbackInfo& info) {
    return promise(info.Env(), "make a graph",
                   [&](Completion completion) { group_->end_capture(std::move(completion)); });
}

// void Group::cancel_capture()
// cancelCapture(): void
void GroupObject::cancel_capture(const Napi::CallbackInfo& info) {
    throwing_js(info.Env(), "cancel a capture", [&] { group_->cancel_capture(); });
}

// void Group::replay(uint32_t graph_idx)
// replay(graph: number): void
void GroupObject::replay(const Napi::CallbackInfo& info) {
    throwing_js(info.Env(), "enqueue a graph", [&] { group_->replay(unpack_uint32(info[0], "graph")); });
}

// void Group::free_graph(uint32_t graph_idx)
// freeGraph(graph: number): void
void GroupObject::free_graph(const Napi::CallbackInfo& info) {
    throwing_js(info.Env(), "free a graph", [&] { group_->free_graph(unpack_uint32(info[0], "graph")); });
}

}  // namespace epgen::addon
