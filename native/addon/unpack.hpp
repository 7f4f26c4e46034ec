// Arguments from JavaScript, checked.
#pragma once

#include <napi.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "runtime/expect.hpp"

namespace epgen::addon {

inline std::string describe_value(Napi::Value value) {
    if (value.IsObject() || value.IsFunction() || value.IsSymbol()) return "an object";
    return value.IsString() ? "'" + value.ToString().Utf8Value() + "'" : value.ToString().Utf8Value();
}

/// A whole number that a double holds exactly.
inline uint64_t unpack_integer(Napi::Value value, const char* name,
                               uint64_t max = static_cast<uint64_t>(std::numeric_limits<int64_t>::max() >> 10)) {
    const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
    if (number < 0 || number > static_cast<double>(max) || number != std::floor(number)) {
        refuse(name, "a whole number from 0 to " + std::to_string(max), describe_value(value));
    }
    return static_cast<uint64_t>(number);
}

inline uint32_t unpack_uint32(Napi::Value value, const char* name) {
    return static_cast<uint32_t>(unpack_integer(value, name, std::numeric_limits<uint32_t>::max()));
}

/// 64 bits: an address, an offset or a seed.
inline uint64_t unpack_bigint(Napi::Value value, const char* name) {
    bool lossless = false;
    const uint64_t number = value.IsBigInt() ? value.As<Napi::BigInt>().Uint64Value(&lossless) : 0;
    if (!lossless) refuse(name, "a bigint from 0n to 2n**64n - 1n", describe_value(value));
    return number;
}

/// As unpack_bigint and unpack_uint32, where nothing stands for `missing`.
inline uint64_t unpack_optional_bigint(Napi::Value value, const char* name) {
    return value.IsUndefined() ? 0 : unpack_bigint(value, name);
}
inline uint32_t unpack_optional_uint32(Napi::Value value, const char* name, uint32_t missing) {
    return value.IsUndefined() ? missing : unpack_uint32(value, name);
}

inline double unpack_milliseconds(Napi::Value value, const char* name) {
    constexpr double kMax = 1e12;  // in ns it still fits 64 bits
    const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : 0;
    if (!(number > 0 && number <= kMax)) refuse(name, "a number of milliseconds above 0", describe_value(value));
    return number;
}

inline bool unpack_boolean(Napi::Value value, const char* name) {
    if (!value.IsBoolean()) refuse(name, "true or false", describe_value(value));
    return value.As<Napi::Boolean>();
}

inline Napi::Object unpack_object(Napi::Value value, const char* name) {
    if (!value.IsObject()) refuse(name, "an object", describe_value(value));
    return value.As<Napi::Object>();
}

inline Napi::Uint8Array unpack_bytes(Napi::Value value, const char* name) {
    const bool fits = value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array;
    if (!fits) refuse(name, "a Uint8Array", describe_value(value));
    return value.As<Napi::Uint8Array>();
}

}  // namespace epgen::addon
