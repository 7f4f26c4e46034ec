// What kernels call for every load and store when they are compiled with -fsanitize=thread. Only the compiler's part of
// ThreadSanitizer is used: its functions are these, its runtime is not linked. Primitives aren't instrumented, so that
// what arrives here is plain C++: fine in a thread's own memory, and an access like any other where threads share it.
#include <cstdint>

#include "simt/check/checker.hpp"
#include "simt/core.hpp"

namespace {

inline void note_access(bool is_write, const void* address, uint32_t bytes, const void* code_address) {
    using epgen::simt::current;
    if (current == nullptr || current->checker == nullptr) return;
    epgen::simt::Fiber& fiber = *current->fiber;
    if (fiber.view == nullptr) return;
    const auto at = static_cast<const std::byte*>(address);
    if (at >= fiber.stack_low && at < reinterpret_cast<const std::byte*>(&fiber)) return;
    current->checker->raw_access(fiber, is_write, address, bytes, code_address);
}

}  // namespace

#define EPGEN_TSAN_ACCESS(name, is_write, bytes) \
    void __tsan_##name(const void* address) { note_access(is_write, address, bytes, __builtin_return_address(0)); }
#define EPGEN_TSAN_SIZE(bytes)                          \
    EPGEN_TSAN_ACCESS(read##bytes, false, bytes)        \
    EPGEN_TSAN_ACCESS(write##bytes, true, bytes)        \
    EPGEN_TSAN_ACCESS(unaligned_read##bytes, false, bytes) \
    EPGEN_TSAN_ACCESS(unaligned_write##bytes, true, bytes)

extern "C" {

EPGEN_TSAN_SIZE(1)
EPGEN_TSAN_SIZE(2)
EPGEN_TSAN_SIZE(4)
EPGEN_TSAN_SIZE(8)
EPGEN_TSAN_SIZE(16)

void __tsan_read_range(const void* address, uint64_t bytes) {
    note_access(false, address, static_cast<uint32_t>(bytes), __builtin_return_address(0));
}
void __tsan_write_range(const void* address, uint64_t bytes) {
    note_access(true, address, static_cast<uint32_t>(bytes), __builtin_return_address(0));
}

void __tsan_init() {}
void __tsan_func_entry(const void*) {}
void __tsan_func_exit() {}

}  // extern "C"
