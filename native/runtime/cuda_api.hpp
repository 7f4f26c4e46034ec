// The one way to the CUDA runtime: every call is checked, and its name is kept when somebody wants to know.
#pragma once

#include <cuda_runtime_api.h>

#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "runtime/error.hpp"

namespace epgen {

/// A call that failed; `purpose` says what for, as in " for the window of rank 3".
Error cuda_error(const char* call, cudaError_t code, uint32_t device, const std::string& purpose = "");

/// For a thread of our own: calls of it would fail while another thread captures in mode Global, and end that capture.
void ignore_other_captures();

/// Names of calls, each once. Members may be called from any thread.
class CudaCallNames {
public:
    void add(const char* name) {
        const std::lock_guard lock(mutex_);
        names_.insert(name);
    }
    void clear() {
        const std::lock_guard lock(mutex_);
        names_.clear();
    }
    std::vector<std::string> list() const {
        const std::lock_guard lock(mutex_);
        return {names_.begin(), names_.end()};
    }

private:
    mutable std::mutex mutex_;
    std::set<std::string> names_;
};

/// Calls on behalf of one device.
class CudaApi {
public:
    CudaApi(uint32_t device, CudaCallNames& names) : device_(device), names_(names) {}

    uint32_t device() const { return device_; }

    template <class Function, class... Arguments>
    cudaError_t attempt(const char* name, Function function, Arguments... arguments) const {
        names_.add(name);
        return function(arguments...);
    }

    /// Throws what failed.
    template <class Function, class... Arguments>
    void call(const char* name, Function function, Arguments... arguments) const {
        const cudaError_t code = attempt(name, function, arguments...);
        if (code != cudaSuccess) throw cuda_error(name, code, device_);
    }

private:
    uint32_t device_;
    CudaCallNames& names_;
};

}  // namespace epgen

/// A function of the CUDA runtime and its name, as the first arguments of CudaApi's members.
#define EPGEN_CUDA(function) #function, function
