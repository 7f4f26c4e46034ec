// Runs the programs on one GPU, or with --peer across two, and prints what was seen.
//
//   gpu [--peer] [--iterations N] [--seconds S] [--only NAME] [--json FILE]
//
// Exits with 1 when an outcome was seen that PTX forbids, with 3 when the GPU didn't do what it was told.
#include <fstream>
#include <string>
#include <vector>

#include "gpu_bench.cuh"
#include "programs.cuh"

namespace epgen::litmus {
namespace {

std::vector<Program> all_programs() {
    std::vector<Program> programs;
    AllPrograms::for_each([&]<class P>() {
        programs.push_back({&P::shape, reinterpret_cast<const void*>(&litmus_kernel<P>)});
    });
    return programs;
}

struct Options {
    bool peer = false;
    uint64_t iterations = 100'000'000;
    double seconds = 80;
    const char* only = nullptr;
    const char* json = nullptr;
};

std::vector<Test> tests_of(const std::vector<Program>& programs, const Options& options) {
    std::vector<Test> tests;
    const std::vector<Placement> placements =
        options.peer ? std::vector{Placement::ranks} : std::vector{Placement::blocks, Placement::warps};
    for (const Placement placement : placements) {
        for (const Program& program : programs) {
            if (options.only != nullptr && std::strcmp(program.shape->name, options.only) != 0) continue;
            const Expectation* line = find(program.shape->name, placement);
            if (line != nullptr) tests.push_back({&program, placement, line, {}, 0, false});
        }
    }
    return tests;
}

uint64_t count_forbidden(const Test& test) {
    const uint64_t asked = test.line->ptx == Ptx::forbidden ? count_asked(*test.program->shape, test.histogram) : 0;
    return asked + count_garbage(test.histogram);
}

/// `595.58.03`, from what the driver says of itself.
std::string driver_version() {
    std::ifstream file("/proc/driver/nvidia/version");
    std::string word;
    while (file >> word) {
        const bool is_number = word.find_first_not_of("0123456789.") == std::string::npos;
        if (is_number && word.find('.') != std::string::npos) return word;
    }
    return "unknown";
}

void write_json(const std::vector<Test>& tests, const Options& options, uint32_t num_gpus, double seconds) {
    std::FILE* file = std::fopen(options.json, "w");
    if (file == nullptr) {
        std::printf("can't write %s\n", options.json);
        std::exit(3);
    }
    int runtime = 0;
    CHECK_CUDA(cudaRuntimeGetVersion(&runtime));
    std::fprintf(file, "{\n  \"gpus\": [");
    for (uint32_t gpu = 0; gpu < num_gpus; ++gpu) {
        cudaDeviceProp properties;
        CHECK_CUDA(cudaGetDeviceProperties(&properties, gpu));
        std::fprintf(file, "%s\"%s\"", gpu == 0 ? "" : ", ", properties.name);
    }
    std::fprintf(file, "],\n  \"driver\": \"%s\",\n  \"cudaRuntime\": \"%d.%d\",\n", driver_version().c_str(),
                 runtime / 1000, runtime % 1000 / 10);
    std::fprintf(file, "  \"peer\": %s,\n  \"seconds\": %.1f,\n", options.peer ? "true" : "false", seconds);
    std::fprintf(file, "  \"tests\": [");
    for (const Test& test : tests) {
        const Shape& shape = *test.program->shape;
        std::fprintf(file,
                     "%s\n    {\"test\": \"%s\", \"placement\": \"%s\", \"asked\": \"%s\", \"ptx\": \"%s\", "
                     "\"iterations\": %llu, \"seen\": %llu, \"forbidden\": %llu, \"gaveUp\": %s, \"seconds\": %.2f, "
                     "\"histogram\": %s}",
                     &test == tests.data() ? "" : ",", shape.name, placement_name(test.placement),
                     asked_text(shape).c_str(), ptx_name(test.line->ptx),
                     static_cast<unsigned long long>(count_all(test.histogram)),
                     static_cast<unsigned long long>(count_asked(shape, test.histogram)),
                     static_cast<unsigned long long>(count_forbidden(test)), test.gave_up ? "true" : "false",
                     test.seconds, histogram_json(shape, test.histogram).c_str());
    }
    std::fprintf(file, "\n  ]\n}\n");
    std::fclose(file);
}

Options parse(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const auto is = [&](const char* name) { return std::strcmp(argv[i], name) == 0; };
        const bool has_value = i + 1 < argc;
        if (is("--peer")) {
            options.peer = true;
        } else if (is("--iterations") && has_value) {
            options.iterations = std::strtoull(argv[++i], nullptr, 10);
        } else if (is("--seconds") && has_value) {
            options.seconds = std::strtod(argv[++i], nullptr);
        } else if (is("--only") && has_value) {
            options.only = argv[++i];
        } else if (is("--json") && has_value) {
            options.json = argv[++i];
        } else {
            std::printf("unknown option %s\n", argv[i]);
            std::exit(2);
        }
    }
    return options;
}

}  // namespace
}  // namespace epgen::litmus

int main(int argc, char** argv) {
    using namespace epgen::litmus;
    const Options options = parse(argc, argv);
    // A kernel that is loaded while another one spins may wait for it.
    setenv("CUDA_MODULE_LOADING", "EAGER", 1);
    const auto start = Clock::now();
    const uint32_t num_gpus = options.peer ? 2 : 1;
    int num_devices = 0;
    CHECK_CUDA(cudaGetDeviceCount(&num_devices));
    if (num_devices < static_cast<int>(num_gpus)) {
        std::printf("needs %u GPUs, found %d\n", num_gpus, num_devices);
        return 3;
    }
    Bench bench(num_gpus);
    const auto programs = all_programs();
    auto tests = tests_of(programs, options);
    std::printf("%-28s %-7s %-9s %11s %11s  %s\n", "test", "where", "PTX", "iterations", "seen", "asked");
    uint64_t num_forbidden = 0, num_short = 0, num_gave_up = 0;
    for (size_t idx = 0; idx < tests.size(); ++idx) {
        Test& test = tests[idx];
        // What is left, shared among those that are left; a fast one leaves more to the others.
        const double left = options.seconds - seconds_since(start);
        bench.run(test, options.iterations, std::max(0.0, left / static_cast<double>(tests.size() - idx) * 2));
        const Shape& shape = *test.program->shape;
        const uint64_t iterations = count_all(test.histogram);
        num_forbidden += count_forbidden(test);
        num_short += iterations < options.iterations;
        num_gave_up += test.gave_up;
        std::printf("%-28s %-7s %-9s %11llu %11llu  %s%s%s\n", shape.name, placement_name(test.placement),
                    ptx_name(test.line->ptx), static_cast<unsigned long long>(iterations),
                    static_cast<unsigned long long>(count_asked(shape, test.histogram)), asked_text(shape).c_str(),
                    count_forbidden(test) > 0 ? "  FORBIDDEN" : "", test.gave_up ? "  GAVE UP" : "");
        std::fflush(stdout);
        if (test.gave_up) break;
    }
    if (options.json != nullptr) write_json(tests, options, num_gpus, seconds_since(start));
    std::printf("%zu tests, %llu forbidden outcomes, %llu tests short of %llu iterations, %.1f s\n", tests.size(),
                static_cast<unsigned long long>(num_forbidden), static_cast<unsigned long long>(num_short),
                static_cast<unsigned long long>(options.iterations), seconds_since(start));
    return num_gave_up > 0 ? 3 : num_forbidden > 0 ? 1 : 0;
}
