// Low-latency dispatches and combines without end, on every GPU there is, beside a GEMM and with ranks that are held
// back at random. Every result is compared on the device with what traffic.cuh says. Prints one line of JSON.
//
//   soak [--pairs N] [--seconds N] [--gpus N] [--seed N] [--delays-per-mille N] [--gemm-share PERCENT]
//        [--deadline-ms N]
//
// Exits with 0 when nothing was wrong, 1 after a mismatch or a fault, 2 when nothing happened any more.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "load.cuh"
#include "rank.hpp"

namespace soak {
namespace {

constexpr uint32_t kPairsPerBatch = 64;
/// Orders of a batch; each is a graph of its own on every rank.
constexpr uint32_t kNumBatches = 8;
/// Of as many batches one is launched call by call instead, on each rank for itself. It begins when those before have
/// ended: a full queue of launches would hold up other ranks of the same GPU too.
constexpr uint32_t kEagerEvery = 32;
/// Batches that a rank may have before it, so that launches never wait.
constexpr uint32_t kMaxAhead = 3;
constexpr uint32_t kFirstEpoch = 0u - 8 * 1024;  // epochs pass 2^32 soon
constexpr std::chrono::seconds kPatience{20};
static_assert(kPairsPerBatch % epgen::kLlEpochStep == 0, "batches begin with the first buffers");

struct Options {
    uint64_t num_pairs = 500'000;
    uint32_t seconds = 100;
    uint32_t num_gpus = 0;  // 0: one a rank, where there are as many
    uint64_t seed = 1;
    uint32_t delays_per_mille = 1000 / (4 * kNumRanks);
    uint32_t gemm_share = 33;
    uint32_t deadline_ms = 10'000;
};

/// What the threads of all ranks share.
struct Run {
    Options options;
    uint32_t num_gpus;
    uint64_t num_batches;
    std::vector<Batch> batches;
    std::atomic<uint64_t> last_batch;  // no rank begins this one
    std::atomic<uint64_t> num_done[kNumRanks] = {};
    std::atomic<uint64_t> num_eager[kNumRanks] = {};
    std::atomic<bool> has_failed = false;
    std::atomic<uint32_t> num_running = kNumRanks;
};

uint32_t device_of(const Run& run, uint32_t rank_idx) { return rank_idx % run.num_gpus; }

cudaStream_t open_stream() {
    cudaStream_t stream;
    CHECK_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    return stream;
}

/// Lets every kernel of the spec have its shared memory, on the current device.
void allow_shared_memory() {
    for (const epgen::KernelEntry* entry : epgen::module().kernels) {
        CHECK_CUDA(cudaFuncSetAttribute(entry->function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                        static_cast<int>(entry->shared_bytes)));
    }
    CHECK_CUDA(cudaFuncSetAttribute(reinterpret_cast<const void*>(&gemm), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    kGemmSharedBytes));
}

cudaGraphExec_t capture(const Rank& rank, const Batch& batch) {
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    CHECK_CUDA(cudaStreamBeginCapture(rank.stream(), cudaStreamCaptureModeThreadLocal));
    rank.enqueue(batch);
    CHECK_CUDA(cudaStreamEndCapture(rank.stream(), &graph));
    CHECK_CUDA(cudaGraphInstantiate(&exec, graph, 0));
    CHECK_CUDA(cudaGraphUpload(exec, rank.stream()));
    return exec;
}

/// One rank's batches, from the first to the last.
void run_rank(Run& run, const Rank& rank, uint32_t rank_idx, const std::vector<cudaGraphExec_t>& graphs) {
    CHECK_CUDA(cudaSetDevice(static_cast<int>(device_of(run, rank_idx))));
    std::mt19937 order(static_cast<uint32_t>(run.options.seed));  // the same on all ranks
    std::mt19937 own(static_cast<uint32_t>(run.options.seed) + 1 + rank_idx);
    cudaEvent_t ends[kMaxAhead];
    for (cudaEvent_t& end : ends) CHECK_CUDA(cudaEventCreateWithFlags(&end, cudaEventDisableTiming));
    const auto wait_for = [&](uint64_t batch) {
        CHECK_CUDA(cudaEventSynchronize(ends[batch % kMaxAhead]));
        run.num_done[rank_idx] = batch + 1;
        if (rank.memory().fault->state != 0) run.has_failed = true;
    };
    uint64_t batch = 0, num_ended = 0;
    for (; batch < run.last_batch && !run.has_failed; ++batch) {
        const bool is_eager = own() % kEagerEvery == 0;
        while (num_ended < batch && (is_eager || num_ended + kMaxAhead <= batch)) wait_for(num_ended++);
        const uint32_t which = order() % kNumBatches;
        if (is_eager) {
            rank.enqueue(run.batches[which]);
            ++run.num_eager[rank_idx];
        } else {
            CHECK_CUDA(cudaGraphLaunch(graphs[which], rank.stream()));
        }
        CHECK_CUDA(cudaEventRecord(ends[batch % kMaxAhead], rank.stream()));
    }
    while (num_ended < batch) wait_for(num_ended++);
    --run.num_running;
}

/// A device's GEMM: its products have to add up to this.
struct Gemm {
    GemmArgs args;
    unsigned long long total_of_launch;
    uint64_t num_launches = 0;
};

Gemm open_gemm(uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<__nv_bfloat16> a(kGemmSize * kGemmSize), b(a.size());
    std::vector<long long> of_a(kGemmSize), of_b(kGemmSize);  // sums by k
    const auto fill = [&](std::vector<__nv_bfloat16>& matrix, std::vector<long long>& sums) {
        for (size_t i = 0; i < matrix.size(); ++i) {
            const int value = static_cast<int>(random() % 4) - 1;
            matrix[i] = __float2bfloat16_rn(static_cast<float>(value));
            sums[i % kGemmSize] += value;
        }
    };
    fill(a, of_a);
    fill(b, of_b);
    long long total = 0;
    for (uint32_t k = 0; k < kGemmSize; ++k) total += of_a[k] * of_b[k];
    const auto upload = [](const std::vector<__nv_bfloat16>& matrix) {
        auto* data = device_memory<__nv_bfloat16>(matrix.size());
        CHECK_CUDA(cudaMemcpy(data, matrix.data(), matrix.size() * sizeof(matrix[0]), cudaMemcpyHostToDevice));
        return data;
    };
    auto* sum = device_memory<unsigned long long>(1);
    CHECK_CUDA(cudaMemset(sum, 0, sizeof(*sum)));
    return {{upload(a), upload(b), sum}, static_cast<unsigned long long>(total * kGemmRounds)};
}

/// Multiplies on one device until all ranks have ended.
void run_gemm(const Run& run, Gemm& gemm, int device, uint32_t grid) {
    CHECK_CUDA(cudaSetDevice(device));
    cudaStream_t stream = open_stream();
    cudaEvent_t ends[2];
    for (cudaEvent_t& end : ends) CHECK_CUDA(cudaEventCreateWithFlags(&end, cudaEventDisableTiming));
    for (; run.num_running > 0; ++gemm.num_launches) {
        cudaEvent_t end = ends[gemm.num_launches % 2];
        if (gemm.num_launches >= 2) CHECK_CUDA(cudaEventSynchronize(end));
        void* parameters[] = {&gemm.args};
        CHECK_CUDA(cudaLaunchKernel(reinterpret_cast<const void*>(&soak::gemm), dim3(grid), dim3(kGemmThreads),
                                    parameters, kGemmSharedBytes, stream));
        CHECK_CUDA(cudaEventRecord(end, stream));
    }
    CHECK_CUDA(cudaStreamSynchronize(stream));
}

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

std::string text_of(const Mismatch& first, uint32_t rank_idx) {
    std::string text = "pair " + std::to_string(first.pair_idx) + ", rank " + std::to_string(rank_idx) + ": " +
                       result_name(first.result) + " at";
    for (const uint32_t at : first.at) text += " " + std::to_string(at);
    return text + ": expected " + std::to_string(first.expected) + ", seen " + std::to_string(first.seen);
}

std::string text_of(const epgen::FaultRecord& fault) {
    return std::string(epgen::op_name(fault.op)) + ", rank " + std::to_string(fault.rank_idx) + ", epoch " +
           std::to_string(fault.epoch) + ": gave up waiting for " + epgen::phase_name(fault.phase) + " of rank " +
           std::to_string(fault.peer_idx) + ", channel " + std::to_string(fault.channel_idx) + ", expected " +
           std::to_string(fault.expected) + ", seen " + std::to_string(fault.seen) + ", reason " +
           std::to_string(fault.reason);
}

/// Text in quotes, or null.
std::string or_null(const std::string& text) { return text.empty() ? "null" : quoted(text); }

struct Report {
    uint64_t num_values = 0, num_mismatches = 0, num_delays = 0, delay_ns = 0;
    std::string first, faults, gemm_iterations, gemm_flaw;
};

void print(const Run& run, const Report& report, double seconds, bool is_stuck) {
    cudaDeviceProp device{};
    CHECK_CUDA(cudaGetDeviceProperties(&device, 0));
    uint64_t num_batches = run.num_done[0];
    uint64_t num_eager = 0;
    for (const auto& done : run.num_done) num_batches = std::min<uint64_t>(num_batches, done);
    for (const auto& eager : run.num_eager) num_eager += eager;
    const uint64_t num_pairs = num_batches * kPairsPerBatch;
    std::printf(
        "{\"program\": \"soak\", \"commit\": \"%s\", \"spec\": \"%s\", \"specHash\": \"%s\", \"gpus\": %u, \"gpu\": \"%s\", "
        "\"ranks\": %u, \"seed\": %llu, \"calls\": %llu, \"pairs\": %llu, \"eagerPairs\": %llu, \"values\": %llu, "
        "\"mismatches\": %llu, \"first\": %s, \"faults\": %s, \"stuck\": %s, \"delays\": %llu, \"delaySeconds\": %.2f, "
        "\"gemmIterations\": [%s], \"gemmFlaw\": %s, \"seconds\": %.2f, \"usPerPair\": %.2f}\n",
        EPGEN_COMMIT, epgen::module().name, epgen::module().spec_hash, run.num_gpus, device.name, kNumRanks,
        static_cast<unsigned long long>(run.options.seed), static_cast<unsigned long long>(2 * num_pairs),
        static_cast<unsigned long long>(num_pairs),
        static_cast<unsigned long long>(num_eager * kPairsPerBatch / kNumRanks),
        static_cast<unsigned long long>(report.num_values), static_cast<unsigned long long>(report.num_mismatches),
        or_null(report.first).c_str(), or_null(report.faults).c_str(), is_stuck ? "true" : "false",
        static_cast<unsigned long long>(report.num_delays), static_cast<double>(report.delay_ns) / 1e9,
        report.gemm_iterations.c_str(), or_null(report.gemm_flaw).c_str(), seconds,
        num_pairs > 0 ? 1e6 * seconds / static_cast<double>(num_pairs) : 0.0);
    std::fflush(stdout);
}

void add_faults(const std::vector<Rank>& ranks, Report& report) {
    for (const Rank& rank : ranks) {
        const epgen::FaultRecord& fault = *rank.memory().fault;
        if (fault.state != 0) report.faults += (report.faults.empty() ? "" : "; ") + text_of(fault);
    }
}

/// Waits until all ranks have ended. Stops them in time, and the program when none has ended a batch for long.
void watch(Run& run, const std::vector<Rank>& ranks, std::chrono::steady_clock::time_point start) {
    const auto total = [&] {
        uint64_t sum = 0;
        for (const auto& done : run.num_done) sum += done;
        return sum;
    };
    const auto limit = start + std::chrono::seconds(run.options.seconds);
    auto moved = start;
    for (uint64_t before = 0; run.num_running > 0; std::this_thread::sleep_for(std::chrono::milliseconds(20))) {
        const auto now = std::chrono::steady_clock::now();
        if (const uint64_t done = total(); done != before) {
            before = done;
            moved = now;
        }
        // Ranks agree on the last batch: nobody is as far as that yet.
        if (now > limit && run.last_batch == run.num_batches) {
            const uint64_t last = *std::max_element(std::begin(run.num_done), std::end(run.num_done)) + 16;
            run.last_batch = std::min(run.num_batches, last);
        }
        if (now - moved < kPatience) continue;
        Report report;
        add_faults(ranks, report);
        print(run, report, std::chrono::duration<double>(now - start).count(), /*is_stuck=*/true);
        std::_Exit(2);
    }
}

Report collect(const Run& run, const std::vector<Rank>& ranks, const std::vector<Gemm>& gemms) {
    Report report;
    for (uint32_t rank_idx = 0; rank_idx < kNumRanks; ++rank_idx) {
        Tally tally;
        CHECK_CUDA(cudaSetDevice(static_cast<int>(device_of(run, rank_idx))));
        CHECK_CUDA(cudaMemcpy(&tally, ranks[rank_idx].memory().tally, sizeof(tally), cudaMemcpyDeviceToHost));
        report.num_values += tally.num_values;
        report.num_mismatches += tally.num_mismatches;
        report.num_delays += tally.num_delays;
        report.delay_ns += tally.delay_ns;
        if (tally.num_mismatches > 0 && report.first.empty()) report.first = text_of(tally.first, rank_idx);
    }
    add_faults(ranks, report);
    for (size_t i = 0; i < gemms.size(); ++i) {
        unsigned long long total = 0;
        CHECK_CUDA(cudaSetDevice(static_cast<int>(i)));
        CHECK_CUDA(cudaMemcpy(&total, gemms[i].args.total, sizeof(total), cudaMemcpyDeviceToHost));
        report.gemm_iterations += (i > 0 ? ", " : "") + std::to_string(gemms[i].num_launches * kGemmRounds);
        if (total != gemms[i].num_launches * gemms[i].total_of_launch) {
            report.gemm_flaw = "GPU " + std::to_string(i) + ": products add up to " + std::to_string(total);
        }
    }
    return report;
}

uint32_t num_gpus_for(const Options& options) {
    int num_devices = 0;
    CHECK_CUDA(cudaGetDeviceCount(&num_devices));
    const uint32_t there = static_cast<uint32_t>(num_devices);
    const uint32_t wanted = options.num_gpus > 0 ? options.num_gpus : there >= kNumRanks ? kNumRanks : 1;
    if (wanted > there || wanted > kNumRanks) {
        std::printf("%u GPUs are asked for: there are %u, and %u ranks\n", wanted, there, kNumRanks);
        std::exit(3);
    }
    return wanted;
}

void open_peers(uint32_t num_gpus) {
    for (uint32_t device = 0; device < num_gpus; ++device) {
        CHECK_CUDA(cudaSetDevice(static_cast<int>(device)));
        for (uint32_t peer = 0; peer < num_gpus; ++peer) {
            if (peer != device) CHECK_CUDA(cudaDeviceEnablePeerAccess(static_cast<int>(peer), 0));
        }
        allow_shared_memory();
    }
}

int soak(const Options& options) {
    Run run{};
    run.options = options;
    run.num_gpus = num_gpus_for(options);
    run.num_batches = (options.num_pairs + kPairsPerBatch - 1) / kPairsPerBatch;
    run.last_batch = run.num_batches;
    open_peers(run.num_gpus);
    int num_sms = 0;
    CHECK_CUDA(cudaDeviceGetAttribute(&num_sms, cudaDevAttrMultiProcessorCount, 0));
    const uint32_t gemm_grid = static_cast<uint32_t>(num_sms) * options.gemm_share / 100;
    const uint32_t ranks_per_gpu = (kNumRanks + run.num_gpus - 1) / run.num_gpus;
    // Ranks that share a GPU wait for each other: all blocks of all of them fit beside the GEMM.
    const uint32_t max_grid =
        std::min((static_cast<uint32_t>(num_sms) - gemm_grid) / ranks_per_gpu, spec::kNumLlChannels);
    for (uint32_t i = 0; i < kNumBatches; ++i) {
        const PlanShape shape{kNumRanks,     kPairsPerBatch,          kInFlight, kMaxTokens, max_grid,
                              kCastsOutputs, options.delays_per_mille};
        run.batches.push_back(random_batch(shape, static_cast<uint32_t>(options.seed) * 1009 + i));
    }

    Exchange exchange{{}, options.seed, uint64_t{options.deadline_ms} * 1'000'000};
    std::vector<RankMemory> memory;
    for (uint32_t r = 0; r < kNumRanks; ++r) {
        CHECK_CUDA(cudaSetDevice(static_cast<int>(device_of(run, r))));
        memory.push_back(open_memory(kFirstEpoch));
        exchange.window[r] = memory[r].window;
    }
    std::vector<Rank> ranks;
    std::vector<std::vector<cudaGraphExec_t>> graphs(kNumRanks);
    for (uint32_t r = 0; r < kNumRanks; ++r) {
        CHECK_CUDA(cudaSetDevice(static_cast<int>(device_of(run, r))));
        ranks.emplace_back(memory[r], exchange, r, open_stream());
        for (const Batch& batch : run.batches) graphs[r].push_back(capture(ranks[r], batch));
    }
    std::vector<Gemm> gemms;
    for (uint32_t device = 0; device < run.num_gpus; ++device) {
        CHECK_CUDA(cudaSetDevice(static_cast<int>(device)));
        if (gemm_grid > 0) gemms.push_back(open_gemm(device));
        CHECK_CUDA(cudaDeviceSynchronize());
    }

    const auto start = std::chrono::steady_clock::now();
    std::vector<std::jthread> threads;
    for (uint32_t r = 0; r < kNumRanks; ++r) {
        threads.emplace_back([&, r] { run_rank(run, ranks[r], r, graphs[r]); });
    }
    for (size_t device = 0; device < gemms.size(); ++device) {
        threads.emplace_back([&, device] { run_gemm(run, gemms[device], static_cast<int>(device), gemm_grid); });
    }
    watch(run, ranks, start);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    threads.clear();
    const Report report = collect(run, ranks, gemms);
    print(run, report, seconds.count(), /*is_stuck=*/false);
    const bool is_right = report.num_mismatches == 0 && report.faults.empty() && report.gemm_flaw.empty();
    return is_right && run.num_done[0] > 0 ? 0 : 1;
}

Options options_from(int argc, char** argv) {
    Options options;
    const std::pair<const char*, uint32_t*> numbers[] = {
        {"--seconds", &options.seconds},         {"--gpus", &options.num_gpus},
        {"--gemm-share", &options.gemm_share},   {"--delays-per-mille", &options.delays_per_mille},
        {"--deadline-ms", &options.deadline_ms},
    };
    const std::pair<const char*, uint64_t*> large_numbers[] = {{"--pairs", &options.num_pairs},
                                                               {"--seed", &options.seed}};
    for (int i = 1; i < argc; i += 2) {
        bool is_known = false;
        const uint64_t value = i + 1 < argc ? std::strtoull(argv[i + 1], nullptr, 10) : 0;
        const auto set = [&](const auto& table) {
            for (const auto& [name, number] : table) {
                if (std::strcmp(name, argv[i]) != 0) continue;
                *number = static_cast<std::remove_pointer_t<decltype(number)>>(value);
                is_known = i + 1 < argc;
            }
        };
        set(numbers);
        set(large_numbers);
        if (is_known) continue;
        std::printf("Expected an option and its number but received %s\n", argv[i]);
        std::exit(3);
    }
    return options;
}

}  // namespace
}  // namespace soak

int main(int argc, char** argv) {
    // Kernels that were loaded on their first launch would wait for ranks that wait for them; streams share no queue.
    setenv("CUDA_MODULE_LOADING", "EAGER", 1);
    setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 1);
    return soak::soak(soak::options_from(argc, argv));
}
