// What `process.dlopen` gives: the compiled spec's identity and a way to open a group of its ranks.
#include <napi.h>

#include <memory>

#include "addon/convert.hpp"
#include "addon/group_object.hpp"
#include "runtime/module.hpp"

namespace epgen::addon {
namespace {

// Group::Group(const Module& module, const GroupOptions& options)
// openGroup(options: RawGroupOptions): RawGroup
Napi::Value open_group(const Napi::CallbackInfo& info) {
    return info.Env().GetInstanceData<Napi::FunctionReference>()->New({info[0]});
}

// Value probe_backend()
// probe(): RawProbe | null
Napi::Value probe(const Napi::CallbackInfo& info) {
    return to_js(info.Env(), probe_backend());
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
    auto group_class = std::make_unique<Napi::FunctionReference>(Napi::Persistent(GroupObject::define(env)));
    env.SetInstanceData(group_class.release());
    exports["name"] = Napi::String::New(env, module().name);
    exports["specHash"] = Napi::String::New(env, module().spec_hash);
    exports["backend"] = Napi::String::New(env, backend_name());
    exports["arch"] = Napi::String::New(env, backend_arch());
    exports["probe"] = Napi::Function::New(env, probe, "probe");
    exports["openGroup"] = Napi::Function::New(env, open_group, "openGroup");
    return exports;
}

NODE_API_MODULE(epgen, initialise)

}  // namespace
}  // namespace epgen::addon
