// Device side of the wire probe. Self-contained: it must keep measuring the machine when the product's primitives change.
//
// Every spin has a deadline. A block that reaches it sets its rank's error word and leaves; the host then stops.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace probe {

constexpr int kMaxRanks = 8;
constexpr uint64_t kDeadlineNs = 3'000'000'000;

/// The start of every rank's memory. Written by all ranks.
struct Control {
    uint32_t error;
    uint32_t pad0[31];
    uint32_t at_start_line;  // ranks × runs so far
    uint32_t pad1[31];
    uint32_t arrivals;
    uint32_t pad2[31];
    alignas(128) uint64_t flag[2][16];          // ping and pong, a line each
    alignas(128) uint64_t words[2][kMaxRanks][512];  // [parity][source][word]
};

struct Peers {
    std::byte* base[kMaxRanks];
    __device__ Control* control(uint32_t rank) const { return reinterpret_cast<Control*>(base[rank]); }
};

/// How one rank's rows travel.
struct Flow {
    Peers peers;
    uint32_t rank, num_ranks, num_tokens;
    uint32_t row_bytes, piece_bytes, pieces_per_row;
    uint32_t num_stages;      // where it is a launch argument
    uint32_t pace_cycles;     // at least so many from one store of a warp to its next; 0: no pace
    uint64_t source_offset;   // [token][row]
    uint64_t target_offset;   // [source rank][token][row]
    const uint8_t* masks;     // [token], bit d: goes to rank d
    __device__ uint32_t bytes_of(uint32_t piece) const {
        return piece + 1 == pieces_per_row ? row_bytes - piece * piece_bytes : piece_bytes;
    }
    __device__ std::byte* source(uint32_t token, uint32_t piece) const {
        return peers.base[rank] + source_offset + uint64_t{token} * row_bytes + piece * piece_bytes;
    }
    __device__ std::byte* target(uint32_t at, uint32_t from, uint32_t token, uint32_t piece) const {
        return peers.base[at] + target_offset + (uint64_t{from} * num_tokens + token) * row_bytes + piece * piece_bytes;
    }
};

// ---- instructions

__device__ inline uint64_t now_ns() { uint64_t t; asm volatile("mov.u64 %0, %globaltimer;" : "=l"(t)); return t; }
__device__ inline uint32_t smem(const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }
__device__ inline void bulk_load(void* to, const void* from, uint32_t bytes, uint64_t* bar) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(smem(to)), "l"(from), "r"(bytes), "r"(smem(bar)) : "memory");
}
__device__ inline void bulk_store(void* to, const void* from, uint32_t bytes) {
    asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(to), "r"(smem(from)), "r"(bytes) : "memory");
}
__device__ inline void bulk_commit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
template <int N> __device__ inline void bulk_wait() { asm volatile("cp.async.bulk.wait_group %0;" ::"n"(N) : "memory"); }
template <int N> __device__ inline void bulk_wait_read() { asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(N) : "memory"); }
__device__ inline void fence_async() { asm volatile("fence.proxy.async;" ::: "memory"); }
__device__ inline void bar_init(uint64_t* bar, uint32_t n) { asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(smem(bar)), "r"(n) : "memory"); }
__device__ inline void bar_fence() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
__device__ inline void bar_expect(uint64_t* bar, uint32_t bytes) { asm volatile("mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%0], %1;" ::"r"(smem(bar)), "r"(bytes) : "memory"); }
__device__ inline void bar_arrive(uint64_t* bar) { asm volatile("mbarrier.arrive.release.cta.shared::cta.b64 _, [%0];" ::"r"(smem(bar)) : "memory"); }
__device__ inline bool bar_try(uint64_t* bar, uint32_t parity) {
    uint32_t done;
    asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.acquire.cta.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}" : "=r"(done) : "r"(smem(bar)), "r"(parity) : "memory");
    return done != 0;
}
__device__ inline uint32_t ld_acquire(const uint32_t* p) { uint32_t v; asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(v) : "l"(p) : "memory"); return v; }
__device__ inline uint64_t ld_acquire(const uint64_t* p) { uint64_t v; asm volatile("ld.acquire.sys.global.u64 %0, [%1];" : "=l"(v) : "l"(p) : "memory"); return v; }
__device__ inline uint64_t ld_relaxed(const uint64_t* p) { uint64_t v; asm volatile("ld.relaxed.sys.global.u64 %0, [%1];" : "=l"(v) : "l"(p) : "memory"); return v; }
__device__ inline void st_relaxed(uint64_t* p, uint64_t v) { asm volatile("st.relaxed.sys.global.u64 [%0], %1;" ::"l"(p), "l"(v) : "memory"); }
__device__ inline void st_release(uint64_t* p, uint64_t v) { asm volatile("st.release.sys.global.u64 [%0], %1;" ::"l"(p), "l"(v) : "memory"); }
__device__ inline void red_release(uint32_t* p, uint32_t v) { asm volatile("red.release.sys.global.add.u32 [%0], %1;" ::"l"(p), "r"(v) : "memory"); }

