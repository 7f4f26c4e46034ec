// Compares the arithmetic of device/numeric.cuh with exact models on the host: every conversion of f32 to bf16, f16 and
// e4m3, every one back, and sums, products, quotients and fused sums of special, random and nearly cancelling numbers.
// Prints counts; exits with 0 when no bit differs.

#include <cuda_runtime.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "device/device.cuh"

namespace {

void check_cuda(cudaError_t error, int line) {
    if (error == cudaSuccess) return;
    std::printf("line %d: %s\n", line, cudaGetErrorString(error));
    std::exit(3);
}
#define CHECK_CUDA(call) check_cuda(call, __LINE__)

/// Spreads the bits of a number: the same on host and device.
__host__ __device__ uint32_t mix(uint32_t bits) {
    bits ^= bits >> 16;
    bits *= 0x85ebca6bu;
    bits ^= bits >> 13;
    bits *= 0xc2b2ae35u;
    return bits ^ bits >> 16;
}

/// What an operation takes; sums, products and quotients do without `c`.
struct Operands {
    uint32_t a;
    uint32_t b;
    uint32_t c;
};

enum class Kind : uint32_t { special, random, near, cancelling, denormal, small };
constexpr struct {
    Kind kind;
    const char* name;
} kKinds[] = {{Kind::special, "special"},       {Kind::random, "random"},     {Kind::near, "near"},
              {Kind::cancelling, "cancelling"}, {Kind::denormal, "denormal"}, {Kind::small, "small"}};

/// The fraction and sign of `bits`, with an exponent at most 31 from `exponent`.
__host__ __device__ uint32_t near_exponent(uint32_t bits, int exponent, uint32_t random) {
    exponent += static_cast<int>(random % 63) - 31;
    const uint32_t bounded = exponent < 0 ? 0 : exponent > 254 ? 254 : exponent;
    return (bits & 0x807fffffu) | bounded << 23;
}

__host__ __device__ int exponent_of(uint32_t bits) { return static_cast<int>(bits >> 23 & 0xff); }

__host__ __device__ uint32_t bits_of(float value) {
#if defined(__CUDA_ARCH__)
    return __float_as_uint(value);
#else
    return std::bit_cast<uint32_t>(value);
#endif
}

__host__ __device__ float value_of(uint32_t bits) {
#if defined(__CUDA_ARCH__)
    return __uint_as_float(bits);
#else
    return std::bit_cast<float>(bits);
#endif
}

/// Operands `i` of a kind; `special` has `num_special` bit patterns.
__host__ __device__ Operands operands_of(Kind kind, uint32_t i, const uint32_t* special, uint32_t num_special) {
    const uint32_t a = mix(2 * i + 1), b = mix(2 * i + 0x9e3779b9u), c = mix(a ^ mix(b));
    switch (kind) {
        case Kind::special: return {special[i / num_special], special[i % num_special], special[c % num_special]};
        case Kind::random: return {a, b, c};
        // Exponents at most 31 apart, of the product and `c` too: where rounding happens.
        case Kind::near: {
            const uint32_t near_b = near_exponent(b, exponent_of(a), mix(a));
            return {a, near_b, near_exponent(c, exponent_of(a) + exponent_of(near_b) - 127, mix(b))};
        }
        case Kind::cancelling: {
            const uint32_t near_b = (a ^ 0x80000000u) + mix(b) % 65 - 32;
            return {a, near_b, (bits_of(value_of(a) * value_of(near_b)) ^ 0x80000000u) + mix(c) % 65 - 32};
        }
        case Kind::denormal: return {a & 0x81ffffffu, b & 0x81ffffffu, c & 0x81ffffffu};
        // Products and quotients about as small as the smallest normal number.
        case Kind::small: return {near_exponent(a, 31, c), near_exponent(b, 127, mix(c)), c & 0x83ffffffu};
    }
    return {};
}

/// Round to nearest even on the bits alone; every NaN becomes 0x7fff.
uint32_t bf16_model(uint32_t bits) {
    if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fff;
    const uint32_t kept = bits >> 16, cut = bits & 0xffff;
    return kept + (cut > 0x8000 || (cut == 0x8000 && (kept & 1)));
}

/// The nearest multiple of the spacing of f16 at this value, in f64, where division and multiplication by powers of
/// two are exact and std::nearbyint rounds to even; every NaN becomes 0x7fff.
uint32_t f16_model(uint32_t bits) {
    const double value = std::bit_cast<float>(bits & 0x7fffffff);
    if (std::isnan(value)) return 0x7fff;
    const uint32_t sign = bits >> 16 & 0x8000;
    if (value >= 65520) return sign | 0x7c00;
    // Exponents of f16 end at -14, below which the spacing stays 2^-24.
    const int exponent = value < 0x1p-14 ? -14 : std::ilogb(value);
    const auto steps = static_cast<uint32_t>(std::nearbyint(std::ldexp(value, 10 - exponent)));
    // One exponent more is 1024 steps more; a normal number has its leading bit among the steps.
    return sign | (static_cast<uint32_t>(exponent + 14) * 1024 + steps);
}

/// As f16_model, with the spacing of e4m3; beyond 448 it stays 448.
uint32_t e4m3_model(uint32_t bits) {
    const double value = std::bit_cast<float>(bits & 0x7fffffff);
    if (std::isnan(value)) return 0x7f;
    const uint32_t sign = bits >> 24 & 0x80;
    if (value >= 448) return sign | 0x7e;
    // Exponents of e4m3 end at -6, below which the spacing stays 2^-9.
    const int exponent = value < 0x1p-6 ? -6 : std::ilogb(value);
    const auto steps = static_cast<uint32_t>(std::nearbyint(std::ldexp(value, 3 - exponent)));
    return sign | (static_cast<uint32_t>(exponent + 6) * 8 + steps);
}

uint32_t bf16_value_model(uint32_t bits) { return bits << 16; }

/// Every NaN becomes 0x7fffffff.
uint32_t f16_value_model(uint32_t bits) {
    const uint32_t sign = (bits & 0x8000) << 16, exponent = bits >> 10 & 31, fraction = bits & 1023;
    if (exponent == 31) return fraction != 0 ? 0x7fffffff : sign | 0x7f800000;
    const auto steps = static_cast<float>(exponent == 0 ? fraction : 1024 + fraction);
    return sign | std::bit_cast<uint32_t>(std::ldexp(steps, static_cast<int>(exponent == 0 ? 1 : exponent) - 25));
}

/// Every NaN becomes 0x7fffffff.
uint32_t e4m3_value_model(uint32_t bits) {
    const uint32_t sign = (bits & 0x80) << 24, exponent = bits >> 3 & 15, fraction = bits & 7;
    if ((bits & 0x7f) == 0x7f) return 0x7fffffff;
    const auto steps = static_cast<float>(exponent == 0 ? fraction : 8 + fraction);
    return sign | std::bit_cast<uint32_t>(std::ldexp(steps, static_cast<int>(exponent == 0 ? 1 : exponent) - 10));
}

/// A type of 16 or 8 bits: its conversions on the device, of two values at a time, and their models.
struct Bf16 {
    static constexpr const char* name = "bf16";
    static constexpr uint32_t kBits = 16;
    static __device__ uint32_t narrow(float lo, float hi) { return epgen::f32_to_bf16x2_rn(lo, hi); }
    static __device__ float lo(uint32_t pair) { return epgen::bf16_lo_to_f32(pair); }
    static __device__ float hi(uint32_t pair) { return epgen::bf16_hi_to_f32(pair); }
    static uint32_t narrow_model(uint32_t bits) { return bf16_model(bits); }
    static uint32_t wide_model(uint32_t bits) { return bf16_value_model(bits); }
};
struct F16 {
    static constexpr const char* name = "f16";
    static constexpr uint32_t kBits = 16;
    static __device__ uint32_t narrow(float lo, float hi) { return epgen::f32_to_f16x2_rn(lo, hi); }
    static __device__ float lo(uint32_t pair) { return epgen::f16_lo_to_f32(pair); }
    static __device__ float hi(uint32_t pair) { return epgen::f16_hi_to_f32(pair); }
    static uint32_t narrow_model(uint32_t bits) { return f16_model(bits); }
    static uint32_t wide_model(uint32_t bits) { return f16_value_model(bits); }
};
struct E4m3 {
    static constexpr const char* name = "e4m3";
    static constexpr uint32_t kBits = 8;
    static __device__ uint32_t narrow(float lo, float hi) { return epgen::f32_to_e4m3x2_rn(lo, hi); }
    static __device__ float lo(uint32_t pair) { return epgen::e4m3_lo_to_f32(pair); }
    static __device__ float hi(uint32_t pair) { return epgen::e4m3_hi_to_f32(pair); }
    static uint32_t narrow_model(uint32_t bits) { return e4m3_model(bits); }
    static uint32_t wide_model(uint32_t bits) { return e4m3_value_model(bits); }
};

template <class Type>
__global__ void convert_all(uint32_t first, uint32_t* pairs, uint32_t count) {
    const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const uint32_t bits = first + i;
    pairs[i] = Type::narrow(__uint_as_float(bits), __uint_as_float(~bits));
}

/// Every value beside its complement, and bits above the pair that mean nothing.
template <class Type>
__global__ void widen_all(uint32_t* lo, uint32_t* hi) {
    constexpr uint32_t kMask = (1u << Type::kBits) - 1;
    const uint32_t bits = blockIdx.x * blockDim.x + threadIdx.x;
    const uint64_t above = uint64_t{mix(bits)} << 2 * Type::kBits;
    lo[bits] = __float_as_uint(Type::lo(static_cast<uint32_t>(above | (bits ^ kMask) << Type::kBits | bits)));
    hi[bits] = __float_as_uint(Type::hi(static_cast<uint32_t>(above | bits << Type::kBits | (bits ^ kMask))));
}

/// An operation on the device, and two models that must agree: in f32, and in f64 rounded once more, which gives the
/// nearest f32 where the f64 is exact, or has twice the bits and two more (53 >= 2 * 24 + 2).
struct Add {
    static constexpr const char* name = "add_rn";
    static __device__ float apply(float a, float b, float) { return epgen::add_rn(a, b); }
    static float narrow(float a, float b, float) { return a + b; }
    static double wide(double a, double b, double) { return a + b; }
};
struct Mul {
    static constexpr const char* name = "mul_rn";
    static __device__ float apply(float a, float b, float) { return epgen::mul_rn(a, b); }
    static float narrow(float a, float b, float) { return a * b; }
    static double wide(double a, double b, double) { return a * b; }
};
struct Div {
    static constexpr const char* name = "div_rn";
    static __device__ float apply(float a, float b, float) { return epgen::div_rn(a, b); }
    static float narrow(float a, float b, float) { return a / b; }
    static double wide(double a, double b, double) { return a / b; }
};
struct Fma {
    static constexpr const char* name = "fma_rn";
    static __device__ float apply(float a, float b, float c) { return epgen::fma_rn(a, b, c); }
    static float narrow(float a, float b, float c) { return std::fmaf(a, b, c); }
    /// The product is exact. A sum that isn't is given an odd last bit, so that it never lies on a tie of f32.
    static double wide(double a, double b, double c) {
        const double product = a * b;
        const double sum = product + c;
        const double virtual_c = sum - product;
        const double error = (product - (sum - virtual_c)) + (c - virtual_c);
        const uint64_t bits = std::bit_cast<uint64_t>(sum);
        if (!std::isfinite(sum) || error == 0 || (bits & 1) != 0) return sum;
        return std::bit_cast<double>((error > 0) == (sum > 0) ? bits + 1 : bits - 1);
    }
};

template <class Op>
__global__ void apply_all(Kind kind, uint32_t first, const uint32_t* special, uint32_t num_special, uint32_t* results,
                          uint32_t count) {
    const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const Operands operands = operands_of(kind, first + i, special, num_special);
    results[i] = __float_as_uint(Op::apply(value_of(operands.a), value_of(operands.b), value_of(operands.c)));
}

/// Every NaN becomes 0x7fffffff.
template <class Op>
uint32_t result_model(Operands operands, bool& models_agree) {
    const float a = value_of(operands.a), b = value_of(operands.b), c = value_of(operands.c);
    const float narrow = Op::narrow(a, b, c);
    const auto wide = static_cast<float>(Op::wide(a, b, c));
    if (std::isnan(narrow)) {
        models_agree = std::isnan(wide);
        return 0x7fffffff;
    }
    models_agree = bits_of(narrow) == bits_of(wide);
    return bits_of(narrow);
}

/// Calls `differs(i)` for all i below `count` on every core; returns how often it held, and shows the first few.
template <class Differs>
uint64_t count_differences(uint64_t count, const Differs& differs) {
    std::atomic<uint64_t> num_different{0};
    std::vector<std::thread> threads;
    const unsigned num_threads = std::max(1u, std::thread::hardware_concurrency());
    for (unsigned t = 0; t < num_threads; ++t) {
        threads.emplace_back([&, t] {
            uint64_t mine = 0;
            for (uint64_t i = count * t / num_threads; i < count * (t + 1) / num_threads; ++i) mine += differs(i);
            num_different += mine;
        });
    }
    for (std::thread& thread : threads) thread.join();
    return num_different;
}

constexpr uint32_t kChunk = 1u << 28;

/// Where the device writes a chunk of results, and where the host reads it.
struct Chunk {
    uint32_t* device;
    uint32_t* host;

