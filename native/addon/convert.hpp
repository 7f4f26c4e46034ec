// Values, errors and outcomes as JavaScript sees them.
#pragma once

#include <napi.h>

#include "runtime/outcome.hpp"

namespace epgen::addon {

Napi::Value to_js(Napi::Env env, const Value& value);

/// A promise's result: undefined, RawCounts or an ArrayBuffer. Not for an Error.
Napi::Value to_js(Napi::Env env, Outcome outcome);

/// Gives `target`, an Error made where the call came from, the message, code and detail of `error`; keeps its stack.
void describe(Napi::Env env, Napi::Object target, const Error& error);

/// Runs `call` and lets an Error of the runtime continue as a JavaScript exception.
template <class Call>
auto throwing_js(Napi::Env env, Call call) {
    try {
        return call();
    } catch (const Error& error) {
        Napi::Error exception = Napi::Error::New(env, "");
        describe(env, exception.Value(), error);
        throw exception;
    }
}

}  // namespace epgen::addon