/// Polls until `done()`; false after the deadline, with the rank's error word set.
template <class Done>
__device__ inline bool spin(Control* control, uint32_t code, Done done) {
    uint64_t start = 0;
    for (uint32_t polls = 1;; ++polls) {
        if (done()) return true;
        if (polls % 256 != 0) continue;
        const uint64_t now = now_ns();
        if (start == 0) start = now;
        if (now - start > kDeadlineNs) {
            atomicExch(&control->error, code);
            return false;
        }
    }
}
__device__ inline bool bar_wait(Control* control, uint64_t* bar, uint32_t parity) {
    return spin(control, 1, [&] { return bar_try(bar, parity); });
}

// ---- start line

/// Holds a rank's stream until the host has enqueued everything (`gate`) and every rank's device has come here.
__global__ void start_line(Peers peers, uint32_t rank, uint32_t num_ranks, uint32_t run, const volatile uint32_t* gate) {
    Control* control = peers.control(rank);
    const bool open = threadIdx.x != 0 || spin(control, 2, [&] { return static_cast<int32_t>(*gate - run) >= 0; });
    __syncwarp();
    if (threadIdx.x < num_ranks && open) red_release(&peers.control(threadIdx.x)->at_start_line, 1);
    spin(control, 3, [&] { return static_cast<int32_t>(ld_acquire(&control->at_start_line) - run * num_ranks) >= 0; });
}

__global__ void nothing() {}

// ---- bandwidth

extern __shared__ __align__(128) uint8_t dynamic_smem[];

/// Holds a warp's stores to a rate: a store may leave `cycles` after the one before, or later; what was late isn't
/// made up for.
struct Pace {
    long long next = 0;
    __device__ void hold(uint32_t cycles) {
        if (cycles == 0) return;
        long long now = clock64();
        while (now < next) now = clock64();
        next = now + cycles;
    }
};

/// A place in a ring of `size` stages, without divisions: they would cost more than a store.
struct Ring {
    uint32_t stage = 0, parity = 0;
    __device__ void advance(uint32_t size) {
        if (++stage == size) { stage = 0; parity ^= 1; }
    }
};

