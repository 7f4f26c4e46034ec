#include "runtime/cuda_pointer.hpp"

#include "runtime/cuda_driver.hpp"

namespace epgen {

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
    const auto get_address_range = driver_function<CUdeviceptr*, size_t*, CUdeviceptr>(api, "cuMemGetAddressRange");
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
