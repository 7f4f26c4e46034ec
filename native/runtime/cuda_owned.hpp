// Owners of what the CUDA runtime gives. Giving back ignores errors: after a sticky one every call fails.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <memory>
#include <type_traits>

namespace epgen {

template <auto kDestroy>
struct CudaDestroy {
    template <class Handle>
    void operator()(Handle* handle) const {
        static_cast<void>(kDestroy(handle));
    }
};

using DeviceMemory = std::unique_ptr<std::byte, CudaDestroy<cudaFree>>;
using PinnedMemory = std::unique_ptr<std::byte, CudaDestroy<cudaFreeHost>>;
using CudaStream = std::unique_ptr<std::remove_pointer_t<cudaStream_t>, CudaDestroy<cudaStreamDestroy>>;
using CudaGraphExec =
    std::unique_ptr<std::remove_pointer_t<cudaGraphExec_t>, CudaDestroy<cudaGraphExecDestroy>>;
using CudaEvent = std::unique_ptr<std::remove_pointer_t<cudaEvent_t>, CudaDestroy<cudaEventDestroy>>;

}  // namespace epgen