    void fetch(uint64_t count) const {
        CHECK_CUDA(cudaGetLastError());
        CHECK_CUDA(cudaMemcpy(host, device, count * sizeof(uint32_t), cudaMemcpyDeviceToHost));
    }
};

template <class Type>
uint64_t compare_conversions(const Chunk& chunk) {
    uint64_t num_different = 0;
    for (uint64_t first = 0; first < uint64_t{1} << 32; first += kChunk) {
        convert_all<Type><<<kChunk / 256, 256>>>(static_cast<uint32_t>(first), chunk.device, kChunk);
        chunk.fetch(kChunk);
        num_different += count_differences(kChunk, [&](uint64_t i) {
            const auto bits = static_cast<uint32_t>(first + i);
            return chunk.host[i] != (Type::narrow_model(~bits) << Type::kBits | Type::narrow_model(bits));
        });
    }
    std::printf("f32_to_%sx2_rn: %llu floats in each half, %llu pairs differ\n", Type::name, 1ull << 32,
                static_cast<unsigned long long>(num_different));
    return num_different;
}

template <class Type>
uint64_t compare_widenings(const Chunk& chunk) {
    constexpr uint32_t kCount = 1u << Type::kBits;
    widen_all<Type><<<kCount / 256, 256>>>(chunk.device, chunk.device + kCount);
    chunk.fetch(2 * kCount);
    const uint64_t num_different = count_differences(kCount, [&](uint64_t i) {
        const uint32_t expected = Type::wide_model(static_cast<uint32_t>(i));
        return chunk.host[i] != expected || chunk.host[kCount + i] != expected;
    });
    std::printf("%s_lo_to_f32, %s_hi_to_f32: %u values each, %llu differ\n", Type::name, Type::name, kCount,
                static_cast<unsigned long long>(num_different));
    return num_different;
}

/// Zeros, ends of the ranges, infinities, NaNs, and powers of two with the neighbours of a few of their multiples.
std::vector<uint32_t> special_values() {
    std::vector<uint32_t> values = {0x7f800001, 0x7fc00000, 0x7fffffff, 0x7f812345};
    for (uint32_t exponent = 0; exponent < 256; ++exponent) {
        for (const uint32_t fraction : {0u, 1u, 0x400000u, 0x7fffffu}) values.push_back(exponent << 23 | fraction);
    }
    for (const uint32_t fraction : {2u, 3u, 0x200000u, 0x555555u, 0x7ffffeu}) values.push_back(fraction);
    const size_t num_positive = values.size();
    for (size_t i = 0; i < num_positive; ++i) values.push_back(values[i] | 0x80000000u);
    return values;
}

/// Memory of the device with a copy of `values`.
uint32_t* device_copy(const std::vector<uint32_t>& values) {
    uint32_t* copy = nullptr;
    CHECK_CUDA(cudaMalloc(&copy, values.size() * sizeof(uint32_t)));
    CHECK_CUDA(cudaMemcpy(copy, values.data(), values.size() * sizeof(uint32_t), cudaMemcpyHostToDevice));
    return copy;
}

/// Operands of one kind: those of special values in all pairs, others as many as make sense.
uint64_t count_of(Kind kind, const std::vector<uint32_t>& special) {
    if (kind == Kind::special) return uint64_t{special.size()} * special.size();
    return kind == Kind::near ? 4ull * kChunk : kChunk;
}

template <class Op>
uint64_t compare_operation(const Chunk& chunk, const std::vector<uint32_t>& special) {
    uint32_t* const device_special = device_copy(special);
    const auto num_special = static_cast<uint32_t>(special.size());
    uint64_t num_wrong = 0;
    for (const auto& [kind, name] : kKinds) {
        const uint64_t count = count_of(kind, special);
        uint64_t num_different = 0;
        std::atomic<uint64_t> num_disagreements{0};
        for (uint64_t first = 0; first < count; first += kChunk) {
            const auto size = static_cast<uint32_t>(count - first < kChunk ? count - first : kChunk);
            apply_all<Op><<<(size + 255) / 256, 256>>>(kind, static_cast<uint32_t>(first), device_special, num_special,
                                                       chunk.device, size);
            chunk.fetch(size);
            num_different += count_differences(size, [&, kind = kind](uint64_t i) {
                bool models_agree = true;
                const auto operands = operands_of(kind, static_cast<uint32_t>(first + i), special.data(), num_special);
                const uint32_t expected = result_model<Op>(operands, models_agree);
                if (!models_agree) ++num_disagreements;
                return chunk.host[i] != expected;
            });
        }
        std::printf("%s, %s operands: %llu compared, %llu differ, host models disagree on %llu\n", Op::name, name,
                    static_cast<unsigned long long>(count), static_cast<unsigned long long>(num_different),
                    static_cast<unsigned long long>(num_disagreements));
        num_wrong += num_different + num_disagreements;
    }
    CHECK_CUDA(cudaFree(device_special));
    return num_wrong;
}

}  // namespace

int main() {
    Chunk chunk{};
    CHECK_CUDA(cudaMalloc(&chunk.device, kChunk * sizeof(uint32_t)));
    CHECK_CUDA(cudaMallocHost(&chunk.host, kChunk * sizeof(uint32_t)));

    uint64_t num_different = compare_conversions<Bf16>(chunk) + compare_widenings<Bf16>(chunk);
    num_different += compare_conversions<F16>(chunk) + compare_widenings<F16>(chunk);

    num_different += compare_conversions<E4m3>(chunk) + compare_widenings<E4m3>(chunk);

    const std::vector<uint32_t> special = special_values();
    num_different += compare_operation<Add>(chunk, special) + compare_operation<Mul>(chunk, special);
    num_different += compare_operation<Div>(chunk, special) + compare_operation<Fma>(chunk, special);
    std::printf("rounding: %llu differences\n", static_cast<unsigned long long>(num_different));
    return num_different == 0 ? 0 : 1;
}
