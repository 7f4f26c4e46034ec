// Values, errors and outcomes as JavaScript sees them.
#pragma once

#include <napi.h>

#include <exception>
#include <string>

#include "runtime/outcome.hpp"

namespace epgen::addon {

Napi::Value to_js(Napi::Env env, const Value& value);

/// A promise's result: undefined, RawCounts or an ArrayBuffer. Not for an Error.
Napi::Value to_js(Napi::Env env, Outcome outcome);

/// Gives `target`, an Error made where the call came from, the message, code and detail of `error`; keeps its stack.
void describe(Napi::Env env, Napi::Object target, const Error& error);

/// Runs `call`; what it throws comes out as an Error of the runtime. `wanted` completes "Could not ...". An exception
/// that JavaScript threw goes on as it is.
template <class Call>
auto throwing_error(const char* wanted, Call call) {
    try {
        return call();
    } catch (const Error&) {
        throw;
    } catch (const Napi::Error&) {
        throw;
    } catch (const std::exception& shortage) {
        // The standard library only throws where memory or threads run out.
        throw shortage_error(wanted, shortage.what());
    }
}

/// As throwing_error, but an Error of the runtime becomes a JavaScript exception.
template <class Call>
auto throwing_js(Napi::Env env, const char* wanted, Call call) {
    try {
        return throwing_error(wanted, call);
    } catch (const Error& error) {
        Napi::Error exception = Napi::Error::New(env, "");
        describe(env, exception.Value(), error);
        throw exception;
    }
}

}  // namespace epgen::addon
