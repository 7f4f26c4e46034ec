// The parts of the happens-before checker, against plain arrays.
#include <algorithm>
#include <array>

#include "harness.hpp"
#include "simt/check/history.hpp"
#include "simt/check/knowledge.hpp"
#include "simt/check/shadow.hpp"
#include "simt/random.hpp"

namespace epgen::test {

using simt::Random;
using simt::check::Clock;
using simt::check::Histories;
using simt::check::kLanes;
using simt::check::Known;
using simt::check::Level;
using simt::check::Pool;
using simt::check::Position;
using simt::check::Shadow;
using simt::check::Shape;
using simt::check::Stamp;

constexpr Shape kShape{3, 4, 2};
constexpr uint32_t kNumThreads = kShape.num_warps * kLanes;
constexpr uint32_t kNumClockThreads = kShape.num_queues * kShape.num_blocks * kNumThreads;

/// A clock as an array.
struct PlainClock {
    std::array<uint32_t, kNumClockThreads> numbers{};

    static Position position(uint32_t idx) {
        return {idx / kNumThreads / kShape.num_blocks, idx / kNumThreads % kShape.num_blocks, idx % kNumThreads};
    }
    static bool is_in(Position a, Position b, Level level) {
        return a.queue_idx == b.queue_idx && (level < Level::block || a.block_idx == b.block_idx) &&
               (level < Level::warp || a.thread_idx / kLanes == b.thread_idx / kLanes) &&
               (level < Level::lane || a.thread_idx == b.thread_idx);
    }
    void raise(Position around, Level level, uint32_t number) {
        for (uint32_t idx = 0; idx < kNumClockThreads; ++idx) {
            if (is_in(position(idx), around, level)) numbers[idx] = std::max(numbers[idx], number);
        }
    }
};

struct BothClocks {
    Clock clock;
    PlainClock plain;

