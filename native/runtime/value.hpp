// Plain structured data: what an error carries besides its message.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace epgen {

/// Null, true or false, a number, a string, a list or named fields in order. An integer that a double can't hold stays an integer.
struct Value {
    using List = std::vector<Value>;
    using Fields = std::vector<std::pair<std::string, Value>>;

    std::variant<std::monostate, bool, double, int64_t, uint64_t, std::string, List, Fields> data;

    Value() = default;
    Value(bool flag) : data(flag) {}
    Value(const char* text) : data(std::string(text)) {}
    Value(std::string text) : data(std::move(text)) {}
    Value(List items) : data(std::move(items)) {}
    Value(Fields fields) : data(std::move(fields)) {}
    template <class Number>
        requires(std::is_arithmetic_v<Number> && !std::is_same_v<Number, bool>)
    Value(Number number) : data(static_cast<double>(number)) {
        if constexpr (std::is_same_v<Number, int64_t> || std::is_same_v<Number, uint64_t>) {
            constexpr int64_t kMaxExact = int64_t{1} << 53;
            const bool is_exact = std::cmp_less_equal(number, kMaxExact) && std::cmp_greater_equal(number, -kMaxExact);
            if (!is_exact) data = number;
        }
    }
};

}  // namespace epgen
