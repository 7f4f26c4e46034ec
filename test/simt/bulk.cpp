// mbarriers and bulk copies.
#include <cstring>
#include <vector>

#include "harness.hpp"
#include "simt/mbarrier.hpp"

namespace epgen::test {

constexpr uint32_t kNumStages = 3;
constexpr uint32_t kPieceBytes = 512;
constexpr uint32_t kNumPieces = 40;

struct Ring {
    alignas(128) uint8_t stages[kNumStages][kPieceBytes];
    Mbarrier full[kNumStages];
    Mbarrier empty[kNumStages];
};

/// Warp 0 loads pieces of this rank's data; warp 1 stores them behind the other rank's data.
static void ring_body(const Args& args) {
    const auto ring = shared_memory<Ring>();
    const auto stages = EPGEN_FIELD(ring, stages);
    const auto full = EPGEN_FIELD(ring, full);
    const auto empty = EPGEN_FIELD(ring, empty);
    if (thread_idx() < kNumStages) {
        mbarrier_init(full + thread_idx(), 1);
        mbarrier_init(empty + thread_idx(), 1);
        fence_mbarrier_init();
    }
    sync_block();
    const uint32_t peer_idx = (args.rank_idx + 1) % args.num_ranks;
    const auto from = local_region(args.windows, args.rank_idx, kDataRegion);
    const auto to = peer_region(args.windows, peer_idx, kDataRegion) + kNumPieces * kPieceBytes;
    const Call call = args.call();
    RingPosition<kNumStages> position;
    if (warp_idx() == 0 && lane_idx() == 0) {
        for (uint32_t piece = 0; piece < kNumPieces; ++piece, position.advance()) {
            if (!position.is_fresh()) {
                wait_mbarrier(call, {Phase::stage_empty, -1, 0}, empty + position.stage_idx, position.empty_parity());
            }
            mbarrier_arrive_expect_tx(full + position.stage_idx, kPieceBytes);
            bulk_load(stages + position.stage_idx * kPieceBytes, from + piece * kPieceBytes, kPieceBytes,
                      full + position.stage_idx);
        }
    } else if (warp_idx() == 1) {
        for (uint32_t piece = 0; piece < kNumPieces; ++piece, position.advance()) {
            wait_mbarrier_warp(call, {Phase::stage_full, -1, 0}, full + position.stage_idx, position.full_parity());
            if (lane_idx() == 0) {
                bulk_store(to + piece * kPieceBytes, stages + position.stage_idx * kPieceBytes, kPieceBytes);
                bulk_commit_group();
                bulk_wait_group_read<0>();
                mbarrier_arrive(empty + position.stage_idx);
            }
            sync_warp();
        }
        if (lane_idx() == 0) {
            bulk_wait_group<0>();
            fence_proxy_async();
            red_add_release_sys(EPGEN_FIELD(args.control_of(peer_idx), counter), 1);
        }
    }
    if (thread_idx() == 0) {
        const Site site{Phase::arrivals, static_cast<int32_t>(peer_idx), 0};
        wait_acquire_sys(call, site, EPGEN_FIELD(args.control(), counter), AtLeast{1});
    }
    sync_block();
    const auto got = from + kNumPieces * kPieceBytes;
    uint32_t sum = 0;
    for (uint32_t idx = thread_idx(); idx < kNumPieces * kPieceBytes; idx += num_threads()) sum += ld(got + idx);
    st(args.results() + thread_idx(), sum);
}
EPGEN_KERNEL(ring, Args, ring_body, 64, Ring)

CASE("a ring of bulk loads and stores carries rows between two ranks") {
    for (uint64_t seed = 1; seed <= 50; ++seed) {
        Group group(2, seed);
        for (uint32_t rank_idx = 0; rank_idx < 2; ++rank_idx) {
            for (uint32_t idx = 0; idx < kNumPieces * kPieceBytes; ++idx) {
                group.data(rank_idx)[idx] = static_cast<uint8_t>(idx * 7 + idx / 251 + rank_idx);
            }
        }
        group.enqueue_all(ring_entry, 1);
        expect(group.wait() == Status::done, group.fault().message);
        for (uint32_t rank_idx = 0; rank_idx < 2; ++rank_idx) {
            const bool same = std::memcmp(group.data(1 - rank_idx) + kNumPieces * kPieceBytes, group.data(rank_idx),
                                          kNumPieces * kPieceBytes) == 0;
            expect(same, "bytes of seed " + std::to_string(seed));
            uint32_t sum = 0;
            for (uint32_t thread = 0; thread < 64; ++thread) sum += group.control(1 - rank_idx).results[thread];
            uint32_t wanted = 0;
            for (uint32_t idx = 0; idx < kNumPieces * kPieceBytes; ++idx) wanted += group.data(rank_idx)[idx];
            expect(sum == wanted, "seen after the arrival, seed " + std::to_string(seed));
        }
    }
}

struct Row {
    alignas(128) uint8_t bytes[256];
    Mbarrier full;
};

/// Announces a stored row after bulk_wait_group, or, wrongly, after bulk_wait_group_read.
static void announce_body(const Args& args) {
    const auto smem = shared_memory<Row>();
    const auto bytes = EPGEN_FIELD(smem, bytes);
    if (thread_idx() == 0 && args.rank_idx == 0) {
        for (uint32_t idx = 0; idx < 256; ++idx) st(bytes + idx, 7);
        fence_proxy_async_shared();
        bulk_store(peer_region(args.windows, 1, kDataRegion), bytes, 256);
        bulk_commit_group();
        if (args.parameter == 0) {
            bulk_wait_group<0>();
        } else {
            bulk_wait_group_read<0>();
        }
        for (uint32_t idx = 0; idx < 256; ++idx) st(bytes + idx, 9);
        red_add_release_sys(EPGEN_FIELD(args.control_of(1), counter), 1);
    }
    if (thread_idx() == 0 && args.rank_idx == 1) {
        wait_acquire_sys(args.call(), {Phase::arrivals, 0, -1}, EPGEN_FIELD(args.control(), counter), AtLeast{1});
        uint32_t num_right = 0;
        const auto data = local_region(args.windows, 1, kDataRegion);
        for (uint32_t idx = 0; idx < 256; ++idx) num_right += ld(data + idx) == 7 ? 1 : 0;
        st(args.results(), num_right);
    }
}
EPGEN_KERNEL(announce, Args, announce_body, 32, Row)

CASE("bulk_wait_group_read is not enough to announce a row, bulk_wait_group is") {
    uint32_t num_torn = 0;
    for (uint64_t seed = 1; seed <= 100; ++seed) {
        for (uint32_t parameter = 0; parameter < 2; ++parameter) {
            Group group(2, seed);
            group.enqueue_all(announce_entry, 1, parameter);
            expect(group.wait() == Status::done, group.fault().message);
            const bool is_whole = group.control(1).results[0] == 256;
            if (parameter == 0) expect(is_whole, "torn row, seed " + std::to_string(seed));
            num_torn += is_whole ? 0 : 1;
            for (uint32_t idx = 0; idx < 256; ++idx) expect(group.data(1)[idx] == 7, "source was read late");
        }
    }
    expect(num_torn > 10, std::to_string(num_torn) + " of 100 schedules show the early announcement");
}

/// Two loads where the bytes of one are expected.
static void late_load_body(const Args& args) {
    const auto smem = shared_memory<Row>();
    const auto full = EPGEN_FIELD(smem, full);
    const auto from = local_region(args.windows, 0, kDataRegion);
    if (thread_idx() == 0) {
        mbarrier_init(full, 1);
        fence_mbarrier_init();
        bulk_load(EPGEN_FIELD(smem, bytes), from, 128, full);
        bulk_load(EPGEN_FIELD(smem, bytes) + 128, from, 128, full);
        mbarrier_arrive_expect_tx(full, 128);
        drain_mbarrier(full, 0);
        if (args.parameter == 1) {
            mbarrier_arrive(full);  // ends a phase more: the parity is that of the load again
        }
    }
    for (uint32_t idx = 0; idx < 400; ++idx) sync_warp();
}
EPGEN_KERNEL(late_load, Args, late_load_body, 32, Row)

CASE("a load that outlives the phase that it counts in is a fault") {
    for (uint32_t parameter = 0; parameter < 2; ++parameter) {
        uint32_t num_late = 0;
        for (uint64_t seed = 1; seed <= 20; ++seed) {
            Group group(1, seed);
            group.enqueue_all(late_load_entry, 1, parameter);
            group.wait();
            expect(group.faults.size() == 1, "seed " + std::to_string(seed) + " has no fault");
            num_late += group.fault().message.find("\"smem.full\", which was of an earlier phase") != std::string::npos;
        }
        expect(num_late > 10, std::to_string(num_late) + " of 20 schedules");
    }
}

static void misuse_body(const Args& args) {
    const auto smem = shared_memory<Row>();
    const auto bytes = EPGEN_FIELD(smem, bytes);
    const auto full = EPGEN_FIELD(smem, full);
    const auto from = local_region(args.windows, 0, kDataRegion);
    const auto to = peer_region(args.windows, 0, kDataRegion);
    if (thread_idx() != 0) return;
    const uint32_t mistake = args.parameter;
    if (mistake == 0) mbarrier_arrive(full);
    mbarrier_init(full, 1);
    if (mistake == 1) bulk_load(bytes, from, 256, full);
    fence_mbarrier_init();
    if (mistake == 2) bulk_load(bytes, from, 256, full);
    if (mistake == 3) bulk_store(to, bytes, 256);
    if (mistake == 4) bulk_load(bytes, from, 24, full);
    if (mistake == 5) bulk_load(bytes + 128, from, 256, full);
    if (mistake == 6) bulk_load(bytes + 8, from, 16, full);
    if (mistake == 7) bulk_store(to + (kDataBytes - 16), bytes, 32);
    if (mistake == 8) {
        mbarrier_arrive_expect_tx(full, 512);
        mbarrier_arrive(full);
    }
    if (mistake == 9) {
        mbarrier_arrive_expect_tx(full, 64);
        bulk_load(bytes, from, 128, full);
        drain_mbarrier(full, 0);
    }
    if (mistake == 10) {
        const auto word = Pointer<Space::shared, uint64_t>(make_pointer<Space::shared>(
            reinterpret_cast<uint64_t*>(full.raw), 1, "clobber"));
        st(word, 0);
        mbarrier_arrive(full);
    }
    if (mistake == 11) mbarrier_init(full, 1);
}
EPGEN_KERNEL(misuse, Args, misuse_body, 32, Row)

CASE("misuse of mbarriers and bulk copies is found by name") {
    const char* wanted[] = {
        "mbarrier_arrive on \"smem.full\", which was not initialised",
        "bulk_load on \"smem.full\" before fence_mbarrier_init",
        "bulk_load of 256 bytes from \"data\" to \"smem.bytes\" is not complete when its block ends",
        "bulk_store of 256 bytes from \"smem.bytes\" to \"data\" is not complete when its block ends",
        "bulk_load of 24 bytes from local \"data\" bytes 0 to 24 of 65536 to shared \"smem.bytes\" bytes 0 to 24 of "
        "256: the size is not a multiple of 16",
        "bytes 128 to 384 of 256: the destination leaves its object",
        "the destination address is not a multiple of 16",
        "to peer \"data\" bytes 65520 to 65552 of 65536: the destination leaves its object",
        "mbarrier_arrive on \"smem.full\": arrival 2 of 1 in one phase",
        "bulk_load of 128 bytes counts on mbarrier \"smem.full\", which expected fewer bytes",
        "mbarrier_arrive on \"smem.full\", which was not initialised or was overwritten",
        "mbarrier_init on \"smem.full\", which is an mbarrier already",
    };
    for (uint32_t mistake = 0; mistake < std::size(wanted); ++mistake) {
        Group group(1, mistake + 1);
        group.enqueue_all(misuse_entry, 1, mistake);
        expect(group.wait() == Status::dropped, "mistake " + std::to_string(mistake) + " was not found");
        expect_contains(group.fault().message, wanted[mistake]);
        expect_contains(group.fault().message, "at bulk.cpp:");
    }
}

CASE("fresh shared memory is never taken for an mbarrier") {
    std::vector<uint64_t> fresh(1 << 20);
    std::memset(fresh.data(), simt::kSharedPoison, fresh.size() * sizeof(uint64_t));
    uint32_t num_valid = 0;
    for (const uint64_t& word : fresh) {
        simt::MbarrierState state;
        num_valid += simt::MbarrierState::read(&word, state);
    }
    expect(num_valid == 0, std::to_string(num_valid) + " of 2^20 words");
}

}  // namespace epgen::test
