// What the CUDA backend does when a device fails: a module of kernels that wait, don't launch, or touch bad memory.
//
// Prints one line per check and exits with 1 if any failed. Needs two devices with access to each other.
#include <chrono>
#include <cstdio>
#include <cstring>
#include <future>
#include <optional>
#include <string>

#include "device/kernel.cuh"
#include "runtime/group.hpp"

namespace {

using namespace epgen;
using Clock = std::chrono::steady_clock;

enum class Mode { wait, unlaunchable, bad_access };

struct Args {
    const volatile uint32_t* abort_word;
    Mode mode;
};

/// Waits as for a rank that never comes, for 10 s at most.
__global__ void __launch_bounds__(32, 1) wait_or_fail(const __grid_constant__ Args args) {
    if (args.mode == Mode::bad_access) {
        *reinterpret_cast<volatile uint32_t*>(16) = 1;
        return;
    }
    for (int i = 0; i < 10'000'000 && *args.abort_word == 0; ++i) __nanosleep(1000);
}

struct CountArgs {
    CountRecord* record;
    uint32_t tag;
};
__global__ void __launch_bounds__(32, 1) count(const __grid_constant__ CountArgs args) {
    if (threadIdx.x == 0) args.record->tag = args.tag;
}

Mode mode_of_combine = Mode::wait;

template <class Kernel>
KernelEntry entry_of(const char* name, Kernel kernel) {
    KernelEntry entry{};
    entry.name = name;
    entry.num_threads = 32;
    entry.shared_bytes = 0;
    entry.function = reinterpret_cast<const void*>(kernel);
    return entry;
}
const KernelEntry wait_entry = entry_of("wait_or_fail", &wait_or_fail);
const KernelEntry counting_entry = entry_of("count", &count);

template <class T>
std::vector<std::byte> bytes_of(const T& value) {
    std::vector<std::byte> bytes(sizeof value);
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
}

const volatile uint32_t* abort_word(const std::byte* window) {
    return reinterpret_cast<const volatile uint32_t*>(window);
}

int num_failed = 0;

void check(bool holds, const std::string& what) {
    std::printf("%s %s\n", holds ? "ok  " : "FAIL", what.c_str());
    std::fflush(stdout);
    num_failed += !holds;
}

/// An operation's end, as text: empty where it succeeded.
class Ending {
public:
    Completion completion() {
        return [promise = promise_](Outcome outcome) {
            const Error* error = std::get_if<Error>(&outcome);
            promise->set_value(error ? std::string(error_code_name(error->code())) + ": " + error->message() : "");
        };
    }
    std::optional<std::string> within(std::chrono::milliseconds time) {
        if (future_.wait_for(time) != std::future_status::ready) return std::nullopt;
        return future_.get();
    }

private:
    std::shared_ptr<std::promise<std::string>> promise_ = std::make_shared<std::promise<std::string>>();
    std::future<std::string> future_ = promise_->get_future();
};

bool begins(const std::optional<std::string>& text, const char* with) {
    return text && text->rfind(with, 0) == 0;
}

std::string shown(const std::optional<std::string>& text) {
    return text ? "\"" + *text + "\"" : "(still pending)";
}

struct Calls {
    Group& group;
    uint64_t handle[2], out[2];

