#include "runtime/cuda_graph.hpp"

#include <memory>

namespace epgen {
namespace {

using CapturedGraph = std::unique_ptr<std::remove_pointer_t<cudaGraph_t>, CudaDestroy<cudaGraphDestroy>>;

/// Ends the capture of `stream`; null where something made it invalid.
CapturedGraph end_capture(const CudaApi& api, cudaStream_t stream, cudaError_t& code) {
    cudaGraph_t graph = nullptr;
    code = api.attempt(EPGEN_CUDA(cudaStreamEndCapture), stream, &graph);
    return CapturedGraph(graph);
}

}  // namespace

CudaGraph::CudaGraph(const CudaApi& api, cudaStream_t stream, const std::function<void()>& enqueue) : api_(api) {
    // Other threads may do as they please meanwhile, and other groups of the process too.
    api.call(EPGEN_CUDA(cudaStreamBeginCapture), stream, cudaStreamCaptureModeThreadLocal);
    cudaError_t code;
    try {
        enqueue();
    } catch (...) {
        end_capture(api, stream, code);
        cudaGetLastError();  // told already; the next call must not find it
        throw;
    }
    const CapturedGraph graph = end_capture(api, stream, code);
    if (code != cudaSuccess) throw cuda_error("cudaStreamEndCapture", code, api.device());
    cudaGraphExec_t exec;
    api.call(EPGEN_CUDA(cudaGraphInstantiate), &exec, graph.get(), 0ull);
    exec_.reset(exec);
}

}  // namespace epgen
