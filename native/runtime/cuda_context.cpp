#include "runtime/cuda_context.hpp"

#include "runtime/cuda_driver.hpp"

namespace epgen {

CUcontext current_context(const CudaApi& api) {
    CUcontext context = nullptr;
    const auto get = driver_function<CUcontext*>(api, "cuCtxGetCurrent");
    return get && get(&context) == CUDA_SUCCESS ? context : nullptr;
}

CudaContextScope::CudaContextScope(const CudaApi& api, CUcontext context) {
    if (context == nullptr) return;
    const auto push = driver_function<CUcontext>(api, "cuCtxPushCurrent");
    const auto pop = driver_function<CUcontext*>(api, "cuCtxPopCurrent");
    if (push && pop && push(context) == CUDA_SUCCESS) pop_ = pop;
}

CudaContextScope::~CudaContextScope() {
    CUcontext context;
    if (pop_) pop_(&context);
}

}  // namespace epgen