    bool agree() const {
        for (uint32_t idx = 0; idx < kNumClockThreads; ++idx) {
            if (clock.number_of(PlainClock::position(idx)) != plain.numbers[idx]) return false;
        }
        return true;
    }
};

CASE("clocks hold the numbers that were raised and joined") {
    Pool pool;
    Random random(7);
    BothClocks clocks[6];
    for (uint32_t step = 0; step < 20'000; ++step) {
        BothClocks& it = clocks[random.below(6)];
        BothClocks& other = clocks[random.below(6)];
        const Position position = PlainClock::position(random.below(kNumClockThreads));
        const uint32_t number = random.below(step / 100 + 2);
        const uint32_t choice = random.below(16);
        if (choice < 6) {
            const auto level = static_cast<Level>(random.below(16) == 0 ? 0 : 1 + random.below(3));
            it.clock.raise(position, level, number, kShape, pool);
            it.plain.raise(position, level, number);
        } else if (choice < 8) {
            uint32_t numbers[kLanes];
            Position lane = position;
            for (uint32_t idx = 0; idx < kLanes; ++idx) {
                numbers[idx] = choice == 6 ? number : random.below(step / 100 + 2);
                lane.thread_idx = position.thread_idx / kLanes * kLanes + idx;
                it.plain.raise(lane, Level::lane, numbers[idx]);
            }
            it.clock.raise_lanes(position, numbers, kShape, pool);
        } else if (choice < 14) {
            it.clock.join(other.clock, pool);
            for (uint32_t idx = 0; idx < kNumClockThreads; ++idx) {
                it.plain.numbers[idx] = std::max(it.plain.numbers[idx], other.plain.numbers[idx]);
            }
        } else if (choice == 14) {
            it = other;
        } else {
            it = {};
        }
        if (!it.agree()) return expect(false, "step " + std::to_string(step) + ", choice " + std::to_string(choice));
    }
    for (const BothClocks& it : clocks) expect(it.agree(), "a clock changed with another");
}

CASE("joins recognise what they hold already") {
    Pool pool;
    Clock small;
    small.raise({1, 2, 3}, Level::lane, 5, kShape, pool);
    Clock large = small;
    large.raise({2, 0, 40}, Level::warp, 9, kShape, pool);
    Clock joined = large;
    joined.join(small, pool);
    expect(joined.is_same(large), "the larger one stays");
    joined = small;
    joined.join(large, pool);
    expect(joined.is_same(large), "the larger one is taken over");
    Clock block;
    for (uint32_t thread_idx = 0; thread_idx < kNumThreads; ++thread_idx) {
        block.raise({0, 1, thread_idx}, Level::lane, 4, kShape, pool);
    }
    Clock uniform;
    uniform.raise({0, 1, 0}, Level::block, 4, kShape, pool);
    expect(block.number_of({0, 1, 17}) == 4 && block.number_of({0, 0, 17}) == 0, "numbers");
    block.join(uniform, pool);
    Clock again = block;
    again.join(uniform, pool);
    expect(again.is_same(block), "a uniform block is one number");
}

CASE("a clock of a small launch takes in a larger one of the same rank") {
    Pool pool;
    Clock clock;
    clock.raise({0, 1, 33}, Level::lane, 7, {2, 2, 2}, pool);
    clock.raise({0, 0, 0}, Level::queue, 10, {2, 2, 2}, pool);
    clock.raise({0, 5, 3}, Level::lane, 12, {2, 6, 1}, pool);
    expect(clock.number_of({0, 5, 3}) == 12, "raised");
    expect(clock.number_of({0, 5, 4}) == 10 && clock.number_of({0, 1, 33}) == 10, "as the rank");
    expect(clock.number_of({0, simt::check::kStreamBlock, 0}) == 10, "the stream");
    expect(clock.number_of({1, 0, 0}) == 0, "the other rank");
}

CASE("knowledge that changes is a copy where others share it") {
    Pool pool;
    Known mine = Known::nothing(pool);
    const Known others = mine;
    mine.own(pool).planes[0].raise({0, 0, 0}, Level::lane, 3, kShape, pool);
    expect(others->planes[0].number_of({0, 0, 0}) == 0, "others' is as before");
    Known joined = others;
    joined.join(mine, pool);
    expect(joined == mine, "what holds all is taken over");
}

static Stamp write_of(uint32_t number) {
    const simt::check::Component component(simt::check::Plane::thread, {0, 0, 0});
    return {component, number, 0, 0, true, simt::Scope::none, simt::check::kAnyExtent};
}

CASE("every byte has the history of the accesses that touched it") {
    constexpr uint32_t kBytes = 40'000;
    std::vector<uint8_t> memory(kBytes + 64);
    Histories histories;
    Random random(3);
    for (uint32_t skew : {0u, 5u}) {
        Shadow shadow(memory.data() + skew, kBytes);
        std::vector<uint32_t> newest(kBytes);
        uint64_t bytes_after_first = 0;
        for (uint32_t step = 1; step <= 30'000; ++step) {
            const uint32_t size = 1u << random.below(random.below(50) == 0 ? 13 : 6);
            const uint32_t offset = random.below(kBytes - size) / (random.below(3) == 0 ? 1 : 16) * 1;
            Histories::Id made = histories.take(1);
            histories.append(made, write_of(step));
            shadow.update(shadow.begin() + offset, size, histories, [&](Histories::Id, uintptr_t) {
                histories.share(made);
                return made;
            });
            histories.drop(made);
            std::fill_n(newest.begin() + offset, size, step);
            if (step == 15'000) bytes_after_first = histories.num_bytes();
        }
        expect(histories.num_bytes() <= bytes_after_first * 5 / 4, "histories that nothing has are given back");
        for (uint32_t offset = 0; offset < kBytes; ++offset) {
            uint32_t found = 0;
            shadow.update(shadow.begin() + offset, 1, histories, [&](Histories::Id id, uintptr_t address) {
                if (address != shadow.begin() + offset) found = ~0u;
                if (id != 0) found = histories.stamps(id)[0].number;
                return id;
            });
            if (found != newest[offset]) return expect(false, "byte " + std::to_string(offset));
        }
        shadow.clear(histories);
    }
}

}  // namespace epgen::test
