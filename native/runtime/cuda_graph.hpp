// A stream's work that was captured and can be launched as a whole.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>

#include "runtime/cuda_api.hpp"
#include "runtime/cuda_owned.hpp"

namespace epgen {

/// For the thread that makes all calls on its streams.
class CudaGraph {
public:
    /// Captures what `enqueue` puts on `stream`, which holds nothing else. Making a graph may wait for what runs on the
    /// device; launching it does not.
    CudaGraph(const CudaApi& api, cudaStream_t stream, const std::function<void()>& enqueue);

    /// What launching needs on the device is there once `stream` comes here.
    void upload(cudaStream_t stream) const { api_.call(EPGEN_CUDA(cudaGraphUpload), exec_.get(), stream); }
    void launch(cudaStream_t stream) const { api_.call(EPGEN_CUDA(cudaGraphLaunch), exec_.get(), stream); }

private:
    const CudaApi& api_;
    CudaGraphExec exec_;
};

}  // namespace epgen
