// Who runs next, what time it is, and who is woken.
#include <boost/context/detail/fcontext.hpp>

#include <algorithm>
#include <cstring>

#include "simt/engine.hpp"

namespace epgen::simt {

thread_local constinit Core* current = nullptr;

namespace {
constexpr uint64_t kStepsPerLook = 1024;
constexpr uint64_t kStepsToLeave = 20'000'000;  // after abort_all; then kernels are abandoned
constexpr std::ptrdiff_t kStackMargin = 4096;
}  // namespace

void yield() { engine().yield_fiber(); }

void weak_yield() {
    current->weak_countdown = engine().schedule.weak_accesses_to_yield();
    yield();
}

uint64_t now_ns() { return engine().now(); }

Fiber& Engine::pick_next() {
    Fiber& next = runnable_.next(num_steps_++);
    trace(next.trace_id);
    return next;
}

void Engine::switch_to(Fiber& next) {
    Fiber* self = fiber;
    if (&next == self) return;
    fiber = &next;
    const auto from = boost::context::detail::jump_fcontext(next.context, self);
    static_cast<Fiber*>(from.data)->context = from.fctx;
}

void Engine::switch_to_scheduler() { switch_to(scheduler_fiber_); }

void Engine::yield_fiber() {
    Fiber& self = *fiber;
    if (static_cast<std::byte*>(__builtin_frame_address(0)) - self.stack_low < kStackMargin) {
        raise(FaultKind::stack, {"", 0}, "stack of a thread is full: its frames need more than %u bytes",
              options_.stack_bytes);
    }
    runnable_.add(self);
    if (num_in_flight_ != 0 && --flight_countdown_ == 0) move_in_flight(/*is_idle=*/false);
    switch_to(num_steps_ >= next_look_ || runnable_.empty() ? scheduler_fiber_ : pick_next());
}

void Engine::leave_fiber() {
    if (num_in_flight_ != 0 && --flight_countdown_ == 0) move_in_flight(/*is_idle=*/false);
    switch_to(num_steps_ >= next_look_ || runnable_.empty() ? scheduler_fiber_ : pick_next());
}

void Engine::make_runnable(Fiber& fiber) {
    fiber.state = FiberState::runnable;
    runnable_.add(fiber);
}

void Engine::call_on_scheduler(void (Engine::*call)()) {
    scheduler_call_ = call;
    runnable_.add(*fiber);
    switch_to_scheduler();
}

// Chosen operations

void steer(const Access& access, const WordCondition* condition) {
    const bool is_shared_word = access.space == Space::local || access.space == Space::peer;
    if (is_shared_word) {
        engine().await_choice(access, condition);
    } else {
        yield();
    }
}

void steered_wait_starts(const Access& access, const WordCondition& condition) {
    current->steering->wait_starts({current->fiber, access, &condition});
}

void Engine::await_choice(const Access& access, const WordCondition* condition) {
    pending_.push_back({fiber, access, condition});
    leave_fiber();
}

void Engine::choose_operation() {
    // Waits whose word has changed again look again, and wait on.
    const auto missed = std::stable_partition(pending_.begin(), pending_.end(), [](const WordOperation& operation) {
        uint64_t value = 0;
        std::memcpy(&value, operation.access.address, operation.access.bytes);
        return operation.condition == nullptr || operation.condition->holds(value);
    });
    if (missed != pending_.end()) {
        for (auto wait = missed; wait != pending_.end(); ++wait) make_runnable(const_cast<Fiber&>(*wait->fiber));
        pending_.erase(missed, pending_.end());
        return;
    }
    const auto chosen = pending_.begin() + static_cast<std::ptrdiff_t>(steering->choose(pending_));
    Fiber& fiber = const_cast<Fiber&>(*chosen->fiber);
    pending_.erase(chosen);
    make_runnable(fiber);
}

// Waiters

void Engine::park_on_address(Fiber& fiber, uintptr_t address) {
    fiber.state = FiberState::on_address;
    fiber.address = address;
    Fiber*& first = waiters.first(address);
    fiber.previous_waiter = nullptr;
    fiber.next_waiter = first;
    fiber.next_word = nullptr;
    if (first != nullptr) {
        first->previous_waiter = &fiber;
        fiber.next_word = first->next_word;
    }
    first = &fiber;
    ++page_waiters_[address >> 12 & 255];
    next_deadline_ns_ = std::min(next_deadline_ns_, fiber.deadline_ns);
    park_fiber();
}

void Engine::unpark(Fiber& fiber) {
    Fiber* next = fiber.next_waiter;
    if (fiber.previous_waiter != nullptr) {
        fiber.previous_waiter->next_waiter = next;
    } else {
        if (next != nullptr) next->next_word = fiber.next_word;
        waiters.first(fiber.address) = next != nullptr ? next : fiber.next_word;
    }
    if (next != nullptr) next->previous_waiter = fiber.previous_waiter;
    --page_waiters_[fiber.address >> 12 & 255];
    make_runnable(fiber);
}

void park_on(const void* address) {
    engine().park_on_address(*current->fiber, reinterpret_cast<uintptr_t>(address));
}

void Engine::unpark_all(uintptr_t address) {
    Fiber*& first = waiters.first(address);
    if (first == nullptr) return;
    Fiber* waiter = first;
    first = waiter->next_word;
    while (waiter != nullptr) {
        --page_waiters_[waiter->address >> 12 & 255];
        make_runnable(*std::exchange(waiter, waiter->next_waiter));
    }
}

void notify_waiters(uintptr_t address, uint32_t) { engine().unpark_all(address); }

void Engine::notify_range(uintptr_t address, uint64_t bytes) {
    const uintptr_t end = address + bytes;
    for (uintptr_t part = address; part < end;) {
        const uintptr_t part_end = std::min(end, (part | 4095) + 1);
        if (page_waiters_[part >> 12 & 255] != 0) {
            notify(reinterpret_cast<const void*>(part), static_cast<uint32_t>(part_end - part));
        }
        part = part_end;
    }
}

template <class Visit>
void Engine::for_each_fiber(Visit visit) const {
    for (const auto& block : resident_) {
        for (Fiber* fiber : block->fibers) visit(*fiber);
    }
}

void Engine::wake_all() {
    for_each_fiber([this](Fiber& fiber) {
        if (fiber.state == FiberState::on_address) unpark(fiber);
    });
}

void wake_all_waiters() { engine().wake_all(); }

// Time

uint64_t Engine::earliest_deadline() const {
    uint64_t earliest = kNoDeadline;
    for_each_fiber([&](const Fiber& fiber) {
        if (fiber.state == FiberState::on_address) earliest = std::min(earliest, fiber.deadline_ns);
    });
    return earliest;
}

void Engine::expire_waits() {
    if (now() < next_deadline_ns_) return;
    for_each_fiber([this](Fiber& fiber) {
        if (fiber.state != FiberState::on_address || fiber.deadline_ns > now()) return;
        if (!idle_at_timeout_) idle_at_timeout_ = idle_ranks();
        unpark(fiber);
    });
    next_deadline_ns_ = earliest_deadline();
}

void Engine::sleep_until(uint64_t deadline_ns) {
    publish();
    const auto start = std::chrono::steady_clock::now();
    {
        std::unique_lock lock(mutex_);
        const auto has_news = [this] {
            return stopping_ || abort_requested_ != aborting || wake_requested_ ||
                   (!inbox_.empty() && (num_holds_ == 0 || aborting));
        };
        if (deadline_ns == kNoDeadline) {
            changed_.wait(lock, has_news);
            return;
        }
        constexpr uint64_t kLongest = uint64_t{3600} * 1'000'000'000;  // wait_for overflows far above it
        changed_.wait_for(lock, std::chrono::nanoseconds(std::min(deadline_ns - now(), kLongest)), has_news);
    }
    const auto slept = std::chrono::steady_clock::now() - start;
    clock_offset_ns_ += std::chrono::duration_cast<std::chrono::nanoseconds>(slept).count();
}

/// What the scheduler does now and then besides picking threads.
void Engine::look_around() {
    if (abort_requested_ && !aborting) {
        aborting = true;
        abort_step_ = num_steps_;
        drop_queued();
        wake_all();
    }
    if (wake_requested_.exchange(false)) wake_all();
    if (has_mail_) receive();
    advance_streams();
    start_blocks();
    // An idle machine looks around as often as it happens to wake: that must decide nothing.
    if (!resident_.empty()) schedule.drift();
    expire_waits();
    publish();
    if (aborting && num_steps_ - abort_step_ > kStepsToLeave && (!runnable_.empty() || runnable_.has_held())) {
        fault_ = FaultReport{FaultKind::deadlock, "kernels did not leave after abort_all", "", 0, 0, 0, 0, {}};
    }
    next_look_ = num_steps_ + kStepsPerLook;
    for (const Stream& stream : streams_) {
        if (stream.has_timer && stream.timer_ns > now()) {
            next_look_ = std::min(next_look_, stream.timer_ns - clock_offset_ns_);
        }
    }
}

/// Whether a task of the caller could still wake a kernel: on a stream of its rank that the kernel isn't on, which the
/// caller is taken to have where ranks are seen to use more than their own.
bool Engine::can_be_helped() const {
    const bool uses_others = std::ranges::any_of(
        streams_, [](const Stream& stream) { return stream.id.stream_idx != 0 && !stream.is_idle(); });
    return idle_ranks_mask() != 0 || (options_.caller_may_help && uses_others);
}

/// One turn of the scheduler; false when the machine is to end.
bool Engine::take_turn() {
    runnable_.end_turn();
    if (ended_block_ != nullptr) end_block(*std::exchange(ended_block_, nullptr));
    deliver_races();
    if (fault_) act_on_fault();
    if (scheduler_call_ != nullptr) (this->*std::exchange(scheduler_call_, nullptr))();
    look_around();
    if (fault_) return true;
    if (!runnable_.empty()) {
        switch_to(pick_next());
        return true;
    }
    if (num_in_flight_ != 0) {
        ++num_steps_;
        move_in_flight(/*is_idle=*/true);
        return true;
    }
    if (!pending_.empty()) {
        choose_operation();
        return true;
    }
    // Only what a policy holds back is left.
    if (advance_held()) return true;
    if (runnable_.has_held()) {
        switch_to(pick_next());
        return true;
    }
    if (jump_to_timer()) return true;
    bool runs = false;
    for (const Stream& stream : streams_) runs |= stream.launch != nullptr;
    if (!runs) {
        const bool ends = [this] {
            std::lock_guard lock(mutex_);
            return stopping_ && inbox_.empty();
        }();
        if (ends) return false;
        sleep_until(kNoDeadline);
        return true;
    }
    const uint64_t deadline_ns = earliest_deadline();
    if (aborting || !can_be_helped() || deadline_ns == kNoDeadline) {
        report_deadlock();
    } else {
        sleep_until(deadline_ns);
    }
    return true;
}

}  // namespace epgen::simt
