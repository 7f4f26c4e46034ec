#include "addon/convert.hpp"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace epgen::addon {
namespace {

template <class... Cases>
struct Overloaded : Cases... {
    using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

Napi::Value array_buffer(Napi::Env env, HostBytes bytes) {
    if (bytes.size == 0) return Napi::ArrayBuffer::New(env, 0);
    std::byte* data = bytes.data.release();
    return Napi::ArrayBuffer::New(env, data, bytes.size,
                                  [](Napi::Env, void* data) { delete[] static_cast<std::byte*>(data); });
}

Napi::Value int32_array(Napi::Env env, const std::vector<int32_t>& values) {
    auto array = Napi::Int32Array::New(env, values.size());
    std::memcpy(array.Data(), values.data(), values.size() * sizeof(int32_t));
    return array;
}

Napi::Value raw_counts(Napi::Env env, const Counts& counts) {
    auto object = Napi::Object::New(env);
    object["numRecvTokens"] = Napi::Number::New(env, counts.num_recv_tokens);
    object["numTokensPerExpert"] = int32_array(env, counts.num_tokens_per_expert);
    object["numTokensPerRank"] = int32_array(env, counts.num_tokens_per_rank);
    return object;
}

}  // namespace

Napi::Value to_js(Napi::Env env, const Value& value) {
    return std::visit(Overloaded{
                          [&](std::monostate) -> Napi::Value { return env.Null(); },
                          [&](bool flag) -> Napi::Value { return Napi::Boolean::New(env, flag); },
                          [&](double number) -> Napi::Value { return Napi::Number::New(env, number); },
                          [&](int64_t number) -> Napi::Value { return Napi::BigInt::New(env, number); },
                          [&](uint64_t number) -> Napi::Value { return Napi::BigInt::New(env, number); },
                          [&](const std::string& text) -> Napi::Value { return Napi::String::New(env, text); },
                          [&](const Value::List& items) -> Napi::Value {
                              auto array = Napi::Array::New(env, items.size());
                              uint32_t idx = 0;
                              for (const Value& item : items) array[idx++] = to_js(env, item);
                              return array;
                          },
                          [&](const Value::Fields& fields) -> Napi::Value {
                              auto object = Napi::Object::New(env);
                              for (const auto& [name, field] : fields) object[name] = to_js(env, field);
                              return object;
                          },
                      },
                      value.data);
}

Napi::Value to_js(Napi::Env env, Outcome outcome) {
    if (const Counts* counts = std::get_if<Counts>(&outcome)) return raw_counts(env, *counts);
    if (HostBytes* bytes = std::get_if<HostBytes>(&outcome)) return array_buffer(env, std::move(*bytes));
    return env.Undefined();
}

void describe(Napi::Env env, Napi::Object target, const Error& error) {
    const std::string stack = target.Get("stack").ToString();
    const size_t first_frame = stack.find('\n');
    target["message"] = Napi::String::New(env, error.message());
    target["code"] = Napi::String::New(env, error_code_name(error.code()));
    target["detail"] = to_js(env, error.detail());
    if (first_frame != std::string::npos) {
        target["stack"] = Napi::String::New(env, "Error: " + error.message() + stack.substr(first_frame));
    }
}

}  // namespace epgen::addon
