// What the wire between the GPUs of this machine does: rates, bytes in flight, latencies. One process drives all GPUs.
//
//   probe [--gpus N] [--seconds S] [--samples N] [--tokens N] [--wire ROW_BYTES] [--out FILE]
//
// With --wire only what one dispatch of so many tokens and such rows is compared with.
//
// Every measurement starts at a line that all devices cross together and is timed by events, one pair a rank. The file
// gets all samples of all ranks; what is printed are medians of the slowest rank. Nothing is asserted, except that rows
// arrive as they were sent.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <ctime>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "kernels.cuh"

using namespace probe;

#define CHECK(call)                                                                                            \
    do {                                                                                                       \
        const cudaError_t error_ = (call);                                                                     \
        if (error_ != cudaSuccess) {                                                                           \
            std::fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorString(error_));    \
            std::fflush(stdout);                                                                               \
            std::_Exit(3);                                                                                     \
        }                                                                                                      \
    } while (0)

namespace {

constexpr uint32_t kMaxTokens = 4096;
constexpr uint32_t kMaxRowBytes = 14336;
constexpr uint64_t kSourceOffset = 1 << 20;
constexpr uint64_t kTargetOffset = kSourceOffset + uint64_t{kMaxTokens} * kMaxRowBytes;
static_assert(sizeof(Control) <= kSourceOffset);

struct Device {
    cudaStream_t stream;
    cudaStream_t copy[kMaxRanks];
    cudaEvent_t begin, end, fork, join[kMaxRanks];
    std::byte* memory;
    uint8_t* masks;    // uniform routing: bit d, the token goes to rank d
    uint8_t* experts;  // rank of each of a token's experts
    uint64_t* out;     // mapped host memory
    double remote_rows;
};

uint32_t num_ranks;
uint32_t num_tokens = kMaxTokens;
Device devices[kMaxRanks];
Peers peers;
uint32_t run = 0;
volatile uint32_t* gate;
double clock_ghz = 1.98;
uint32_t num_samples = 5;
double seconds_limit = 60;
std::chrono::steady_clock::time_point started_at;
FILE* out_file;
bool is_first_test = true;
uint32_t num_skipped = 0;

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now() - started_at).count(); }
void use(uint32_t rank) { CHECK(cudaSetDevice(rank)); }
double median(std::vector<double> v) { std::sort(v.begin(), v.end()); return v.empty() ? 0 : v[v.size() / 2]; }

using Samples = std::vector<std::vector<double>>;  // [sample][rank] µs

void check_errors(const char* what) {
    for (uint32_t r = 0; r < num_ranks; ++r) {
        use(r);
        uint32_t error = 0;
        CHECK(cudaMemcpy(&error, devices[r].memory, 4, cudaMemcpyDeviceToHost));
        if (error == 0) continue;
        std::printf("gave up: rank %u passed a deadline in %s (code %u)\n", r, what, error);
        std::fflush(stdout);
        std::fprintf(out_file, "\n]}\n");
        std::fclose(out_file);
        std::_Exit(5);
    }
}

/// Times what `launch` enqueues on each rank's stream; one sample that isn't kept comes first.
Samples measure(const char* what, const std::function<void(uint32_t)>& launch, uint32_t samples = num_samples) {
    Samples result;
    for (uint32_t i = 0; i <= samples; ++i) {
        ++run;
        for (uint32_t r = 0; r < num_ranks; ++r) {
            use(r);
            start_line<<<1, 32, 0, devices[r].stream>>>(peers, r, num_ranks, run, gate);
            CHECK(cudaEventRecord(devices[r].begin, devices[r].stream));
            launch(r);
            CHECK(cudaGetLastError());
            CHECK(cudaEventRecord(devices[r].end, devices[r].stream));
        }
        *gate = run;
        std::vector<double> one;
        for (uint32_t r = 0; r < num_ranks; ++r) {
            use(r);
            CHECK(cudaStreamSynchronize(devices[r].stream));
            float ms;
            CHECK(cudaEventElapsedTime(&ms, devices[r].begin, devices[r].end));
            one.push_back(ms * 1e3);
        }
        if (i > 0) result.push_back(one);
    }
    check_errors(what);
    return result;
}

using Params = std::vector<std::pair<const char*, double>>;

