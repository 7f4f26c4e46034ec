// Which device a thread's calls are for, where the thread is the caller's.
#pragma once

#include <cuda.h>

#include "runtime/cuda_api.hpp"

namespace epgen {

/// The context of the device that is current in this thread; null where there is none.
CUcontext current_context(const CudaApi& api);

/// Makes a context current in this thread for as long as it lives; does nothing with null. What a thread had before may be
/// nothing: cudaSetDevice couldn't give that back, and calls with no device make a context on device 0, which takes
/// hundreds of MiB there.
class CudaContextScope {
public:
    CudaContextScope(const CudaApi& api, CUcontext context);
    ~CudaContextScope();
    CudaContextScope(const CudaContextScope&) = delete;
    CudaContextScope& operator=(const CudaContextScope&) = delete;

private:
    CUresult (*pop_)(CUcontext*) = nullptr;
};

}  // namespace epgen
