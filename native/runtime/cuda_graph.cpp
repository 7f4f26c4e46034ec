#include "runtime/cuda_graph.hpp"

#include <memory>

namespace epgen {
namespace {

constexpr uint32_t kMaxTries = 100;

using CapturedGraph = std::unique_ptr<std::remove_pointer_t<cudaGraph_t>, CudaDestroy<cudaGraphDestroy>>;

/// Ends the capture of `stream`; null where something made it invalid.
CapturedGraph end_capture(const CudaApi& api, cudaStream_t stream, cudaError_t& code) {
    cudaGraph_t graph = nullptr;
    code = api.attempt(EPGEN_CUDA(cudaStreamEndCapture), stream, &graph);
    return CapturedGraph(graph);
}

/// What `enqueue` puts on `stream`; null where the capture became invalid and may be tried again.
CapturedGraph captured(const CudaApi& api, cudaStream_t stream, const std::function<void()>& enqueue, bool may_retry) {
    // Other threads may do as they please meanwhile, and other groups of the process too.
    api.call(EPGEN_CUDA(cudaStreamBeginCapture), stream, cudaStreamCaptureModeThreadLocal);
    cudaError_t code;
    try {
        enqueue();
    } catch (...) {
        end_capture(api, stream, code);
        cudaGetLastError();  // told already; the next call must not find it
        if (code == cudaErrorStreamCaptureInvalidated && may_retry) return nullptr;
        throw;
    }
    CapturedGraph graph = end_capture(api, stream, code);
    if (code == cudaErrorStreamCaptureInvalidated && may_retry) {
        cudaGetLastError();
        return nullptr;
    }
    if (code != cudaSuccess) throw cuda_error("cudaStreamEndCapture", code, api.device());
    return graph;
}

}  // namespace

CudaGraph::CudaGraph(const CudaApi& api, cudaStream_t stream, const std::function<void()>& enqueue) : api_(api) {
    CapturedGraph graph;
    // Whoever waits for the whole device meanwhile makes a capture invalid.
    for (uint32_t num_tries = 1; !graph; ++num_tries) {
        graph = captured(api, stream, enqueue, num_tries < kMaxTries);
    }
    cudaGraphExec_t exec;
    api.call(EPGEN_CUDA(cudaGraphInstantiate), &exec, graph.get(), 0ull);
    exec_.reset(exec);
}

}  // namespace epgen
