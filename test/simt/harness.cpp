#include "harness.hpp"

#include <cstdio>
#include <cstring>

namespace epgen::test {

namespace {
std::string failure;
}

std::vector<Case>& cases() {
    static std::vector<Case> all;
    return all;
}

void expect(bool holds, const std::string& what) {
    if (!holds && failure.empty()) failure = what;
}

void expect_contains(const std::string& text, const std::string& part) {
    expect(text.find(part) != std::string::npos, "expected \"" + part + "\" in \"" + text + "\"");
}

void note(const std::string& text) { std::printf("note %s\n", text.c_str()); }

Group::Group(uint32_t num_ranks, uint64_t seed, MachineOptions options) : num_ranks_(num_ranks) {
    for (uint32_t rank_idx = 0; rank_idx < num_ranks; ++rank_idx) windows_.emplace_back(sizeof(Control) + kDataBytes);
    options.num_ranks = num_ranks;
    options.seed = seed;
    options.on_fault = [this](const FaultReport& report) { faults.push_back(report); };
    options.on_timeout = [this](const Timeout& timeout) { timeouts.push_back(timeout); };
    options.on_host_store = [this](const void* address) {
        host_stores.push_back(address);
        if (on_host_store) on_host_store(address);
    };
    machine = std::make_unique<Machine>(std::move(options));
    for (uint32_t rank_idx = 0; rank_idx < num_ranks; ++rank_idx) {
        machine->add_region({"window", rank_idx, windows_[rank_idx].data(), windows_[rank_idx].size()});
    }
}

void Group::enqueue(uint32_t rank_idx, const KernelEntry& entry, uint32_t grid, uint32_t parameter,
                    uint64_t deadline_ns) {
    Args args{rank_idx, num_ranks_, deadline_ns, &records[rank_idx], {}, parameter};
    for (uint32_t peer_idx = 0; peer_idx < num_ranks_; ++peer_idx) {
        args.windows.base[peer_idx] = windows_[peer_idx].data();
    }
    std::vector<std::byte> bytes(sizeof args);
    std::memcpy(bytes.data(), &args, sizeof args);
    machine->enqueue(rank_idx, Kernel{&entry, grid, std::move(bytes), {}});
}

void Group::enqueue_all(const KernelEntry& entry, uint32_t grid, uint32_t parameter, uint64_t deadline_ns) {
    machine->hold();
    for (uint32_t rank_idx = 0; rank_idx < num_ranks_; ++rank_idx) {
        enqueue(rank_idx, entry, grid, parameter, deadline_ns);
    }
    machine->release();
}

Status Group::wait() {
    Status status = Status::done;
    for (uint32_t rank_idx = 0; rank_idx < num_ranks_; ++rank_idx) {
        std::promise<Status> reached;
        machine->enqueue(rank_idx, Callback{[&](Status end) { reached.set_value(end); }});
        if (reached.get_future().get() == Status::dropped) status = Status::dropped;
    }
    return status;
}

}  // namespace epgen::test

int main(int argc, char** argv) {
    using namespace epgen::test;
    bool is_ok = true;
    for (const Case& test : cases()) {
        if (argc > 1 && std::strstr(test.name, argv[1]) == nullptr) continue;
        failure.clear();
        test.body();
        std::printf(failure.empty() ? "ok %s\n" : "FAIL %s: %s\n", test.name, failure.c_str());
        std::fflush(stdout);
        is_ok = is_ok && failure.empty();
    }
    return is_ok ? 0 : 1;
}
