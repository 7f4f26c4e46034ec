// Accesses of a machine with a checker, weak memory or a tracer.
#include <cstring>
#include <utility>

#include "simt/engine.hpp"

namespace epgen::simt {

namespace {

bool is_strong(const Access& access) { return access.order != Order::weak; }

/// Stores through peer pointers take their time.
bool flies(const Access& access) { return current->weak_memory != nullptr && access.space == Space::peer; }

uint64_t value_of(const void* data, uint32_t bytes) {
    uint64_t value = 0;
    std::memcpy(&value, data, std::min<uint32_t>(bytes, sizeof value));
    return value;
}

void announce(const Access& access) {
    if (is_strong(access)) {
        simt::access(access);
    } else if (--current->watched_countdown == 0) {
        current->watched_countdown = engine().schedule.weak_accesses_to_yield();
        yield();
    }
}

void check_access(const Access& access) {
    if (current->checker != nullptr) current->checker->access(*current->fiber, access);
}

/// Until the write of an access is visible: what it carries, and its number in the trace.
struct Departure {
    check::ReleasedClock released;
    std::optional<uint64_t> trace_number;

    Departure(const Access& access, uint64_t value) {
        Fiber& self = *current->fiber;
        check_access(access);
        if (current->checker != nullptr && access.space != Space::shared) {
            released = current->checker->stored(self, access);
        }
        if (current->tracer == nullptr) return;
        if (!is_strong(access)) {
            current->tracer->weak_access(engine().now(), self, access);
        } else if (access.space == Space::local || access.space == Space::peer) {
            trace_number = current->tracer->store_issued(engine().now(), self, access, value);
        }
    }

    void arrive(const Access& access) {
        if (access.space == Space::shared) return;
        engine().store_visible(access.address, access.bytes, access.kind == AccessKind::read_modify_write, released,
                               trace_number);
    }
};

/// Orders a write with what flies; the write itself is performed by the caller, or flies from now on: returned then.
FlyingStore* depart(const Access& access, const void* operand, Departure& departure) {
    WeakMemory* memory = current->weak_memory;
    if (memory == nullptr) return nullptr;
    const Fiber& self = *current->fiber;
    if (access.order == Order::release) memory->release(self, access.scope, memory->home_of(access.address));
    if (!flies(access)) {
        if (access.space != Space::host) memory->before_write(self, access);
        return nullptr;
    }
    FlyingStore& store = memory->issue(self, access, operand);
    store.released = std::move(departure.released);
    store.trace_number = departure.trace_number;
    return &store;
}

}  // namespace

bool weak_access_pauses() {
    if (!current->is_watched) {
        weak_yield();
        return false;
    }
    current->weak_countdown = 1;
    return true;
}

void watched_load(const Access& access, void* value) {
    announce(access);
    watched_poll(access, value);
}

void watched_poll(const Access& access, void* value) {
    check_access(access);
    std::memcpy(value, access.address, access.bytes);
    if (current->weak_memory != nullptr && access.space != Space::shared) {
        current->weak_memory->see(*current->fiber, access.address, access.bytes, value);
    }
    if (current->tracer != nullptr && !is_strong(access)) {
        current->tracer->weak_access(engine().now(), *current->fiber, access);
    }
}

void watched_store(const Access& access, const void* value) {
    announce(access);
    Departure departure(access, value_of(value, access.bytes));
    if (depart(access, value, departure) != nullptr) return;
    write_words(const_cast<void*>(access.address), value, access.bytes);
    departure.arrive(access);
}

uint32_t watched_update(const Access& access, Update update, uint32_t operand) {
    announce(access);
    Departure departure(access, operand);
    if (FlyingStore* store = depart(access, &operand, departure)) {
        store->update = update;
        return 0;
    }
    auto* word = static_cast<uint32_t*>(const_cast<void*>(access.address));
    const uint32_t before = *word;
    *word = updated(update, before, operand);
    departure.arrive(access);
    return before;
}

void watched_wait_end(const Access& access, uint64_t value) {
    Fiber& self = *current->fiber;
    if (current->checker != nullptr) {
        const FlyingStore* store = current->weak_memory == nullptr
                                       ? nullptr
                                       : current->weak_memory->newest_store(self, access.address, access.bytes);
        current->checker->loaded(self, access, store == nullptr ? nullptr : &store->released);
    }
    if (current->tracer != nullptr) current->tracer->wait_succeeds(engine().now(), self, access, value);
}

void watched_signal(const Access& access) { check_access(access); }

void fence_proxy_async(bool shared_only, Place place) {
    yield();
    if (!current->is_watched) return;
    Fiber& self = *current->fiber;
    if (current->checker != nullptr) current->checker->proxy_fence(self, shared_only, place);
    if (current->weak_memory != nullptr) current->weak_memory->fence_proxy_async(self, shared_only);
    if (current->tracer != nullptr) {
        current->tracer->fence(engine().now(), self, shared_only ? "fence_proxy_async_shared" : "fence_proxy_async",
                               place);
    }
}

void write_words(void* to, const void* from, uint32_t bytes) {
    if (bytes == sizeof(uint64_t)) {
        __atomic_store_n(static_cast<uint64_t*>(to), value_of(from, bytes), __ATOMIC_RELEASE);
    } else if (bytes == sizeof(uint32_t)) {
        __atomic_store_n(static_cast<uint32_t*>(to), static_cast<uint32_t>(value_of(from, bytes)), __ATOMIC_RELEASE);
    } else {
        std::memcpy(to, from, bytes);
    }
}

void Engine::store_visible(const void* data, uint32_t bytes, bool is_update, const check::ReleasedClock& released,
                           std::optional<uint64_t> trace_number) {
    if (checker != nullptr) checker->store_visible(data, bytes, is_update, released);
    if (tracer != nullptr && trace_number) tracer->store_visible(now(), *trace_number);
    notify(data, bytes);
}

void Engine::store_lands(const FlyingStore& store) {
    trace(store.origin.number);
    store_visible(store.address, store.bytes, store.is_update, store.released, store.trace_number);
    end_flight(*store.origin.launch);
}

void Engine::begin_flight(Launch& launch) {
    if (num_in_flight_++ == 0) flight_countdown_ = schedule.steps_to_flight();
    ++launch.num_in_flight;
}

void Engine::end_flight(Launch& launch) {
    --num_in_flight_;
    if (--launch.num_in_flight == 0 && launch.is_over()) next_look_ = 0;
}

void Engine::watch_issue(Fiber& issuer, BulkCopy& copy) {
    if (checker != nullptr) checker->bulk_issued(issuer, copy);
    if (weak_memory != nullptr) weak_memory->issue(issuer, copy);
    if (tracer != nullptr) copy.trace_number = tracer->copy_issued(now(), copy);
}

void Engine::park_traced_fiber() {
    Fiber& self = *fiber;
    tracer->parks(now(), self);
    leave_fiber();
    tracer->goes_on(now(), self);
}

void Engine::deliver_races() {
    if (checker != nullptr && checker->has_findings()) checker->report();
}

}  // namespace epgen::simt
