// The machine's thread and its mail.
#include "simt/engine.hpp"

#include <algorithm>
#include <cfenv>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace epgen::simt {

namespace {

constexpr uint32_t kMaxSharedBytes = 232'448;  // what a block of sm_90 can opt in to

/// The detectors and the tracer run on the stacks of the threads that they watch.
MachineOptions with_watch_room(MachineOptions options) {
    constexpr uint32_t kWatchStackBytes = 8 * 1024;
    const bool is_watched = options.check_races || options.weak_memory || options.tracer != nullptr;
    if (is_watched) options.stack_bytes += kWatchStackBytes;
    return options;
}

void check_launch(const Kernel& kernel, bool check_races) {
    const KernelEntry& entry = *kernel.entry;
    const std::string name = std::string("kernel ") + entry.name;
    if (kernel.grid == 0) throw std::invalid_argument(name + ": expected at least 1 block but received 0");
    if (check_races && kernel.grid > check::Checker::kMaxBlocks) {
        throw std::invalid_argument(name + ": expected at most " + std::to_string(check::Checker::kMaxBlocks) +
                                    " blocks, for races to be checked, but received " + std::to_string(kernel.grid));
    }
    if (entry.num_threads == 0 || entry.num_threads > kMaxThreads || entry.num_threads % kWarpLanes != 0) {
        throw std::invalid_argument(name + ": expected a multiple of 32 threads up to 1024 but received " +
                                    std::to_string(entry.num_threads));
    }
    if (entry.shared_bytes > kMaxSharedBytes) {
        throw std::invalid_argument(name + ": expected at most " + std::to_string(kMaxSharedBytes) +
                                    " bytes of shared memory but received " + std::to_string(entry.shared_bytes));
    }
}

}  // namespace

Engine::Engine(MachineOptions options)
    : schedule(options.seed, options.weak_yield_one_in, options.policy, options.num_ranks),
      options_(with_watch_room(std::move(options))),
      stacks_(options_.stack_bytes),
      runnable_(schedule),
      streams_(std::min(options_.num_ranks, kMostRanks)) {
    for (uint32_t rank_idx = 0; rank_idx < streams_.size(); ++rank_idx) streams_[rank_idx].id = {rank_idx, 0};
    if (options_.num_ranks == 0 || options_.num_ranks > kMostRanks) {
        throw std::invalid_argument("expected 1 to 64 ranks but received " + std::to_string(options_.num_ranks));
    }
    if (options_.weak_yield_one_in == 0) throw std::invalid_argument("expected weak_yield_one_in of at least 1");
    if (options_.check_races && options_.num_ranks > check::Checker::kMaxRanks) {
        throw std::invalid_argument("expected at most 8 ranks, for races to be checked, but received " +
                                    std::to_string(options_.num_ranks));
    }
    if (options_.check_races) {
        owned_checker_ = std::make_unique<check::Checker>(options_.num_ranks, [this](const RaceReport& report) {
            if (options_.tracer != nullptr) options_.tracer->race(now(), report);
            if (options_.on_race) options_.on_race(report);
        });
    }
    if (options_.weak_memory) owned_weak_memory_ = std::make_unique<WeakMemory>(options_.seed, options_.num_ranks);
    checker = owned_checker_.get();
    weak_memory = owned_weak_memory_.get();
    tracer = options_.tracer;
    steering = options_.steering;
    is_watched = checker != nullptr || weak_memory != nullptr || tracer != nullptr || steering != nullptr;
    publish();
    thread_ = std::thread([this] { run(); });
}

Engine::~Engine() {
    abort_all();
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
    for (std::byte* shared : all_shared_) std::free(shared);
}

void Engine::run() {
    std::fesetenv(FE_DFL_ENV);  // fibers inherit it: no flush to zero, rounding to nearest
    current = this;
    fiber = &scheduler_fiber_;
    (is_watched ? watched_countdown : weak_countdown) = schedule.weak_accesses_to_yield();
    while (take_turn()) {
    }
    current = nullptr;
}

void Engine::enqueue(StreamId stream, Task task) {
    if (stream.rank_idx >= options_.num_ranks) {
        throw std::invalid_argument("expected a rank below " + std::to_string(options_.num_ranks) + " but received " +
                                    std::to_string(stream.rank_idx));
    }
    const uint32_t num_streams = options_.check_races ? check::Checker::kMaxStreams : kMostStreams;
    if (stream.stream_idx >= num_streams) {
        throw std::invalid_argument("expected a stream below " + std::to_string(num_streams) + " but received " +
                                    std::to_string(stream.stream_idx));
    }
    if (const auto* kernel = std::get_if<Kernel>(&task)) check_launch(*kernel, options_.check_races);
    {
        std::lock_guard lock(mutex_);
        inbox_.push_back({Message::Kind::task, stream, std::move(task)});
        has_mail_ = true;
    }
    changed_.notify_all();
}

