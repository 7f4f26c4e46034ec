// How anything fails: a code that programs test, a message that people read, and details as plain data.
#pragma once

#include <exception>
#include <string>
#include <utility>

#include "runtime/value.hpp"

namespace epgen {

enum class ErrorCode { argument, timeout, deadlock, fault, cuda, aborted, disposed, unsupported };

constexpr const char* error_code_name(ErrorCode code) {
    switch (code) {
        case ErrorCode::argument: return "EPGEN_ARGUMENT";
        case ErrorCode::timeout: return "EPGEN_TIMEOUT";
        case ErrorCode::deadlock: return "EPGEN_DEADLOCK";
        case ErrorCode::fault: return "EPGEN_FAULT";
        case ErrorCode::cuda: return "EPGEN_CUDA";
        case ErrorCode::aborted: return "EPGEN_ABORTED";
        case ErrorCode::disposed: return "EPGEN_DISPOSED";
        case ErrorCode::unsupported: return "EPGEN_UNSUPPORTED";
    }
    return "EPGEN_FAULT";
}

/// The only exception that the runtime throws, and what every failed operation ends with.
class Error : public std::exception {
public:
    Error(ErrorCode code, std::string message, Value detail = {})
        : code_(code), message_(std::move(message)), detail_(std::move(detail)) {}

    ErrorCode code() const { return code_; }
    const std::string& message() const { return message_; }
    const Value& detail() const { return detail_; }
    const char* what() const noexcept override { return message_.c_str(); }

private:
    ErrorCode code_;
    std::string message_;
    Value detail_;
};

/// Memory or threads ran out, and nothing was begun. `wanted` completes "Could not ...".
inline Error shortage_error(const std::string& wanted, const std::string& reason) {
    return {ErrorCode::fault, "Could not " + wanted + ": " + reason,
            Value::Fields{{"kind", "shortage"}, {"wanted", wanted}, {"reason", reason}}};
}

}  // namespace epgen
