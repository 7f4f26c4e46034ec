// Where in the source an access stands: the emulator reports it, CUDA builds carry nothing.
#pragma once

#include <cstdint>

#if defined(EPGEN_CPU)
#define EPGEN_DEVICE inline
#define EPGEN_HOST_DEVICE inline
#define EPGEN_UNROLL
#else
#define EPGEN_DEVICE __device__ __forceinline__
#define EPGEN_HOST_DEVICE __host__ __device__ __forceinline__
#define EPGEN_UNROLL _Pragma("unroll")
#endif

namespace epgen {

#if defined(EPGEN_CPU)
/// A source position. As a default argument it names the caller's line.
struct Place {
    const char* file;
    int line;
    static constexpr Place here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
        return {file, line};
    }
};
#else
struct Place {
    __device__ static constexpr Place here() { return {}; }
};
#endif

}  // namespace epgen