    explicit Calls(Group& group) : group(group) {
        for (uint32_t rank = 0; rank < 2; ++rank) {
            handle[rank] = group.allocate(rank, 4096);
            out[rank] = group.allocate(rank, 4096);
        }
    }
    void combine(uint32_t rank, Completion completion) {
        group.combine(rank, {.num_tokens = 0, .handle = handle[rank], .out = out[rank], .input_offset = 0, .grid = 1},
                      std::move(completion));
    }
};

constexpr auto kSoon = std::chrono::milliseconds(1000);

/// What a caller puts on its own stream once wait_event() has returned comes after the event.
void own_stream(Group& group) {
    cudaStream_t stream;
    int* seen;
    cudaSetDevice(0);
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    cudaHostAlloc(reinterpret_cast<void**>(&seen), sizeof *seen, 0);
    const uint32_t stream_idx = group.import_stream(0, reinterpret_cast<uint64_t>(stream));
    const uint64_t flag = group.allocate(0, sizeof *seen);
    constexpr int kNumRounds = 100;
    int num_early = 0;
    for (int i = 0; i < kNumRounds; ++i) {
        group.fill(0, flag, sizeof *seen, 0, nullptr);
        group.delay(0, kMainStream, 200'000);
        group.fill(0, flag, sizeof *seen, 1, nullptr);
        group.wait_event(0, stream_idx, group.record_event(0, kMainStream));
        cudaMemcpyAsync(seen, reinterpret_cast<void*>(flag), sizeof *seen, cudaMemcpyDeviceToHost, stream);
        cudaStreamSynchronize(stream);
        num_early += *seen != 0x01010101;
    }
    check(num_early == 0, "a caller's stream waits: " + std::to_string(num_early) + " reads came early");
    cudaFreeHost(seen);
}

void failed_launch(Group& group, Calls& calls) {
    Ending waiting, failing, reset, healthy;
    mode_of_combine = Mode::wait;
    calls.combine(0, waiting.completion());
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    mode_of_combine = Mode::unlaunchable;
    calls.combine(1, failing.completion());
    const auto culprit = failing.within(kSoon);
    check(begins(culprit, "EPGEN_CUDA: cudaLaunchKernel"), "a launch that fails says so: " + shown(culprit));
    const auto aborted = waiting.within(kSoon);
    check(begins(aborted, "EPGEN_ABORTED"), "the rank that waits is told: " + shown(aborted));
    const auto start = Clock::now();
    group.reset(0, reset.completion());
    const auto done = reset.within(kSoon);
    const auto ms = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count() / 1e3;
    check(done == "", "its kernel has left: reset after " + std::to_string(ms) + " ms " + shown(done));
    group.synchronize(0, healthy.completion());
    const auto fine = healthy.within(kSoon);
    check(fine == "", "the group goes on: " + shown(fine));
}

void sticky_error(Group& group, Calls& calls) {
    Ending waiting, failing, reset, later;
    mode_of_combine = Mode::wait;
    calls.combine(0, waiting.completion());
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    mode_of_combine = Mode::bad_access;
    calls.combine(1, failing.completion());
    const auto culprit = failing.within(kSoon);
    check(begins(culprit, "EPGEN_CUDA"), "a bad access says so: " + shown(culprit));
    const auto aborted = waiting.within(kSoon);
    check(begins(aborted, "EPGEN_ABORTED"), "the rank that waits is told: " + shown(aborted));
    group.reset(0, reset.completion());
    const auto refused = reset.within(kSoon);
    check(begins(refused, "EPGEN_CUDA"), "a device that is lost can't be reset: " + shown(refused));
    try {
        group.synchronize(0, later.completion());
        check(false, "the group stays failed");
    } catch (const Error& error) {
        check(error.code() == ErrorCode::aborted, "the group stays failed: " + error.message());
    }
}

}  // namespace

namespace epgen {

const Module& module() {
    static const Module instance = [] {
        Module m{};
        m.name = "failures";
        m.spec_hash = "";
        m.num_ranks = 2;
        m.num_channels = m.num_experts = m.num_local_experts = m.num_topk = m.num_recv_buffers = 1;
        m.max_tokens_per_rank = m.max_recv_tokens = 1;
        m.window_bytes = m.arena_bytes = 1 << 20;
        m.control_bytes = 128;
        m.handle_header_bytes = m.row_bytes = m.combine_row_bytes = 128;
        m.record_bytes = sizeof(CountRecord) + sizeof(int32_t);
        m.dispatch = [](const DispatchCall&) { return Launch{&counting_entry, 1, {}}; };
        m.combine = [](const CombineCall& call) {
            const uint32_t grid = mode_of_combine == Mode::unlaunchable ? 0 : 1;
            return Launch{&wait_entry, grid, bytes_of(Args{abort_word(call.window[call.rank_idx]), mode_of_combine})};
        };
        m.dispatch_layout = [](const DispatchLayoutCall& call) {
            return Launch{&counting_entry, 1, bytes_of(CountArgs{call.record, call.record_tag})};
        };
        m.reset_control = [](std::byte* window, uint32_t) { std::memset(window, 0, 128); };
        return m;
    }();
    return instance;
}

}  // namespace epgen

int main() {
    const GroupOptions options{
        .seed = 0, .num_windows = 1, .deadline_ms = 5000, .first_deadline_ms = 5000, .devices = {0, 1}};
    try {
        Group group(module(), options);
        Calls calls(group);
        own_stream(group);
        failed_launch(group, calls);
        failed_launch(group, calls);
        sticky_error(group, calls);
        const auto start = Clock::now();
        group.shut_down();
        const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count();
        check(ms < 2000, "shut down after " + std::to_string(ms) + " ms");
    } catch (const Error& error) {
        check(false, error.message());
    }
    std::printf("%d failed\n", num_failed);
    return num_failed != 0;
}