/// Writes one test. `unit` "us": samples are times of one run, else of `per` repetitions. Returns the median of the
/// slowest rank's.
double record(const char* name, const Params& params, const Samples& samples, double bytes_per_rank, double per = 1) {
    std::vector<double> slowest;
    std::fprintf(out_file, "%s\n{\"test\":\"%s\"", is_first_test ? "" : ",", name);
    is_first_test = false;
    for (const auto& [key, value] : params) std::fprintf(out_file, ",\"%s\":%.10g", key, value);
    if (bytes_per_rank > 0) std::fprintf(out_file, ",\"bytesPerRank\":%.0f", bytes_per_rank);
    if (per != 1) std::fprintf(out_file, ",\"repetitions\":%.0f", per);
    std::fprintf(out_file, ",\"us\":[");
    for (size_t i = 0; i < samples.size(); ++i) {
        std::fprintf(out_file, "%s[", i ? "," : "");
        for (size_t r = 0; r < samples[i].size(); ++r) std::fprintf(out_file, "%s%.3f", r ? "," : "", samples[i][r]);
        std::fprintf(out_file, "]");
        slowest.push_back(*std::max_element(samples[i].begin(), samples[i].end()) / per);
    }
    const double us = median(slowest);
    std::fprintf(out_file, "],\"medianUs\":%.3f", us);
    if (bytes_per_rank > 0) std::fprintf(out_file, ",\"gbPerS\":%.2f", bytes_per_rank / us / 1e3);
    std::fprintf(out_file, "}");
    std::fflush(out_file);
    return us;
}

bool has_time() {
    if (seconds() < seconds_limit) return true;
    ++num_skipped;
    return false;
}

Flow flow(uint32_t rank, uint32_t row_bytes, uint32_t piece_bytes, uint32_t num_stages = 0, uint32_t tokens = num_tokens) {
    const uint32_t pieces = (row_bytes + piece_bytes - 1) / piece_bytes;
    return {peers, rank, num_ranks, tokens, row_bytes, piece_bytes, pieces, num_stages, 0, kSourceOffset, kTargetOffset, devices[rank].masks};
}

double remote_rows() {
    double rows = 0;
    for (uint32_t r = 0; r < num_ranks; ++r) rows = std::max(rows, devices[r].remote_rows);
    return rows;
}

template <class Kernel>
void allow_shared(Kernel kernel, size_t bytes) {
    for (uint32_t r = 0; r < num_ranks; ++r) {
        use(r);
        CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)));
        cudaFuncAttributes attributes;
        CHECK(cudaFuncGetAttributes(&attributes, kernel));
    }
}

void poison_targets() {
    for (uint32_t r = 0; r < num_ranks; ++r) {
        use(r);
        CHECK(cudaMemset(devices[r].memory + kTargetOffset, 0xee, uint64_t{num_ranks} * kMaxTokens * kMaxRowBytes));
        CHECK(cudaDeviceSynchronize());
    }
}

/// Words that differ from what every source should have sent.
uint32_t wrong_words(uint32_t row_bytes) {
    uint32_t sum = 0;
    for (uint32_t r = 0; r < num_ranks; ++r) {
        use(r);
        uint32_t* bad;
        CHECK(cudaMalloc(&bad, 4));
        CHECK(cudaMemset(bad, 0, 4));
        for (uint32_t s = 0; s < num_ranks; ++s) {
            // The routing of every source is the same function of its rank; its masks were copied to all devices.
            const auto rows = reinterpret_cast<const uint32_t*>(devices[r].memory + kTargetOffset + uint64_t{s} * num_tokens * row_bytes);
            check<<<512, 256>>>(rows, s, num_tokens, row_bytes / 4, devices[s].masks, r, bad);
        }
        uint32_t host;
        CHECK(cudaMemcpy(&host, bad, 4, cudaMemcpyDeviceToHost));
        CHECK(cudaFree(bad));
        sum += host;
    }
    return sum;
}

constexpr size_t kSharedLimit = 232448;

size_t fan_shared(uint32_t stages, uint32_t piece) { return (stages * piece + 127) / 128 * 128 + stages * 16; }
using FanKernel = void (*)(Flow);
template <bool SINGLY>
FanKernel fan_kernel(uint32_t lag) {
    switch (lag) {
        case 1: return fan_push<1, SINGLY>;
        case 2: return fan_push<2, SINGLY>;
        case 3: return fan_push<3, SINGLY>;
        case 4: return fan_push<4, SINGLY>;
        case 5: return fan_push<5, SINGLY>;
        case 6: return fan_push<6, SINGLY>;
        case 8: return fan_push<8, SINGLY>;
        case 12: return fan_push<12, SINGLY>;
        case 16: return fan_push<16, SINGLY>;
        default: return nullptr;
    }
}

