// A batch of pairs in an order that the rules allow and that all ranks share: up to `in_flight` dispatches and combines
// sent and not received, halves of one call apart, received in any order.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace soak {

/// What one rank does of one pair.
struct RankPlan {
    uint32_t num_tokens;
    uint32_t send_grid, sum_grid, stage_grid;
    bool is_staged;         // expert outputs come from elsewhere
    bool dispatches_whole;  // where a receive follows its send: one launch of both
    bool combines_whole;
    bool delays_dispatch, delays_combine;
};

enum class Step { dispatch_send, dispatch_receive, combine_send, combine_receive };

struct Action {
    Step step;
    uint32_t pair;  // of the batch
};

struct Batch {
    std::vector<Action> actions;
    std::vector<std::vector<RankPlan>> pairs;  // [pair][rank]
};

struct PlanShape {
    uint32_t num_ranks;
    uint32_t num_pairs;
    uint32_t in_flight;
    uint32_t max_tokens;
    uint32_t max_grid;
    bool must_stage;
    /// Of 1000 dispatches, and of as many combines, those that a rank is held back before.
    uint32_t delays_per_mille;
};

/// The order of one batch. Pairs combine in the order in which they dispatch: pair p always has the p-th buffers.
inline std::vector<Action> random_order(const PlanShape& shape, std::mt19937& random) {
    const uint32_t n = shape.num_pairs, k = shape.in_flight;
    std::vector<uint32_t> num_done(n, 0);  // steps of a pair
    const auto has = [&](uint32_t pair, Step step) { return num_done[pair] > static_cast<uint32_t>(step); };
    const auto may = [&](uint32_t pair, Step step) {
        if (num_done[pair] != static_cast<uint32_t>(step)) return false;
        switch (step) {
            case Step::dispatch_send:
                return (pair < 1 || has(pair - 1, Step::dispatch_send)) &&
                       (pair < k || has(pair - k, Step::dispatch_receive)) &&
                       (pair < 2 * k || has(pair - 2 * k, Step::combine_receive));  // handles take turns
            case Step::combine_send:
                return (pair < 1 || has(pair - 1, Step::combine_send)) &&
                       (pair < k || has(pair - k, Step::combine_receive));
            case Step::dispatch_receive:
            case Step::combine_receive: return true;
        }
        return false;
    };
    std::vector<Action> order;
    while (order.size() < size_t{4} * n) {
        std::vector<Action> next;
        for (uint32_t pair = 0; pair < n; ++pair) {
            if (num_done[pair] == 4) continue;
            const Step step = static_cast<Step>(num_done[pair]);
            if (may(pair, step)) next.push_back({step, pair});
            if (num_done[pair] == 0) break;
        }
        order.push_back(next.at(random() % next.size()));
        ++num_done[order.back().pair];
    }
    return order;
}

inline uint32_t random_tokens(uint32_t max_tokens, std::mt19937& random) {
    switch (random() % 8) {
        case 0: return 0;
        case 1: return 1;
        case 2: return max_tokens;
        default: return 1 + random() % max_tokens;
    }
}

inline Batch random_batch(const PlanShape& shape, uint32_t seed) {
    std::mt19937 random(seed);
    Batch batch{random_order(shape, random), {}};
    const auto grid = [&] { return random() % 2 ? shape.max_grid : 1 + uint32_t(random() % shape.max_grid); };
    const auto delays = [&] { return random() % 1000 < shape.delays_per_mille; };
    for (uint32_t pair = 0; pair < shape.num_pairs; ++pair) {
        std::vector<RankPlan>& ranks = batch.pairs.emplace_back();
        for (uint32_t rank = 0; rank < shape.num_ranks; ++rank) {
            RankPlan plan{};
            plan.num_tokens = random_tokens(shape.max_tokens, random);
            plan.send_grid = grid();
            plan.sum_grid = grid();
            plan.stage_grid = grid();
            plan.is_staged = shape.must_stage || random() % 4 == 0;
            plan.dispatches_whole = random() % 4 > 0;
            plan.combines_whole = random() % 4 > 0;
            plan.delays_dispatch = delays();
            plan.delays_combine = delays();
            ranks.push_back(plan);
        }
    }
    return batch;
}

}  // namespace soak
