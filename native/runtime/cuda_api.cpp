#include "runtime/cuda_api.hpp"

namespace epgen {

Error cuda_error(const char* call, cudaError_t code, uint32_t device, const std::string& purpose) {
    const std::string name = cudaGetErrorName(code);
    cudaGetLastError();  // or a later check in this thread would find it again
    return {ErrorCode::cuda,
            std::string(call) + purpose + " failed on device " + std::to_string(device) + ": " +
                cudaGetErrorString(code) + " (" + name + ")",
            Value::Fields{
                {"kind", "cuda"},
                {"call", call},
                {"code", static_cast<uint32_t>(code)},
                {"name", name},
                {"device", device},
            }};
}

void ignore_other_captures() {
    cudaStreamCaptureMode mode = cudaStreamCaptureModeThreadLocal;
    cudaThreadExchangeStreamCaptureMode(&mode);
}

}  // namespace epgen