/// Cycles from one store of a warp to its next, for `senders` warps to offer `rate` GB/s together; 0 for no pace.
uint32_t pace_of(double rate, double senders, double bytes) {
    return rate == 0 ? 0 : static_cast<uint32_t>(bytes * senders / rate * clock_ghz + 0.5);
}

void fan(bool singly, uint32_t blocks, uint32_t stages, uint32_t lag, uint32_t row, uint32_t piece, double rate = 0, bool verify = false) {
    if (!has_time()) return;
    const size_t shared = fan_shared(stages, piece);
    const FanKernel kernel = singly ? fan_kernel<true>(lag) : fan_kernel<false>(lag);
    if (shared > kSharedLimit || kernel == nullptr) return;
    allow_shared(kernel, shared);
    if (verify) poison_targets();
    // Short last pieces count as long ones, so that the pace is of the row.
    const uint32_t pieces = (row + piece - 1) / piece;
    const uint32_t pace = pace_of(rate, blocks, double(row) / pieces);
    const Samples samples = measure("fan", [&](uint32_t r) {
        Flow f = flow(r, row, piece, stages);
        f.pace_cycles = pace;
        kernel<<<blocks, 64, shared, devices[r].stream>>>(f);
    });
    const double bytes = remote_rows() * row;
    const char* name = singly ? "fan-singly" : "fan";
    Params params{{"blocks", blocks}, {"stages", stages}, {"lag", lag}, {"rowBytes", row}, {"pieceBytes", piece}, {"ringBytes", double(blocks) * stages * piece}, {"paceGbPerS", rate}, {"paceCycles", pace}};
    if (verify) params.push_back({"wrongWords", wrong_words(row)});
    const double us = record(name, params, samples, bytes);
    std::printf("%-10s row %5u piece %5u  blocks %2u stages %2u lag %2u  pace %3.0f  %8.1f us %7.1f GB/s%s\n", name, row, piece, blocks, stages, lag, rate, us,
                bytes / us / 1e3, verify ? (params.back().second == 0 ? "  rows right" : "  ROWS WRONG") : "");
}

using RotateKernel = void (*)(Flow, Way);
RotateKernel rotate_kernel(uint32_t stages) {
    switch (stages) {
        case 1: return rotate<1>;
        case 2: return rotate<2>;
        case 3: return rotate<3>;
        case 4: return rotate<4>;
        case 8: return rotate<8>;
        default: return nullptr;
    }
}

void rotating(Way way, uint32_t blocks, uint32_t warps, uint32_t stages, uint32_t row, uint32_t piece, double rate = 0) {
    if (!has_time()) return;
    const size_t shared = (size_t{warps} * stages * piece + 127) / 128 * 128 + warps * stages * 8;
    const RotateKernel kernel = rotate_kernel(stages);
    if (shared > kSharedLimit || kernel == nullptr) return;
    allow_shared(kernel, shared);
    const char* name = way == Way::push ? "push" : way == Way::pull ? "pull" : "mixed";
    const uint32_t pieces = (row + piece - 1) / piece;
    const uint32_t pace = pace_of(rate, double(blocks) * warps, double(row) / pieces);
    const Samples samples = measure(name, [&](uint32_t r) {
        Flow f = flow(r, row, piece);
        f.pace_cycles = pace;
        kernel<<<blocks, warps * 32, shared, devices[r].stream>>>(f, way);
    });
    const double bytes = double(num_tokens) * (num_ranks - 1) * row, in_flight = double(blocks) * warps * stages * piece;
    const double us = record(name, {{"blocks", blocks}, {"warps", warps}, {"stages", stages}, {"rowBytes", row}, {"pieceBytes", piece}, {"inFlightBytes", in_flight}, {"paceGbPerS", rate}, {"paceCycles", pace}}, samples, bytes);
    std::printf("%-10s row %5u piece %5u  blocks %2u warps %2u stages %2u  in flight %8.0f B  pace %3.0f  %8.1f us %7.1f GB/s\n", name, row, piece, blocks, warps, stages, in_flight, rate, us, bytes / us / 1e3);
}

