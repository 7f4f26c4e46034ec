// What a machine has for the CUDA backend.
#include <cuda_runtime_api.h>

#include <string>
#include <vector>

#include "runtime/backend.hpp"

namespace epgen {
namespace {

/// Nothing but the reason where a call failed, which leaves nothing to be said of devices.
std::string reason_of(cudaError_t code) {
    cudaGetLastError();
    return std::string(cudaGetErrorString(code)) + " (" + cudaGetErrorName(code) + ")";
}

Value describe_device(int device) {
    cudaDeviceProp properties{};
    char bus_id[32] = "";
    cudaGetDeviceProperties(&properties, device);
    cudaDeviceGetPCIBusId(bus_id, sizeof bus_id, device);
    return Value::Fields{
        {"ordinal", device},
        {"name", std::string(properties.name)},
        {"major", properties.major},
        {"minor", properties.minor},
        {"numSms", properties.multiProcessorCount},
        {"totalBytes", static_cast<double>(properties.totalGlobalMem)},
        {"pciBusId", std::string(bus_id)},
    };
}

/// How `from` reaches the memory of `to`. Only NVLink has atomics between devices.
const char* link_of(int from, int to) {
    int can_access = from == to, has_atomics = from == to;
    if (from == to) return "self";
    cudaDeviceCanAccessPeer(&can_access, from, to);
    cudaDeviceGetP2PAttribute(&has_atomics, cudaDevP2PAttrNativeAtomicSupported, from, to);
    return !can_access ? "none" : has_atomics ? "nvlink" : "pcie";
}

}  // namespace

Value probe_backend() {
    int driver = 0, runtime = 0, num_devices = 0;
    if (cudaDriverGetVersion(&driver) != cudaSuccess) driver = 0;
    cudaRuntimeGetVersion(&runtime);
    const cudaError_t code = cudaGetDeviceCount(&num_devices);
    Value reason;
    if (code != cudaSuccess) {
        reason = reason_of(code);
        num_devices = 0;
    }
    Value::List devices, links, peer_access;
    for (int from = 0; from < num_devices; ++from) {
        devices.push_back(describe_device(from));
        std::vector<std::string> row;
        std::vector<bool> access;
        for (int to = 0; to < num_devices; ++to) {
            row.push_back(link_of(from, to));
            access.push_back(row.back() != "none");
        }
        links.push_back(Value::List(row.begin(), row.end()));
        peer_access.push_back(Value::List(access.begin(), access.end()));
    }
    return Value::Fields{
        {"driver", driver == 0 ? Value() : Value(driver)},
        {"runtime", runtime},
        {"devices", std::move(devices)},
        {"links", std::move(links)},
        {"peerAccess", std::move(peer_access)},
        {"reason", std::move(reason)},
    };
}

}  // namespace epgen