/// Dispatch's data path: one warp loads pieces into a ring, another stores each to all its destinations, lane d to
/// rank d. `LAG` pieces may be under way before the oldest stage is waited for and handed back.
/// SINGLY: lane 0 stores one by one, starting at another destination for every piece.
template <int LAG, bool SINGLY>
__global__ __launch_bounds__(64) void fan_push(const __grid_constant__ Flow f) {
    const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, S = f.num_stages, R = f.num_ranks;
    uint8_t* stages = dynamic_smem;
    uint64_t* full = reinterpret_cast<uint64_t*>(stages + ((S * f.piece_bytes + 127) & ~127u));
    uint64_t* empty = full + S;
    Control* control = f.peers.control(f.rank);
    if (threadIdx.x == 0) {
        for (uint32_t i = 0; i < S; ++i) { bar_init(full + i, 1); bar_init(empty + i, 1); }
        bar_fence();
    }
    __syncthreads();
    const uint32_t per = (f.num_tokens + gridDim.x - 1) / gridDim.x;
    const uint32_t first = min(f.num_tokens, blockIdx.x * per), end = min(f.num_tokens, first + per);
    Ring ring;
    if (warp == 0) {
        if (lane != 0) return;
        uint32_t fresh = S;
        const std::byte* from = f.source(first, 0);
        for (uint32_t t = first; t < end; ++t)
            for (uint32_t p = 0; p < f.pieces_per_row; ++p, ring.advance(S)) {
                const uint32_t bytes = f.bytes_of(p);
                if (fresh > 0) --fresh;
                else if (!bar_wait(control, empty + ring.stage, ring.parity ^ 1)) return;
                bar_expect(full + ring.stage, bytes);
                bulk_load(stages + ring.stage * f.piece_bytes, from, bytes, full + ring.stage);
                from += bytes;
            }
        return;
    }
    if (SINGLY && lane != 0) return;
    Ring released;
    uint32_t pending = 0, start = blockIdx.x % R;
    const uint64_t my_offset = f.target_offset + (uint64_t{f.rank} * f.num_tokens + first) * f.row_bytes;
    std::byte* mine = f.peers.base[lane < R ? lane : 0] + my_offset;
    uint64_t done = 0;
    Pace pace;
    for (uint32_t t = first; t < end; ++t) {
        const uint32_t mask = f.masks[t];
        const uint32_t num_remote = __popc(mask & ~(1u << f.rank));
        for (uint32_t p = 0; p < f.pieces_per_row; ++p, ring.advance(S)) {
            const uint32_t bytes = f.bytes_of(p);
            if (!bar_wait(control, full + ring.stage, ring.parity)) return;
            if constexpr (SINGLY) {
                for (uint32_t j = 0, d = start; j < R; ++j) {
                    if (mask >> d & 1) {
                        if (d != f.rank) pace.hold(f.pace_cycles);
                        bulk_store(f.peers.base[d] + my_offset + done, stages + ring.stage * f.piece_bytes, bytes);
                    }
                    if (++d == R) d = 0;
                }
                if (++start == R) start = 0;
            } else {
                pace.hold(f.pace_cycles * num_remote);
                if (lane < R && (mask >> lane & 1)) bulk_store(mine + done, stages + ring.stage * f.piece_bytes, bytes);
            }
            done += bytes;
            bulk_commit();
            if (++pending > LAG) {
                bulk_wait_read<LAG>();
                __syncwarp(SINGLY ? 1u : 0xffffffffu);
                if (lane == 0) bar_arrive(empty + released.stage);
                released.advance(S);
                --pending;
            }
        }
    }
    bulk_wait<0>();
}

/// The pieces of one warp among `num`: every num-th, counted over tokens first to end.
struct Share {
    uint32_t token, piece, token_step, piece_step;
    __device__ Share(const Flow& f, uint32_t me, uint32_t num, uint32_t first)
        : token(first + me / f.pieces_per_row), piece(me % f.pieces_per_row), token_step(num / f.pieces_per_row),
          piece_step(num % f.pieces_per_row) {}
    __device__ void advance(const Flow& f) {
        token += token_step;
        piece += piece_step;
        if (piece >= f.pieces_per_row) { piece -= f.pieces_per_row; ++token; }
    }
};