/// Every pair at once, each on its own stream; or one peer after the other, all ranks at another peer.
void copy_engine(bool at_once, double bytes_per_peer) {
    if (!has_time()) return;
    const auto copy = [&](uint32_t r, uint32_t p, cudaStream_t stream) {
        CHECK(cudaMemcpyPeerAsync(devices[p].memory + kTargetOffset + uint64_t{r} * kMaxTokens * kMaxRowBytes, p, devices[r].memory + kSourceOffset, r, static_cast<size_t>(bytes_per_peer), stream));
    };
    const Samples samples = measure("copy engine", [&](uint32_t r) {
        Device& d = devices[r];
        if (at_once) CHECK(cudaEventRecord(d.fork, d.stream));
        for (uint32_t j = 1; j < num_ranks; ++j) {
            const uint32_t p = (r + j) % num_ranks;
            if (!at_once) { copy(r, p, d.stream); continue; }
            CHECK(cudaStreamWaitEvent(d.copy[p], d.fork));
            copy(r, p, d.copy[p]);
            CHECK(cudaEventRecord(d.join[p], d.copy[p]));
            CHECK(cudaStreamWaitEvent(d.stream, d.join[p]));
        }
    });
    const double bytes = bytes_per_peer * (num_ranks - 1);
    const double us = record(at_once ? "copy-engine" : "copy-engine-in-turn", {{"bytesPerPeer", bytes_per_peer}}, samples, bytes);
    std::printf("copy engine, %-14s %9.1f MB  %8.1f us %7.1f GB/s\n", at_once ? "peers at once" : "in turn", bytes / 1e6, us, bytes / us / 1e3);
}

void bursts() {
    allow_shared(burst, 128 + 8 * kMaxRowBytes);
    constexpr uint32_t tokens = 128;
    double remote = 0;
    for (uint32_t r = 0; r < num_ranks; ++r) {
        std::vector<uint8_t> experts(tokens * 8);
        use(r);
        CHECK(cudaMemcpy(experts.data(), devices[r].experts, experts.size(), cudaMemcpyDeviceToHost));
        remote = std::max<double>(remote, std::count_if(experts.begin(), experts.end(), [&](uint8_t e) { return e != r; }));
    }
    uint32_t arrival_run = 0;
    const auto one = [&](Burst what, const char* name, uint32_t row, uint32_t pieces) {
        if (!has_time()) return;
        const size_t shared = 128 + (what == Burst::pull ? 8 : 1) * row;
        const Samples samples = measure(name, [&](uint32_t r) {
            if (r == 0 && what == Burst::rows_and_arrivals) ++arrival_run;
            burst<<<tokens, 32, shared, devices[r].stream>>>(flow(r, row, row, 0, tokens), devices[r].experts, what, arrival_run, pieces);
        }, 15);
        const double us = record(name, {{"tokens", tokens}, {"rowBytes", row}, {"piecesPerRow", pieces}}, samples, remote * row);
        std::printf("%-24s %u tokens x 8 x %5u B in %u  %7.2f us  %6.1f GB/s\n", name, tokens, row, pieces, us, remote * row / us / 1e3);
    };
    for (const uint32_t row : {7392u, 14336u})
        for (const uint32_t pieces : {1u, 2u, 4u}) {
            one(Burst::rows, "burst", row, pieces);
            one(Burst::rows_and_arrivals, "burst-with-arrivals", row, pieces);
        }
    one(Burst::pull, "burst-pull", 7392, 1);
    one(Burst::pull, "burst-pull", 14336, 1);
}

/// Runs on some ranks only; `out` tells nanoseconds.
void latency(const char* name, const Params& params, const std::vector<uint32_t>& ranks, double per, const std::function<void(uint32_t)>& prepare, const std::function<void(uint32_t)>& launch) {
    if (!has_time()) return;
    Samples samples;
    for (uint32_t i = 0; i <= num_samples; ++i) {
        for (uint32_t r : ranks) { use(r); prepare(r); CHECK(cudaDeviceSynchronize()); }
        for (uint32_t r : ranks) { use(r); launch(r); CHECK(cudaGetLastError()); }
        std::vector<double> one;
        for (uint32_t r : ranks) { use(r); CHECK(cudaStreamSynchronize(devices[r].stream)); one.push_back(*devices[r].out / 1e3); }
        if (i > 0) samples.push_back(one);
    }
    check_errors(name);
    const double us = record(name, params, samples, 0, per);
    std::printf("%-22s", name);
    for (const auto& [key, value] : params) std::printf(" %s %g", key, value);
    std::printf("  %7.3f us\n", us);
}

