#include "verify/draw.hpp"

namespace epgen::verify {

namespace {

constexpr Pattern kPatterns[] = {Pattern::distinct, Pattern::distinct,   Pattern::any,          Pattern::few,
                                 Pattern::some_none, Pattern::some_none, Pattern::all_none,     Pattern::one_rank,
                                 Pattern::one_expert, Pattern::none_to_self, Pattern::none_to_self, Pattern::bad};

int64_t draw_expert(simt::Random& random, Pattern pattern, const model::Shape& shape, uint32_t rank_idx) {
    const uint32_t num_local = shape.num_local_experts();
    const int64_t any = random.below(shape.num_experts);
    switch (pattern) {
        case Pattern::distinct:
        case Pattern::any: return any;
        case Pattern::few: return random.below(std::min(shape.num_experts, 3u));
        case Pattern::some_none: return one_in(random, 3) ? -1 : any;
        case Pattern::all_none: return -1;
        case Pattern::one_rank: return int64_t{shape.num_ranks - 1} * num_local + random.below(num_local);
        case Pattern::one_expert: return shape.num_experts / 2;
        case Pattern::none_to_self: return any / num_local == rank_idx ? -1 : any;
        case Pattern::bad: return !one_in(random, 7) ? any : one_in(random, 2) ? shape.num_experts : -7 - any;
    }
    return -1;
}

}  // namespace

void draw_rows(simt::Random& random, uint32_t num_tokens, const model::Shape& shape, model::Input& input) {
    input.num_tokens = num_tokens;
    draw_bits(random, input.x, size_t{num_tokens} * shape.row_bytes);
    draw_bits(random, input.x_scales, size_t{num_tokens} * shape.num_scale_words);
    draw_bits(random, input.extras, size_t{num_tokens} * shape.num_extra_words);
    input.topk_idx.clear();
    input.topk_weights.clear();
}

void draw_input(simt::Random& random, Pattern pattern, uint32_t num_tokens, uint32_t rank_idx, const model::Shape& shape,
                model::Input& input) {
    draw_rows(random, num_tokens, shape, input);
    for (uint32_t token_idx = 0; token_idx < num_tokens; ++token_idx) {
        const size_t first = input.topk_idx.size();
        while (input.topk_idx.size() < first + shape.num_topk) {
            const int64_t expert = draw_expert(random, pattern, shape, rank_idx);
            const bool is_repeated =
                std::find(input.topk_idx.begin() + first, input.topk_idx.end(), expert) != input.topk_idx.end();
            if (pattern == Pattern::distinct && is_repeated) continue;
            input.topk_idx.push_back(expert);
            input.topk_weights.push_back(static_cast<uint32_t>(random.next()));
        }
    }
}

uint32_t draw_token_limit(simt::Random& random, uint32_t max_tokens) {
    constexpr uint32_t kLimits[] = {1, 3, 3, 5, 8, 8, 16, 0xffffffff};
    return std::min(max_tokens, kLimits[random.below(8)]);
}

Pattern draw_pattern(simt::Random& random) { return kPatterns[random.below(std::size(kPatterns))]; }

}  // namespace epgen::verify
