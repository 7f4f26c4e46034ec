// Accesses that leave the object of their pointer.
#include "harness.hpp"

namespace epgen::test {

struct Tails {
    uint32_t tail[8];
    uint32_t after[32];
};

// The mistake that MSCCL++ fixed in a6af3a4: all 32 lanes read an array that has an element per rank.
static void overread_body(const Args& args) {
    const auto smem = shared_memory<Tails>();
    const auto tail = EPGEN_FIELD(smem, tail);
    if (thread_idx() < 8) st(tail + thread_idx(), thread_idx());
    sync_block();
    const bool mine = lane_idx() < 8;
    const uint32_t value = args.parameter == 0 || mine ? ld(tail + lane_idx()) : 0;
    st(args.results() + thread_idx(), value);
}
EPGEN_KERNEL(overread, Args, overread_body, 64, Tails)

CASE("a read past a shared array is found by name") {
    Group group(1);
    group.enqueue_all(overread_entry, 1, 1);
    expect(group.wait() == Status::done, group.fault().message);
    group.enqueue_all(overread_entry, 1, 0);
    expect(group.wait() == Status::dropped, "not dropped");
    const FaultReport fault = group.fault();
    expect(fault.kind == FaultKind::access, "kind");
    const uint32_t lane = fault.thread_idx % 32;
    expect(lane >= 8, "lane");
    const auto text = [](uint32_t number) { return std::to_string(number); };
    expect_contains(fault.message, "ld of shared \"smem.tail\" element " + text(lane) + " of 8 at access.cpp:" +
                                       std::to_string(fault.line) + ", rank 0 block 0 thread " +
                                       text(fault.thread_idx) + " (warp " + text(fault.thread_idx / 32) + " lane " +
                                       text(lane) + ")");
}

CASE("a machine that faulted drops tasks until reset") {
    Group group(2);
    group.enqueue_all(overread_entry, 1, 0);
    expect(group.wait() == Status::dropped, "not dropped");
    group.enqueue_all(overread_entry, 1, 1);
    expect(group.wait() == Status::dropped, "ran before reset");
    group.machine->reset();
    group.enqueue_all(overread_entry, 1, 1);
    expect(group.wait() == Status::done, "dropped after reset");
    expect(group.control(1).results[3] == 3, "result");
}

static void window_body(const Args& args) {
    const auto data = peer_region(args.windows, 1, kDataRegion);
    if (args.parameter == 0) st(data + kDataBytes, 1);
    if (args.parameter == 1) st_vec16(data + 8, {});
    if (args.parameter == 2) st_release_sys(EPGEN_FIELD(args.control_of(1), word) + 1, 1);
}
EPGEN_KERNEL(window, Args, window_body, 32, Tails)

CASE("writes past a region, misaligned or past a word are found") {
    const char* wanted[] = {"st of peer \"data\" element 65536 of 65536",
                            "st_vec16 of peer \"data\" bytes 8 to 24 of 65536: the address is not a multiple of 16",
                            "st_release_sys of peer \"args.control_of(1).word\" element 1 of 1 (rank 1's window + 16)"};
    for (uint32_t parameter = 0; parameter < 3; ++parameter) {
        Group group(2);
        group.enqueue(0, window_entry, 1, parameter);
        group.wait();
        expect_contains(group.fault().message, wanted[parameter]);
    }
}

CASE("shared memory is poisoned, and no more than the launch asked for") {
    static const auto poison_body = [](const void* raw) {
        const auto& args = *static_cast<const Args*>(raw);
        if (args.parameter == 0) {
            st(args.results() + thread_idx(), ld(EPGEN_FIELD(shared_memory<Tails>(), after) + lane_idx()));
        } else {
            shared_memory<uint32_t[4096]>();
        }
    };
    static const KernelEntry poison{"poison", 32, sizeof(Tails), poison_body};
    Group group(1);
    group.enqueue_all(poison, 1, 0);
    group.wait();
    expect(group.control(0).results[5] == 0xcbcbcbcbu, "poison");
    group.enqueue_all(poison, 1, 1);
    group.wait();
    expect_contains(group.fault().message,
                    "shared_memory of 16384 bytes in kernel poison, which was launched with 160");
}

static uint32_t fill_stack(uint32_t depth) {
    volatile uint8_t bytes[512];
    bytes[depth % 512] = static_cast<uint8_t>(depth);
    sync_warp();
    return depth == 0 ? 0 : fill_stack(depth - 1) + bytes[depth % 512];
}

static void deep_body(const Args&) { fill_stack(1000); }
EPGEN_KERNEL(deep, Args, deep_body, 32, Tails)

CASE("a thread that outgrows its stack is found") {
    Group group(1);
    group.enqueue_all(deep_entry, 1);
    group.wait();
    expect(group.fault().kind == FaultKind::stack, group.fault().message);
}

}  // namespace epgen::test