void latencies() {
    constexpr uint32_t rounds = 2000;
    allow_shared(ping_pong, 16384);
    allow_shared(bulk_latency, 128 + kMaxRowBytes);
    const std::pair<Flag, const char*> flags[] = {{Flag::relaxed, "flag-relaxed"}, {Flag::relaxed_acquire, "flag-relaxed-acquire"}, {Flag::release, "flag-release"}, {Flag::red_release, "flag-red-release"},
                                                  {Flag::fence_relaxed, "flag-fence-relaxed"}, {Flag::vector16, "flag-16-bytes"}, {Flag::row_then_release, "row-and-release"}, {Flag::row_then_red, "row-and-red-release"}};
    for (uint32_t p = 1; p < num_ranks; p += num_ranks > 2 ? num_ranks - 2 : 1)
        for (const auto& [how, name] : flags)
            for (const uint32_t row : {7392u, 14336u}) {
                const bool has_row = how == Flag::row_then_release || how == Flag::row_then_red;
                if (!has_row && row != 7392) continue;
                const Flag flag = how;
                latency(name, {{"peer", p}, {"rowBytes", has_row ? row : 0}}, {0, p}, 2.0 * (rounds - 8),
                    [&](uint32_t r) { CHECK(cudaMemset(devices[r].memory + offsetof(Control, flag), 0, sizeof(Control::flag))); },
                    [&](uint32_t r) { ping_pong<<<1, 1, 16384, devices[r].stream>>>(peers, r, r == 0 ? p : 0, r == 0, flag, rounds, row, kTargetOffset, 0, devices[r].out); });
            }
    const std::pair<Engine, const char*> engines[] = {{Engine::store, "bulk-store"}, {Engine::store_read, "bulk-store-read"}, {Engine::load, "bulk-load"}};
    for (const auto& [what, name] : engines)
        for (const uint32_t peer : {0u, 1u})
            for (const uint32_t bytes : {16u, 1792u, 3584u, 7168u, 14336u}) {
                const Engine engine = what;
                latency(name, {{"remote", peer}, {"bytes", bytes}}, {0}, 500, [](uint32_t) {},
                    [&](uint32_t r) { bulk_latency<<<1, 1, 128 + bytes, devices[r].stream>>>(peers, r, peer, engine, bytes, kTargetOffset, 500, devices[r].out); });
            }
    std::vector<uint32_t> all;
    for (uint32_t r = 0; r < num_ranks; ++r) all.push_back(r);
    uint64_t base = 0;
    for (const uint32_t words : {8u, 40u, 256u}) {
        latency("count-exchange", {{"words", words}}, all, 1000 - 8, [](uint32_t) {}, [&](uint32_t r) {
            exchange<<<1, 256, 0, devices[r].stream>>>(peers, r, num_ranks, words, 1000, base, devices[r].out);
            if (r + 1 == num_ranks) base += 1000;
        });
    }
}

void launches() {
    constexpr uint32_t count = 100;
    const auto kernel = reinterpret_cast<const void*>(&nothing);
    const auto print = [](const char* what, double us) { std::printf("%-28s %7.3f us\n", what, us); };
    for (const bool early : {false, true}) {
        if (!has_time()) return;
        const Samples samples = measure("launch gap", [&](uint32_t r) {
            cudaLaunchConfig_t config{};
            config.gridDim = 16;
            config.blockDim = 256;
            config.stream = devices[r].stream;
            cudaLaunchAttribute attribute;
            attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
            attribute.val.programmaticStreamSerializationAllowed = 1;
            config.attrs = &attribute;
            config.numAttrs = early ? 1 : 0;
            for (uint32_t i = 0; i < count; ++i) CHECK(cudaLaunchKernelExC(&config, kernel, nullptr));
        });
        const char* name = early ? "launch-gap-programmatic" : "launch-gap";
        print(name, record(name, {}, samples, 0, count));
    }
    if (!has_time()) return;
    print("one-empty-launch", record("one-empty-launch", {}, measure("empty", [&](uint32_t r) { nothing<<<128, 32, 0, devices[r].stream>>>(); }, 15), 0));
    cudaGraphExec_t graphs[kMaxRanks];
    for (uint32_t r = 0; r < num_ranks; ++r) {
        use(r);
        cudaGraph_t graph;
        CHECK(cudaStreamBeginCapture(devices[r].stream, cudaStreamCaptureModeThreadLocal));
        for (uint32_t i = 0; i < count; ++i) nothing<<<16, 256, 0, devices[r].stream>>>();
        CHECK(cudaStreamEndCapture(devices[r].stream, &graph));
        CHECK(cudaGraphInstantiate(&graphs[r], graph, 0));
        CHECK(cudaGraphUpload(graphs[r], devices[r].stream));
        CHECK(cudaDeviceSynchronize());
    }
    print("launch-gap-graph", record("launch-gap-graph", {}, measure("graph", [&](uint32_t r) { CHECK(cudaGraphLaunch(graphs[r], devices[r].stream)); }), 0, count));
}

