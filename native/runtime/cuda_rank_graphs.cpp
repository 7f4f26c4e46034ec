#include <memory>
#include <utility>

#include "runtime/cuda_kernels.hpp"
#include "runtime/cuda_rank.hpp"

namespace epgen {

CudaGraph CudaRank::make_graph(const std::vector<GraphStep>& steps) const {
    const cudaStream_t stream = capture_stream_.get();
    return CudaGraph(api_, stream, [&] {
        for (const GraphStep& step : steps) {
            if (const auto* copy = std::get_if<GraphCopy>(&step)) {
                api_.call(EPGEN_CUDA(cudaMemcpyAsync), copy->to, copy->from, copy->num_bytes, cudaMemcpyDeviceToDevice,
                          stream);
            } else {
                launch(std::get<Launch>(step), stream);
            }
        }
    });
}

/// An error is the capture's own: the rank goes on.
void CudaRank::capture(uint32_t graph_idx, std::vector<GraphStep> steps, Backend::Ready ready) {
    const auto failure = std::make_shared<std::optional<Error>>();
    const auto enqueue = [this, graph_idx, steps = std::move(steps), failure] {
        try {
            graphs_.emplace(graph_idx, make_graph(steps)).first->second.upload(stream());
        } catch (Error& error) {
            *failure = std::move(error);
        }
    };
    push(kMainStream, enqueue, [failure, ready = std::move(ready)](bool done) {
        if (!done && !*failure) *failure = Error(ErrorCode::aborted, "The group has stopped while a graph was made");
        ready(std::move(*failure));
    });
}

void CudaRank::replay(uint32_t graph_idx, End end) {
    push(kMainStream, [this, graph_idx] { graphs_.at(graph_idx).launch(stream()); }, std::move(end));
}

void CudaRank::free_graph(uint32_t graph_idx) {
    worker_.push([this, graph_idx] { graphs_.erase(graph_idx); });
}

/// With all that a graph can hold: what launching one loads is then there. Before warm_up() of any rank, which waits for
/// its device and so ends what another rank on that device is capturing. The graph stays: ending it may wait for kernels
/// of other groups.
std::future<void> CudaRank::warm_up_graph() {
    return worker_.ask([this] {
        constexpr uint64_t kNumBytes = 128;
        const cudaStream_t captured = capture_stream_.get();
        first_graph_.emplace(api_, captured, [&] {
            launch_small(kDelayKernel, DelayArgs{0, abort_word()}, captured);
            api_.call(EPGEN_CUDA(cudaMemcpyAsync), arena_.get() + kNumBytes, arena_.get(), kNumBytes,
                      cudaMemcpyDeviceToDevice, captured);
        });
        first_graph_->upload(stream());
        first_graph_->launch(stream());
        api_.call(EPGEN_CUDA(cudaStreamSynchronize), stream());
    });
}

}  // namespace epgen