/// Every warp stores to one destination after the other, `STAGES` stores under way, and loads nothing: the wire alone.
/// Pulls likewise.
template <int STAGES>
__device__ void rotate_push(const Flow& f, uint8_t* stages, uint32_t me, uint32_t num, uint32_t first, uint32_t end) {
    const uint32_t R = f.num_ranks;
    uint32_t d = (f.rank + 1 + me % (R - 1)) % R;
    if (d == f.rank && ++d == R) d = 0;
    Ring ring;
    Pace pace;
    for (Share share(f, me, num, first); share.token < end; share.advance(f)) {
        const uint64_t offset = f.target_offset + (uint64_t{f.rank} * f.num_tokens + share.token) * f.row_bytes + share.piece * f.piece_bytes;
        const uint32_t bytes = f.bytes_of(share.piece);
        for (uint32_t j = 1; j < R; ++j) {
            pace.hold(f.pace_cycles);
            bulk_store(f.peers.base[d] + offset, stages + ring.stage * f.piece_bytes, bytes);
            bulk_commit();
            bulk_wait<STAGES - 1>();
            ring.advance(STAGES);
            if (++d == R) d = 0;
            if (d == f.rank && ++d == R) d = 0;
        }
    }
    bulk_wait<0>();
}
template <int STAGES>
__device__ void rotate_pull(const Flow& f, uint8_t* stages, uint64_t* full, uint32_t me, uint32_t num, uint32_t first, uint32_t end) {
    Control* control = f.peers.control(f.rank);
    const uint32_t R = f.num_ranks;
    uint32_t d = (f.rank + 1 + me % (R - 1)) % R;
    if (d == f.rank && ++d == R) d = 0;
    Ring ring;
    uint32_t fresh = STAGES;
    Pace pace;
    for (Share share(f, me, num, first); share.token < end; share.advance(f)) {
        const uint64_t offset = f.target_offset + (uint64_t{f.rank} * f.num_tokens + share.token) * f.row_bytes + share.piece * f.piece_bytes;
        const uint32_t bytes = f.bytes_of(share.piece);
        for (uint32_t j = 1; j < R; ++j) {
            if (fresh > 0) --fresh;
            else if (!bar_wait(control, full + ring.stage, ring.parity ^ 1)) return;
            pace.hold(f.pace_cycles);
            bar_expect(full + ring.stage, bytes);
            bulk_load(stages + ring.stage * f.piece_bytes, f.peers.base[d] + offset, bytes, full + ring.stage);
            ring.advance(STAGES);
            if (++d == R) d = 0;
            if (d == f.rank && ++d == R) d = 0;
        }
    }
    // The stages in the order in which their last loads were issued.
    for (uint32_t s = 0; s < STAGES; ++s, ring.advance(STAGES))
        if (s >= fresh) bar_wait(control, full + ring.stage, ring.parity ^ 1);
}

enum class Way { push, pull, mixed };

template <int STAGES>
__global__ void rotate(const __grid_constant__ Flow f, Way way) {
    const uint32_t warp = threadIdx.x / 32, num_warps = blockDim.x / 32;
    for (uint32_t i = threadIdx.x; i < num_warps * STAGES * f.piece_bytes / 4; i += blockDim.x)
        reinterpret_cast<uint32_t*>(dynamic_smem)[i] = (i + blockIdx.x * 977 + f.rank) * 2654435761u;
    uint8_t* stages = dynamic_smem + warp * STAGES * f.piece_bytes;
    uint64_t* full = reinterpret_cast<uint64_t*>(dynamic_smem + ((num_warps * STAGES * f.piece_bytes + 127) & ~127u)) + warp * STAGES;
    if (threadIdx.x % 32 == 0) for (int s = 0; s < STAGES; ++s) bar_init(full + s, 1);
    bar_fence();
    fence_async();
    __syncthreads();
    if (threadIdx.x % 32 != 0) return;
    if (way == Way::mixed) {
        const uint32_t half = f.num_tokens / 2, me = blockIdx.x / 2 * num_warps + warp, num = gridDim.x / 2 * num_warps;
        if (blockIdx.x % 2 == 0) rotate_push<STAGES>(f, stages, me, num, 0, half);
        else rotate_pull<STAGES>(f, stages, full, me, num, half, f.num_tokens);
        return;
    }
    const uint32_t me = blockIdx.x * num_warps + warp, num = gridDim.x * num_warps;
    if (way == Way::push) rotate_push<STAGES>(f, stages, me, num, 0, f.num_tokens);
    else rotate_pull<STAGES>(f, stages, full, me, num, 0, f.num_tokens);
}

// ---- low-latency sized bursts: one block a token, a row to each of `num_topk` experts (rank = expert byte)

enum class Burst { rows, rows_and_arrivals, pull };