void open() {
    for (uint32_t r = 0; r < num_ranks; ++r) {
        use(r);
        Device& d = devices[r];
        for (uint32_t p = 0; p < num_ranks; ++p)
            if (p != r) CHECK(cudaDeviceEnablePeerAccess(p, 0));
        CHECK(cudaStreamCreateWithFlags(&d.stream, cudaStreamNonBlocking));
        for (auto& stream : d.copy) CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
        CHECK(cudaEventCreate(&d.begin));
        CHECK(cudaEventCreate(&d.end));
        CHECK(cudaEventCreateWithFlags(&d.fork, cudaEventDisableTiming));
        for (auto& event : d.join) CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
        CHECK(cudaMalloc(&d.memory, kTargetOffset + uint64_t{num_ranks} * kMaxTokens * kMaxRowBytes));
        CHECK(cudaMemset(d.memory, 0, kSourceOffset));
        fill<<<512, 256>>>(reinterpret_cast<uint32_t*>(d.memory + kSourceOffset), uint64_t{kMaxTokens} * kMaxRowBytes / 4, r);
        CHECK(cudaHostAlloc(&d.out, 64, cudaHostAllocMapped | cudaHostAllocPortable));

        // Uniform routing: 8 different experts of 32 a rank.
        std::mt19937 random(r + 1);
        std::vector<uint8_t> masks(num_tokens), ranks(num_tokens * 8);
        std::vector<uint32_t> experts(32 * num_ranks);
        for (uint32_t i = 0; i < experts.size(); ++i) experts[i] = i;
        for (uint32_t t = 0; t < num_tokens; ++t)
            for (uint32_t k = 0; k < 8; ++k) {
                std::swap(experts[k], experts[k + random() % (experts.size() - k)]);
                ranks[t * 8 + k] = experts[k] / 32;
                masks[t] |= 1u << (experts[k] / 32);
            }
        d.remote_rows = 0;
        for (uint8_t mask : masks) d.remote_rows += __builtin_popcount(mask & ~(1u << r));
        CHECK(cudaMalloc(&d.masks, masks.size()));
        CHECK(cudaMalloc(&d.experts, ranks.size()));
        CHECK(cudaMemcpy(d.masks, masks.data(), masks.size(), cudaMemcpyHostToDevice));
        CHECK(cudaMemcpy(d.experts, ranks.data(), ranks.size(), cudaMemcpyHostToDevice));
        CHECK(cudaDeviceSynchronize());
        peers.base[r] = d.memory;
    }
    void* host;
    CHECK(cudaHostAlloc(&host, 64, cudaHostAllocMapped | cudaHostAllocPortable));
    gate = static_cast<volatile uint32_t*>(host);
    *gate = 0;
}