void Engine::reset() {
    {
        std::lock_guard lock(mutex_);
        inbox_.push_back({Message::Kind::reset, {}, Delay{0}});
        has_mail_ = true;
    }
    changed_.notify_all();
}

void Engine::hold(int change) {
    {
        std::lock_guard lock(mutex_);
        num_holds_ += change;
    }
    changed_.notify_all();
}

void Engine::wake_waits() {
    {
        std::lock_guard lock(mutex_);
        wake_requested_ = true;
    }
    changed_.notify_all();
}

void Engine::abort_all() {
    {
        std::lock_guard lock(mutex_);
        abort_requested_ = true;
    }
    changed_.notify_all();
}

void Engine::receive() {
    std::vector<Message> messages;
    {
        std::lock_guard lock(mutex_);
        if (num_holds_ > 0 && !aborting) return;
        messages.swap(inbox_);
        has_mail_ = false;
        for (; num_known_regions_ < regions_.size(); ++num_known_regions_) {
            if (checker != nullptr) checker->add_region(regions_[num_known_regions_]);
            if (weak_memory != nullptr) weak_memory->add_region(regions_[num_known_regions_]);
        }
        for (const Message& message : messages) {
            if (message.kind == Message::Kind::task) idle_mask_ &= ~(uint64_t{1} << message.stream.rank_idx);
        }
    }
    // Whoever enqueues only now may have waited for everything before.
    if (checker != nullptr && is_idle()) checker->forget();
    for (Message& message : messages) {
        if (message.kind == Message::Kind::reset) {
            is_faulted_ = false;
        } else if (is_faulted_ || aborting) {
            drop(std::move(message.task));
        } else {
            stream_of(message.stream).queue.push_back(std::move(message.task));
        }
    }
}

bool Engine::is_idle() const {
    return std::all_of(streams_.begin(), streams_.end(), [](const Stream& stream) { return stream.is_idle(); });
}

Stream& Engine::stream_of(StreamId id) {
    if (id.stream_idx == 0) return streams_[id.rank_idx];
    const auto found = std::ranges::find(streams_, id, &Stream::id);
    if (found != streams_.end()) return *found;
    Stream& added = streams_.emplace_back();
    added.id = id;
    return added;
}

uint64_t Engine::idle_ranks_mask() const {
    uint64_t mask = 0;
    for (uint32_t rank_idx = 0; rank_idx < options_.num_ranks; ++rank_idx) mask |= uint64_t{1} << rank_idx;
    for (const Stream& stream : streams_) {
        if (!stream.is_idle()) mask &= ~(uint64_t{1} << stream.id.rank_idx);
    }
    return mask;
}

std::vector<uint32_t> Engine::idle_ranks() const {
    std::lock_guard lock(mutex_);
    uint64_t mask = idle_mask_;
    for (const Message& message : inbox_) {
        if (message.kind == Message::Kind::task) mask &= ~(uint64_t{1} << message.stream.rank_idx);
    }
    std::vector<uint32_t> idle;
    for (uint32_t rank_idx = 0; rank_idx < options_.num_ranks; ++rank_idx) {
        if (mask >> rank_idx & 1) idle.push_back(rank_idx);
    }
    return idle;
}

void Engine::publish() {
    idle_mask_ = idle_ranks_mask();
    published_.num_steps = num_steps_;
    published_.num_kernels = num_kernels_;
    published_.trace_hash = trace_hash_;
    published_.now_ns = now();
}

Counters Engine::counters() const {
    return {published_.num_steps, published_.num_kernels, published_.trace_hash, published_.now_ns};
}

void Engine::add_region(const MemoryRegion& region) {
    std::lock_guard lock(mutex_);
    regions_.push_back(region);
}

void Engine::call_timeout() {
    publish();
    if (!idle_at_timeout_) idle_at_timeout_ = idle_ranks();
    if (options_.on_timeout) options_.on_timeout({timeout_rank_idx, *idle_at_timeout_});
}

void Engine::call_host_store() {
    publish();
    options_.on_host_store(host_address);
}

void report_timeout(uint32_t rank_idx) {
    engine().timeout_rank_idx = rank_idx;
    engine().call_on_scheduler(&Engine::call_timeout);
}

void report_host_store(const void* address) {
    if (!engine().wants_host_stores()) return;
    engine().host_address = address;
    engine().call_on_scheduler(&Engine::call_host_store);
}

}  // namespace epgen::simt
