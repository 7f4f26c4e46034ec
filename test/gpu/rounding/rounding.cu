// Compares the arithmetic of device/numeric.cuh with exact models on the host: every f32 -> bf16 and f32 -> f16
// conversion, every one back, and sums of special, random and nearly cancelling pairs. Prints counts; exits with 0 when
// no bit differs.

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

struct Pair {
    uint32_t a;
    uint32_t b;
};

/// Pair `i` of a kind of sums; `special` has `num_special` bit patterns.
enum class Kind : uint32_t { special, random, near, cancelling, denormal };

__host__ __device__ Pair pair_of(Kind kind, uint32_t i, const uint32_t* special, uint32_t num_special) {
    const uint32_t a = mix(2 * i + 1), b = mix(2 * i + 0x9e3779b9u);
    switch (kind) {
        case Kind::special: return {special[i / num_special], special[i % num_special]};
        case Kind::random: return {a, b};
        // Exponents at most 31 apart: where rounding happens.
        case Kind::near: {
            const int exponent = static_cast<int>(a >> 23 & 0xff) + static_cast<int>(mix(a) % 63) - 31;
            const uint32_t bounded = exponent < 0 ? 0 : exponent > 254 ? 254 : exponent;
            return {a, (b & 0x807fffffu) | bounded << 23};
        }
        case Kind::cancelling: return {a, (a ^ 0x80000000u) + mix(b) % 65 - 32};
        case Kind::denormal: return {a & 0x81ffffffu, b & 0x81ffffffu};
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

uint32_t bf16_value_model(uint32_t bits) { return bits << 16; }

/// Every NaN becomes 0x7fffffff.
uint32_t f16_value_model(uint32_t bits) {
    const uint32_t sign = (bits & 0x8000) << 16, exponent = bits >> 10 & 31, fraction = bits & 1023;
    if (exponent == 31) return fraction != 0 ? 0x7fffffff : sign | 0x7f800000;
    const auto steps = static_cast<float>(exponent == 0 ? fraction : 1024 + fraction);
    return sign | std::bit_cast<uint32_t>(std::ldexp(steps, static_cast<int>(exponent == 0 ? 1 : exponent) - 25));
}

/// A 16-bit type: its conversions on the device and their models.
struct Bf16 {
    static constexpr const char* name = "bf16";
    static __device__ uint32_t narrow(float lo, float hi) { return epgen::f32_to_bf16x2_rn(lo, hi); }
    static __device__ float lo(uint32_t pair) { return epgen::bf16_lo_to_f32(pair); }
    static __device__ float hi(uint32_t pair) { return epgen::bf16_hi_to_f32(pair); }
    static uint32_t narrow_model(uint32_t bits) { return bf16_model(bits); }
    static uint32_t wide_model(uint32_t bits) { return bf16_value_model(bits); }
};
struct F16 {
    static constexpr const char* name = "f16";
    static __device__ uint32_t narrow(float lo, float hi) { return epgen::f32_to_f16x2_rn(lo, hi); }
    static __device__ float lo(uint32_t pair) { return epgen::f16_lo_to_f32(pair); }
    static __device__ float hi(uint32_t pair) { return epgen::f16_hi_to_f32(pair); }
    static uint32_t narrow_model(uint32_t bits) { return f16_model(bits); }
    static uint32_t wide_model(uint32_t bits) { return f16_value_model(bits); }
};

template <class Type>
__global__ void convert_all(uint32_t first, uint32_t* pairs, uint32_t count) {
    const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const uint32_t bits = first + i;
    pairs[i] = Type::narrow(__uint_as_float(bits), __uint_as_float(~bits));
}

template <class Type>
__global__ void widen_all(uint32_t* lo, uint32_t* hi) {
    const uint32_t bits = blockIdx.x * blockDim.x + threadIdx.x;
    lo[bits] = __float_as_uint(Type::lo(bits | (bits ^ 0xffff) << 16));
    hi[bits] = __float_as_uint(Type::hi(bits << 16 | (bits ^ 0xffff)));
}

__global__ void add_all(Kind kind, uint32_t first, const uint32_t* special, uint32_t num_special, uint32_t* sums,
                        uint32_t count) {
    const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const Pair pair = pair_of(kind, first + i, special, num_special);
    sums[i] = __float_as_uint(epgen::add_rn(__uint_as_float(pair.a), __uint_as_float(pair.b)));
}

/// The sum in two ways that must agree: in f32, and in f64 rounded once more, which is exact for two f32
/// (53 >= 2 * 24 + 2). Every NaN becomes 0x7fffffff.
uint32_t sum_model(Pair pair, bool& models_agree) {
    const float a = std::bit_cast<float>(pair.a), b = std::bit_cast<float>(pair.b);
    const float narrow = a + b;
    const float wide = static_cast<float>(static_cast<double>(a) + static_cast<double>(b));
    if (std::isnan(narrow)) {
        models_agree = std::isnan(wide);
        return 0x7fffffff;
    }
    models_agree = std::bit_cast<uint32_t>(narrow) == std::bit_cast<uint32_t>(wide);
    return std::bit_cast<uint32_t>(narrow);
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
            return chunk.host[i] != (Type::narrow_model(~bits) << 16 | Type::narrow_model(bits));
        });
    }
    std::printf("f32_to_%sx2_rn: %llu floats in each half, %llu pairs differ\n", Type::name, 1ull << 32,
                static_cast<unsigned long long>(num_different));
    return num_different;
}