/// `experts` [token][8]: the rank of each chosen expert. Row of (token, k) at its rank: [source][token × 8 + k].
__global__ void burst(Flow f, const uint8_t* experts, Burst what, uint32_t run, uint32_t pieces) {
    Control* control = f.peers.control(f.rank);
    uint64_t* full = reinterpret_cast<uint64_t*>(dynamic_smem);
    uint8_t* row = dynamic_smem + 128;
    const uint32_t t = blockIdx.x, lane = threadIdx.x, k = lane % 8;
    if (lane == 0) { bar_init(full, what == Burst::pull ? 8 : 1); bar_fence(); }
    __syncwarp();
    const uint32_t rank = experts[t * 8 + k];
    std::byte* at = f.peers.base[rank] + f.target_offset + (uint64_t{f.rank} * f.num_tokens * 8 + t * 8 + k) * f.row_bytes;
    if (what == Burst::pull) {
        if (lane < 8) { bar_expect(full, f.row_bytes); bulk_load(row + k * f.row_bytes, at, f.row_bytes, full); }
        bar_wait(control, full, 0);
        return;
    }
    if (lane == 0) { bar_expect(full, f.row_bytes); bulk_load(row, f.source(t, 0), f.row_bytes, full); }
    if (!bar_wait(control, full, 0)) return;
    // `pieces` lanes a row: 4 lanes × 8 rows fill the warp.
    const uint32_t part = f.row_bytes / pieces / 16 * 16, q = lane / 8;
    if (q < pieces) bulk_store(at + q * part, row + q * part, q + 1 == pieces ? f.row_bytes - q * part : part);
    bulk_commit();
    bulk_wait<0>();
    if (what == Burst::rows) return;
    fence_async();
    __syncwarp();
    if (lane < f.num_ranks) red_release(&f.peers.control(lane)->arrivals, 1);
    if (t == 0 && lane == 0)
        spin(control, 4, [&] { return static_cast<int32_t>(ld_acquire(&control->arrivals) - run * f.num_ranks * gridDim.x) >= 0; });
}

// ---- latencies

enum class Flag { relaxed, relaxed_acquire, release, red_release, fence_relaxed, vector16, row_then_release, row_then_red };

