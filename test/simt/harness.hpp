// Cases by name, and a small group of ranks to run kernels on.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "device/device.cuh"
#include "simt/machine.hpp"

namespace epgen::test {

using simt::BlockOrder;
using simt::Bytes;
using simt::Callback;
using simt::Copy;
using simt::Counters;
using simt::Delay;
using simt::Download;
using simt::FaultKind;
using simt::FaultReport;
using simt::Fill;
using simt::Kernel;
using simt::Machine;
using simt::MachineOptions;
using simt::Policy;
using simt::Reservation;
using simt::Status;
using simt::Timeout;
using simt::Upload;
using simt::Waiting;

struct Case {
    const char* name;
    void (*body)();
};
std::vector<Case>& cases();
struct Registration {
    Registration(const char* name, void (*body)()) { cases().push_back({name, body}); }
};

/// Fails the running case, with the value that was not as expected.
void expect(bool holds, const std::string& what);
void expect_contains(const std::string& text, const std::string& part);
/// Prints a line that the test shows and doesn't check.
void note(const std::string& text);

#define EPGEN_CASE(name, number)                                                       \
    static void case_##number();                                                         \
    static const ::epgen::test::Registration registration_##number(name, case_##number); \
    static void case_##number()
#define EPGEN_NUMBERED_CASE(name, number) EPGEN_CASE(name, number)
/// A case of this name; the test runner reads the names from the sources.
#define CASE(name) EPGEN_NUMBERED_CASE(name, __COUNTER__)

constexpr uint64_t kDataBytes = 1 << 16;

/// What every window of the tests begins with.
struct Control {
    uint32_t abort;
    uint32_t counter;
    uint64_t word;
    uint32_t results[1024];
};

inline constexpr Region<uint8_t> kDataRegion{sizeof(Control), kDataBytes, kDataBytes, 1, "data"};

/// Arguments of all test kernels.
struct Args {
    uint32_t rank_idx;
    uint32_t num_ranks;
    uint64_t deadline_ns;
    FaultRecord* fault;
    Windows windows;
    uint32_t parameter;

    Call call(Op op = Op::dispatch, uint32_t epoch = 1) const {
        return {op, rank_idx, num_ranks, epoch, deadline_ns, fault, windows.base};
    }
    local<Control> control() const {
        return make_local(reinterpret_cast<Control*>(windows.base[rank_idx]), 1, "control");
    }
    peer<Control> control_of(uint32_t peer_idx) const {
        return make_pointer<Space::peer>(reinterpret_cast<Control*>(windows.base[peer_idx]), 1, "control");
    }
    local<uint32_t> results() const { return member(control(), &Control::results, "control.results"); }
};

/// A machine with windows, and what its hooks reported.
class Group {
public:
    explicit Group(uint32_t num_ranks, uint64_t seed = 1, MachineOptions options = {});

    void enqueue(uint32_t rank_idx, const KernelEntry& entry, uint32_t grid, uint32_t parameter = 0,
                 uint64_t deadline_ns = 10'000'000'000);
    void enqueue_all(const KernelEntry& entry, uint32_t grid, uint32_t parameter = 0,
                     uint64_t deadline_ns = 10'000'000'000);
    /// Until everything enqueued so far has ended; `done` when nothing was dropped.
    Status wait();
    Control& control(uint32_t rank_idx) { return *reinterpret_cast<Control*>(windows_[rank_idx].data()); }
    uint8_t* data(uint32_t rank_idx) {
        return reinterpret_cast<uint8_t*>(windows_[rank_idx].data()) + kDataRegion.offset_bytes;
    }
    /// The only fault so far, or an empty one.
    FaultReport fault() const { return faults.size() == 1 ? faults[0] : FaultReport{}; }

    std::vector<FaultReport> faults;
    std::vector<Timeout> timeouts;
    std::vector<const void*> host_stores;
    std::function<void(const void* address)> on_host_store;
    FaultRecord records[kMaxRanks] = {};

private:
    uint32_t num_ranks_;
    std::vector<Reservation> windows_;

public:
    std::unique_ptr<Machine> machine;
};

}  // namespace epgen::test
