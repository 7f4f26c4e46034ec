#include "runtime/cuda_pointer.hpp"

#include <cuda.h>

namespace epgen {
namespace {

using GetAddressRange = CUresult (*)(CUdeviceptr* base, size_t* size, CUdeviceptr address);

/// Asked of the runtime, so that the addon needs no driver library to load.
GetAddressRange address_range_function(const CudaApi& api) {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult result{};
    constexpr unsigned kVersion = 12000;
    const cudaError_t code = api.attempt(EPGEN_CUDA(cudaGetDriverEntryPointByVersion), "cuMemGetAddressRange",
                                         &function, kVersion, cudaEnableDefault, &result);
    return code == cudaSuccess ? reinterpret_cast<GetAddressRange>(function) : nullptr;
}

}  // namespace

std::optional<std::string> refusal_of(const CudaApi& api, uint64_t address, uint64_t num_bytes) {
    cudaPointerAttributes attributes{};
    const auto* pointer = reinterpret_cast<const void*>(address);
    const cudaError_t code = api.attempt(EPGEN_CUDA(cudaPointerGetAttributes), &attributes, pointer);
    if (code != cudaSuccess) {
        cudaGetLastError();
        return "an address that CUDA does not know";
    }
    switch (attributes.type) {
        case cudaMemoryTypeUnregistered: return "host memory";
        case cudaMemoryTypeHost: return "pinned host memory";
        case cudaMemoryTypeManaged: return "managed memory";
        case cudaMemoryTypeDevice: break;
    }
    if (attributes.device != static_cast<int>(api.device())) {
        return "memory of device " + std::to_string(attributes.device);
    }
    CUdeviceptr base = 0;
    size_t size = 0;
    const GetAddressRange get_address_range = address_range_function(api);
    if (!get_address_range || get_address_range(&base, &size, address) != CUDA_SUCCESS) {
        return "memory of unknown size";
    }
    const uint64_t offset = address - base;
    if (num_bytes > size - offset) {
        return std::to_string(size - offset) + " bytes before the end of an allocation";
    }
    return std::nullopt;
}

}  // namespace epgen