template <class Type>
uint64_t compare_widenings(const Chunk& chunk) {
    widen_all<Type><<<256, 256>>>(chunk.device, chunk.device + 65536);
    chunk.fetch(2 * 65536);
    const uint64_t num_different = count_differences(65536, [&](uint64_t i) {
        const uint32_t expected = Type::wide_model(static_cast<uint32_t>(i));
        return chunk.host[i] != expected || chunk.host[65536 + i] != expected;
    });
    std::printf("%s_lo_to_f32, %s_hi_to_f32: 65536 values each, %llu differ\n", Type::name, Type::name,
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

uint64_t compare_sums(const Chunk& chunk, Kind kind, const char* name, uint64_t count,
                      const std::vector<uint32_t>& special) {
    uint32_t* device_special = nullptr;
    CHECK_CUDA(cudaMalloc(&device_special, special.size() * sizeof(uint32_t)));
    CHECK_CUDA(cudaMemcpy(device_special, special.data(), special.size() * sizeof(uint32_t), cudaMemcpyHostToDevice));
    const auto num_special = static_cast<uint32_t>(special.size());
    uint64_t num_different = 0, num_disagreements = 0;
    for (uint64_t first = 0; first < count; first += kChunk) {
        const auto size = static_cast<uint32_t>(count - first < kChunk ? count - first : kChunk);
        add_all<<<(size + 255) / 256, 256>>>(kind, static_cast<uint32_t>(first), device_special, num_special,
                                             chunk.device, size);
        chunk.fetch(size);
        std::atomic<uint64_t> disagreements{0};
        num_different += count_differences(size, [&](uint64_t i) {
            bool models_agree = true;
            const Pair pair = pair_of(kind, static_cast<uint32_t>(first + i), special.data(), num_special);
            const uint32_t expected = sum_model(pair, models_agree);
            if (!models_agree) ++disagreements;
            return chunk.host[i] != expected;
        });
        num_disagreements += disagreements;
    }
    std::printf("add_rn, %s pairs: %llu compared, %llu differ, host models disagree on %llu\n", name,
                static_cast<unsigned long long>(count), static_cast<unsigned long long>(num_different),
                static_cast<unsigned long long>(num_disagreements));
    return num_different + num_disagreements;
}

}  // namespace

int main() {
    Chunk chunk{};
    CHECK_CUDA(cudaMalloc(&chunk.device, kChunk * sizeof(uint32_t)));
    CHECK_CUDA(cudaMallocHost(&chunk.host, kChunk * sizeof(uint32_t)));

    uint64_t num_different = compare_conversions<Bf16>(chunk) + compare_widenings<Bf16>(chunk);
    num_different += compare_conversions<F16>(chunk) + compare_widenings<F16>(chunk);

    const std::vector<uint32_t> special = special_values();
    const uint64_t num_special_pairs = uint64_t{special.size()} * special.size();
    num_different += compare_sums(chunk, Kind::special, "special", num_special_pairs, special);
    num_different += compare_sums(chunk, Kind::random, "random", kChunk, special);
    num_different += compare_sums(chunk, Kind::near, "near", 4ull * kChunk, special);
    num_different += compare_sums(chunk, Kind::cancelling, "cancelling", kChunk, special);
    num_different += compare_sums(chunk, Kind::denormal, "denormal", kChunk, special);
    std::printf("rounding: %llu differences\n", static_cast<unsigned long long>(num_different));
    return num_different == 0 ? 0 : 1;
}