/// One thread on each of two ranks; `first` begins. Writes nanoseconds of all rounds to `out`.
__global__ void ping_pong(Peers peers, uint32_t rank, uint32_t peer, bool first, Flag how, uint32_t rounds, uint32_t row_bytes, uint64_t row_offset, uint64_t base, uint64_t* out) {
    Control* mine = peers.control(rank);
    Control* theirs = peers.control(peer);
    uint64_t* in = mine->flag[first ? 1 : 0];
    uint64_t* to = theirs->flag[first ? 0 : 1];
    uint64_t start = 0;
    for (uint32_t i = 1; i <= rounds; ++i) {
        if (i == 9 || rounds < 9) start = start == 0 ? now_ns() : start;
        for (int half = 0; half < 2; ++half) {
            const uint64_t value = base + i;
            if ((half == 0) == first) {
                if (how == Flag::row_then_release || how == Flag::row_then_red) {
                    bulk_store(peers.base[peer] + row_offset, dynamic_smem, row_bytes);
                    bulk_commit();
                    bulk_wait<0>();
                    fence_async();
                }
                switch (how) {
                    case Flag::relaxed:
                    case Flag::relaxed_acquire: st_relaxed(to, value); break;
                    case Flag::release:
                    case Flag::row_then_release: st_release(to, value); break;
                    case Flag::red_release:
                    case Flag::row_then_red: red_release(reinterpret_cast<uint32_t*>(to), 1); break;
                    case Flag::fence_relaxed: asm volatile("fence.acq_rel.sys;" ::: "memory"); st_relaxed(to, value); break;
                    case Flag::vector16:
                        asm volatile("st.volatile.global.v4.u32 [%0], {%1,%1,%1,%1};" ::"l"(to), "r"(static_cast<uint32_t>(value)) : "memory");
                        break;
                }
            } else {
                const bool ok = spin(mine, 5, [&] {
                    switch (how) {
                        case Flag::relaxed:
                        case Flag::fence_relaxed: return ld_relaxed(in) == value;
                        case Flag::red_release:
                        case Flag::row_then_red: return ld_acquire(reinterpret_cast<uint32_t*>(in)) == static_cast<uint32_t>(value);
                        case Flag::vector16: {
                            uint32_t a, b, c, d;
                            asm volatile("ld.volatile.global.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(a), "=r"(b), "=r"(c), "=r"(d) : "l"(in) : "memory");
                            const uint32_t want = static_cast<uint32_t>(value);
                            return a == want && b == want && c == want && d == want;
                        }
                        default: return ld_acquire(in) == value;
                    }
                });
                if (!ok) return;
            }
        }
    }
    *out = now_ns() - start;
}

enum class Engine { store, store_read, load };

/// One thread, one bulk copy after the other, each waited for.
__global__ void bulk_latency(Peers peers, uint32_t rank, uint32_t peer, Engine what, uint32_t bytes, uint64_t offset, uint32_t rounds, uint64_t* out) {
    uint64_t* full = reinterpret_cast<uint64_t*>(dynamic_smem);
    uint8_t* row = dynamic_smem + 128;
    bar_init(full, 1);
    bar_fence();
    uint64_t start = 0;
    for (uint32_t i = 0; i < rounds + 8; ++i) {
        if (i == 8) start = now_ns();
        std::byte* at = peers.base[peer] + offset + uint64_t{i % 64} * bytes;
        if (what == Engine::load) {
            bar_expect(full, bytes);
            bulk_load(row, at, bytes, full);
            if (!bar_wait(peers.control(rank), full, i & 1)) return;
        } else {
            bulk_store(at, row, bytes);
            bulk_commit();
            if (what == Engine::store) bulk_wait<0>(); else bulk_wait_read<0>();
        }
    }
    bulk_wait<0>();
    *out = now_ns() - start;
}

/// All ranks tell all ranks `num_words` words, `rounds` times: {value, round} in one word, relaxed both ways.
__global__ void exchange(Peers peers, uint32_t rank, uint32_t num_ranks, uint32_t num_words, uint32_t rounds, uint64_t base, uint64_t* out) {
    Control* control = peers.control(rank);
    uint64_t start = 0;
    for (uint32_t i = 1; i <= rounds; ++i) {
        if (i == 9 && threadIdx.x == 0) start = now_ns();
        const uint64_t value = base + i;
        for (uint32_t j = threadIdx.x; j < num_ranks * num_words; j += blockDim.x)
            st_relaxed(&peers.control((j / num_words + rank) % num_ranks)->words[value & 1][rank][j % num_words], value);
        bool ok = true;
        for (uint32_t j = threadIdx.x; j < num_ranks * num_words && ok; j += blockDim.x) {
            const uint64_t* word = &control->words[value & 1][j / num_words][j % num_words];
            ok = spin(control, 6, [&] { return ld_relaxed(word) == value; });
        }
        if (!__syncthreads_and(ok)) return;
    }
    if (threadIdx.x == 0) *out = now_ns() - start;
}

// ---- contents

__host__ __device__ inline uint32_t word_of(uint32_t rank, uint64_t word) {
    uint32_t h = static_cast<uint32_t>(word) * 2654435761u ^ (rank + 1) * 0x9e3779b9u;
    h ^= h >> 15; h *= 0x2c1b3c6du; h ^= h >> 12;
    return h;
}
__global__ void fill(uint32_t* to, uint64_t words, uint32_t rank) {
    for (uint64_t i = blockIdx.x * uint64_t{blockDim.x} + threadIdx.x; i < words; i += uint64_t{gridDim.x} * blockDim.x) to[i] = word_of(rank, i);
}
/// Counts words of rows that should have come from `source` and differ.
__global__ void check(const uint32_t* rows, uint32_t source, uint32_t num_tokens, uint32_t row_words, const uint8_t* masks, uint32_t me, uint32_t* bad) {
    for (uint64_t i = blockIdx.x * uint64_t{blockDim.x} + threadIdx.x; i < uint64_t{num_tokens} * row_words; i += uint64_t{gridDim.x} * blockDim.x)
        if ((masks[i / row_words] >> me & 1) && rows[i] != word_of(source, i)) atomicAdd(bad, 1u);
}

}  // namespace probe