void write_header(int argc, char** argv) {
    int driver, runtime;
    CHECK(cudaDriverGetVersion(&driver));
    CHECK(cudaRuntimeGetVersion(&runtime));
    char when[64];
    const std::time_t now = std::time(nullptr);
    std::strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
    char version[256] = "";
    if (FILE* file = std::fopen("/proc/driver/nvidia/version", "r")) {
        if (std::fgets(version, sizeof version, file)) version[std::strcspn(version, "\n\"")] = 0;
        std::fclose(file);
    }
    std::fprintf(out_file, "{\"tool\":\"probe\",\"date\":\"%s\",\"command\":\"", when);
    for (int i = 0; i < argc; ++i) std::fprintf(out_file, "%s%s", i ? " " : "", argv[i]);
    std::fprintf(out_file, "\",\"driverApi\":%d,\"runtime\":%d,\"driver\":\"%s\",\"ranks\":%u,\"devices\":[", driver, runtime, version, num_ranks);
    for (uint32_t r = 0; r < num_ranks; ++r) {
        cudaDeviceProp p;
        CHECK(cudaGetDeviceProperties(&p, r));
        int clock = 0;
        CHECK(cudaDeviceGetAttribute(&clock, cudaDevAttrClockRate, r));
        char bus[32];
        CHECK(cudaDeviceGetPCIBusId(bus, sizeof bus, r));
        std::fprintf(out_file, "%s{\"name\":\"%s\",\"pciBusId\":\"%s\",\"multiprocessors\":%d,\"l2Bytes\":%d,\"totalBytes\":%zu,\"maxClockKhz\":%d}", r ? "," : "", p.name, bus, p.multiProcessorCount, p.l2CacheSize, p.totalGlobalMem, clock);
        if (r == 0) clock_ghz = clock / 1e6;
        if (r == 0) std::printf("%u x %s, driver API %d, runtime %d\n", num_ranks, p.name, driver, runtime);
    }
    std::fprintf(out_file, "],\"note\":\"us: [sample][rank], after one that was not kept; medianUs: median over samples of the slowest rank, per repetition; gbPerS: bytes that leave a rank for others, 1e9 B\",\"tests\":[");
}

void bandwidths() {
    // Of each part the points that matter most come first: the time limit cuts from the end.
    for (const bool at_once : {true, false})
        for (const double mb : {58.7, 117.4 / num_ranks}) copy_engine(at_once, mb * 1e6 / 16 * 16);

    constexpr double rates[] = {250, 300, 310, 320, 330, 340, 350, 360, 370, 380, 400, 450};
    std::printf("\none load, stores to all destinations of a token (dispatch)\n");
    fan(false, 16, 10, 5, 14336, 3584, 0, true);
    fan(true, 16, 10, 5, 14336, 3584, 0, true);
    fan(false, 16, 10, 5, 14336, 3584, 330, true);
    for (const bool singly : {false, true})
        for (const auto& [blocks, piece, stages, lag] : {std::tuple{16u, 3584u, 10u, 5u}, {16u, 7168u, 8u, 4u}, {24u, 3584u, 10u, 5u}, {24u, 7168u, 8u, 4u}, {32u, 3584u, 10u, 5u}, {16u, 14336u, 8u, 4u}})
            for (const double rate : rates) fan(singly, blocks, stages, lag, 14336, piece, rate);
    for (const auto& [blocks, piece] : {std::pair{16u, 7392u}, {16u, 3696u}, {24u, 7392u}, {24u, 3696u}})
        for (const double rate : rates) fan(false, blocks, 8, 4, 7392, piece, rate);
    for (const uint32_t row : {14336u, 7392u})
        for (const uint32_t blocks : {8u, 12u, 16u, 20u, 24u, 32u})
            for (const uint32_t piece : {1792u, 3584u, 7168u, 14336u})
                for (const auto& [stages, lag] : {std::pair{4u, 2u}, {8u, 4u}, {10u, 5u}, {10u, 8u}, {16u, 8u}}) {
                    const uint32_t bytes = std::min(piece, row);
                    const double ring = double(stages) * bytes;
                    if (ring < 14e3 || ring > 120e3 || (piece == 14336 && row < piece && blocks == 12)) continue;
                    fan(false, blocks, stages, lag, row, bytes);
                }

    std::printf("\nstores to one destination after the other, no loads\n");
    for (const auto& [blocks, warps, stages, piece] : {std::tuple{16u, 1u, 4u, 7168u}, {32u, 1u, 4u, 3584u}, {16u, 2u, 4u, 3584u}, {16u, 4u, 4u, 1792u}, {16u, 4u, 2u, 3584u}, {8u, 4u, 2u, 7168u}})
        for (const double rate : rates) rotating(Way::push, blocks, warps, stages, 14336, piece, rate);
    const auto sweep = [](Way way, uint32_t row, std::initializer_list<uint32_t> pieces) {
        std::printf("\n%s\n", way == Way::push ? "stores, no pace" : way == Way::pull ? "loads from one peer after the other" : "half of the blocks store, half load");
        for (const uint32_t piece : pieces)
            for (const auto& [warps, stages] : {std::pair{1u, 1u}, {1u, 2u}, {1u, 4u}, {2u, 1u}, {2u, 2u}, {1u, 8u}, {2u, 4u}, {4u, 2u}})
                for (const uint32_t blocks : {4u, 6u, 8u, 10u, 12u, 14u, 16u, 18u, 20u, 24u, 28u, 32u, 40u, 48u, 64u}) {
                    const double in_flight = double(blocks) * warps * stages * piece;
                    if (in_flight < 50e3 || in_flight > 2.5e6) continue;
                    if (way != Way::push && blocks % 8 != 0) continue;
                    rotating(way, blocks, warps, stages, row, piece);
                }
    };
    sweep(Way::push, 14336, {3584, 7168, 1792});
    sweep(Way::pull, 14336, {3584, 7168, 14336});
    sweep(Way::mixed, 14336, {3584});
    for (const double rate : rates) rotating(Way::mixed, 32, 2, 4, 14336, 3584, rate);
    for (const double rate : rates) rotating(Way::pull, 16, 1, 8, 14336, 7168, rate);
    sweep(Way::push, 7392, {7392, 3696});
    sweep(Way::pull, 7392, {7392});
}

