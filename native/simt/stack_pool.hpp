// Stacks of fibers: slots of equal size, with the fiber's own record above its stack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "simt/fiber.hpp"
#include "simt/reservation.hpp"

namespace epgen::simt {

class StackPool {
public:
    explicit StackPool(uint32_t stack_bytes);
    /// Keeps a few megabytes for the next machine: fresh memory costs more than a short run.
    ~StackPool();
    StackPool(const StackPool&) = delete;
    StackPool& operator=(const StackPool&) = delete;

    /// A fiber with `stack_low` set; everything else is left over from its last use.
    Fiber* take();
    void give_back(Fiber* fiber) { free_.push_back(fiber); }
    /// Whether the lowest bytes of the fiber's stack are as untouched as they began.
    static bool is_intact(const Fiber* fiber);
    /// Makes it so.
    static void mend(Fiber* fiber);

private:
    Fiber* take_fresh();

    uint64_t slot_bytes_;
    std::vector<Reservation> chunks_;
    uint32_t num_used_;  // slots of the newest chunk that were ever taken
    std::vector<Fiber*> free_;
};

}  // namespace epgen::simt
