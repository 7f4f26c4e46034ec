// What runs beside the calls: a GEMM that keeps its multiprocessors to itself, and knows what it has to add up to.
#pragma once

#include <cuda_bf16.h>
#include <mma.h>

#include <cstdint>

namespace soak {

constexpr uint32_t kGemmSize = 1024;
constexpr uint32_t kGemmThreads = 256;
/// So much that no block of a call fits beside it.
constexpr uint32_t kGemmSharedBytes = 200 * 1024;
/// Times that one launch multiplies.
constexpr uint32_t kGemmRounds = 4;

struct GemmArgs {
    const __nv_bfloat16* a;     // [kGemmSize][kGemmSize], by rows
    const __nv_bfloat16* b;     // the same, by columns
    unsigned long long* total;  // of all elements of all products
};

/// Adds up the elements of a · b, kGemmRounds times: a tile of 16 x 16 a warp.
__global__ void __launch_bounds__(kGemmThreads) gemm(const __grid_constant__ GemmArgs args) {
    using namespace nvcuda;
    constexpr uint32_t kTiles = kGemmSize / 16;
    const uint32_t num_warps = gridDim.x * kGemmThreads / 32, lane = threadIdx.x % 32;
    long long total = 0;
    for (uint32_t round = 0; round < kGemmRounds; ++round) {
        for (uint32_t tile = (blockIdx.x * kGemmThreads + threadIdx.x) / 32; tile < kTiles * kTiles;
             tile += num_warps) {
            wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
            wmma::fill_fragment(sum, 0.0f);
            for (uint32_t k = 0; k < kGemmSize; k += 16) {
                wmma::fragment<wmma::matrix_a, 16, 16, 16, __nv_bfloat16, wmma::row_major> a;
                wmma::fragment<wmma::matrix_b, 16, 16, 16, __nv_bfloat16, wmma::col_major> b;
                wmma::load_matrix_sync(a, args.a + tile / kTiles * 16 * kGemmSize + k, kGemmSize);
                wmma::load_matrix_sync(b, args.b + tile % kTiles * 16 * kGemmSize + k, kGemmSize);
                wmma::mma_sync(sum, a, b, sum);
            }
            for (int i = 0; i < sum.num_elements; ++i) total += static_cast<long long>(sum.x[i]);
        }
    }
    for (uint32_t distance = 16; distance > 0; distance /= 2) total += __shfl_xor_sync(0xffffffffu, total, distance);
    if (lane == 0) atomicAdd(args.total, static_cast<unsigned long long>(total));
}

}  // namespace soak