/// What `epgen bench` compares with: the rows of one dispatch, by the copy engine and by the best data paths known.
void wire(uint32_t row) {
    const uint32_t half = (row / 2 + 15) / 16 * 16;
    for (const bool at_once : {true, false}) copy_engine(at_once, remote_rows() * row / (num_ranks - 1));
    for (const double rate : {0.0, 320.0, 330.0, 340.0, 350.0, 360.0, 370.0}) {
        fan(false, 16, 8, 4, row, half, rate);
        fan(false, 24, 8, 4, row, half, rate);
        rotating(Way::push, 16, 2, 2, row, half, rate);
    }
    for (const uint32_t blocks : {8u, 12u, 16u, 24u}) rotating(Way::pull, blocks, 1, 8, row, half);
}

}  // namespace

int main(int argc, char** argv) {
    setenv("CUDA_MODULE_LOADING", "EAGER", 1);
    int available = 0;
    if (cudaGetDeviceCount(&available) != cudaSuccess || available == 0) {
        std::fprintf(stderr, "probe: no GPU here\n");
        return 5;
    }
    num_ranks = std::min(available, kMaxRanks);
    const char* path = "probe.json";
    uint32_t wire_row_bytes = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!std::strcmp(argv[i], "--gpus")) num_ranks = std::min<uint32_t>(num_ranks, std::atoi(argv[i + 1]));
        else if (!std::strcmp(argv[i], "--seconds")) seconds_limit = std::atof(argv[i + 1]);
        else if (!std::strcmp(argv[i], "--samples")) num_samples = std::atoi(argv[i + 1]);
        else if (!std::strcmp(argv[i], "--out")) path = argv[i + 1];
        else if (!std::strcmp(argv[i], "--tokens")) num_tokens = std::clamp(std::atoi(argv[i + 1]), 1, static_cast<int>(kMaxTokens));
        else if (!std::strcmp(argv[i], "--wire")) wire_row_bytes = std::atoi(argv[i + 1]);
        else { std::fprintf(stderr, "probe: Expected --gpus, --seconds, --samples, --tokens, --wire or --out but received %s\n", argv[i]); return 2; }
    }
    if (num_ranks < 2) { std::fprintf(stderr, "probe: Expected two GPUs or more but found %u\n", num_ranks); return 5; }
    out_file = std::fopen(path, "w");
    if (out_file == nullptr) { std::perror(path); return 2; }
    started_at = std::chrono::steady_clock::now();
    open();
    write_header(argc, argv);
    std::printf("opened in %.1f s\n", seconds());
    if (wire_row_bytes != 0) {
        wire(std::min(wire_row_bytes / 16 * 16, kMaxRowBytes));
    } else {
        launches();
        latencies();
        bursts();
        bandwidths();
    }
    std::fprintf(out_file, "\n],\"skipped\":%u,\"seconds\":%.1f}\n", num_skipped, seconds());
    std::fclose(out_file);
    std::printf("%.1f s; %u tests left out for lack of time\n", seconds(), num_skipped);
    std::fflush(stdout);
    std::_Exit(0);
}
