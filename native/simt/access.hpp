// One access to memory, as every primitive announces it before it happens.
#pragma once

#include <cstdint>

#include "device/place.cuh"

namespace epgen {
enum class Space;
}

namespace epgen::simt {

enum class AccessKind : uint8_t { load, store, read_modify_write };
enum class Order : uint8_t { weak, relaxed, acquire, release };
enum class Scope : uint8_t { none, block, gpu, sys };

struct Access {
    AccessKind kind;
    Order order;
    Scope scope;
    Space space;
    const char* what;    // primitive
    const char* object;  // that it means to reach, as reports name it
    const void* address;
    uint32_t bytes;
    Place place;
};

/// What a read-modify-write does to its word.
enum class Update : uint8_t { add, min };

constexpr uint32_t updated(Update update, uint32_t before, uint32_t operand) {
    return update == Update::add ? before + operand : before < operand ? before : operand;
}

}  // namespace epgen::simt
