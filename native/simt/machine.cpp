#include "simt/machine.hpp"

#include "simt/engine.hpp"

namespace epgen::simt {

Machine::Machine(MachineOptions options) : engine_(std::make_unique<Engine>(std::move(options))) {}
Machine::~Machine() = default;

void Machine::enqueue(StreamId stream, Task task) { engine_->enqueue(stream, std::move(task)); }
void Machine::enqueue(uint32_t rank_idx, Task task) { engine_->enqueue({rank_idx, 0}, std::move(task)); }
void Machine::hold() { engine_->hold(1); }
void Machine::release() { engine_->hold(-1); }
void Machine::reset() { engine_->reset(); }
void Machine::wake_waits() { engine_->wake_waits(); }
void Machine::abort_all() { engine_->abort_all(); }
std::vector<uint32_t> Machine::idle_ranks() const { return engine_->idle_ranks(); }
void Machine::host_reads(uint32_t rank_idx, const void* stored, const void* data, uint64_t bytes) {
    if (engine_->checker != nullptr) engine_->checker->host_reads(rank_idx, stored, data, bytes);
}
Counters Machine::counters() const { return engine_->counters(); }
void Machine::add_region(const MemoryRegion& region) { engine_->add_region(region); }

}  // namespace epgen::simt
