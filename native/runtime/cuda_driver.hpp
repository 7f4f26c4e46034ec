// Functions of the CUDA driver, asked of the runtime, so that the addon needs no driver library to load.
#pragma once

#include <cuda.h>

#include "runtime/cuda_api.hpp"

namespace epgen {

/// The function of this name; null where the driver has none.
template <class... Arguments>
CUresult (*driver_function(const CudaApi& api, const char* name))(Arguments...) {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult result{};
    constexpr unsigned kVersion = 12000;
    const cudaError_t code = api.attempt(EPGEN_CUDA(cudaGetDriverEntryPointByVersion), name, &function, kVersion,
                                         cudaEnableDefault, &result);
    return code == cudaSuccess ? reinterpret_cast<CUresult (*)(Arguments...)>(function) : nullptr;
}

}  // namespace epgen
