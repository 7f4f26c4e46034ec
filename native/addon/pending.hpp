// One promise that hasn't been settled.
#pragma once

#include <napi.h>

#include <utility>

#include "addon/convert.hpp"

namespace epgen::addon {

/// Belongs to the JS thread, as all that it holds.
class Pending {
public:
    /// The Error is made now, so that its stack shows the call; it is used only when the call fails.
    explicit Pending(Napi::Env env)
        : deferred_(Napi::Promise::Deferred::New(env)),
          error_(Napi::Persistent(Napi::Error::New(env, "").Value())) {}

    Napi::Promise promise() const { return deferred_.Promise(); }

    void settle(Napi::Env env, Outcome outcome) {
        if (const Error* error = std::get_if<Error>(&outcome)) {
            describe(env, error_.Value(), *error);
            deferred_.Reject(error_.Value());
        } else {
            deferred_.Resolve(to_js(env, std::move(outcome)));
        }
    }

private:
    Napi::Promise::Deferred deferred_;
    Napi::ObjectReference error_;
};

}  // namespace epgen::addon
