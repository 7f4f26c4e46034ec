// Lets somebody decide, instead of chance, in which order threads perform operations on the words that ranks and blocks
// share. Everything between two such operations runs by itself, and the next is chosen when nothing else can happen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "simt/access.hpp"

namespace epgen::simt {

struct Block;
struct Fiber;

/// What a wait is for; lives as long as the wait.
struct WordCondition {
    bool (*check)(const void* predicate, uint64_t value);
    const void* predicate;

    bool holds(uint64_t value) const { return check(predicate, value); }
};

/// What a thread is about to do.
struct WordOperation {
    const Fiber* fiber;
    Access access;
    const WordCondition* condition;  // of a wait, null otherwise
};

/// Called on the machine thread.
class Steering {
public:
    virtual ~Steering() = default;

    /// A thread waits from now on. That it may go on is another operation, pending while the word is as it should be.
    virtual void wait_starts(const WordOperation& wait) = 0;
    /// Index of the operation that is performed next.
    virtual size_t choose(const std::vector<WordOperation>& pending) = 0;

    // What else makes threads come after each other.
    virtual void block_starts(const Block& block) = 0;
    virtual void block_ends(const Block& block) = 0;
    virtual void meet(Fiber* const* fibers, uint32_t count) = 0;
    virtual void mbarrier_arrive(const Fiber& fiber, const void* mbarrier) = 0;
    virtual void mbarrier_phase_ends(const void* mbarrier) = 0;
    virtual void mbarrier_pass(const Fiber& fiber, const void* mbarrier) = 0;
};

}  // namespace epgen::simt
