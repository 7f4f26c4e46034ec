import { edit, type Mutant } from '../mutant.js';
import { announce, beside as besideRows, exchange, layoutMask, receive, store } from './files.js';
import { STORES_COLUMN, STREAM } from './places.js';

const spec = 'beside';

/** What travels beside rows, and where rows lie: scales, extras, gaps and padding. */
export const beside: readonly Mutant[] = [
  {
    id: 'beside-after-arrivals',
    rule: 37,
    plants: 'Scales and extras are sent after the arrivals that announce them.',
    edits: [
      edit(store, 'if (is_mine) store_beside(args, tile, tokens.end);', ''),
      edit(
        announce,
        "    // The block that finishes last waits for the others' rows",
        `    for (uint32_t i = block_idx(); i < kNumChannels && warp_idx() == kFirstMetaWarp; i += num_blocks()) {
        const TokenRange late = channel_tokens(args.num_tokens, i, kNumChannels);
        PLANTED(); for (uint32_t tile = late.first; tile < late.end; tile += kWarpSize) store_beside(args, tile, late.end);
    }
    // The block that finishes last waits for the others' rows`,
      ),
    ],
    spec,
    expected: { detector: 'race', between: [STREAM, STORES_COLUMN] },
  },
  {
    id: 'columns-as-long-as-the-call',
    rule: 37,
    plants: 'Columns of received scales are taken to be as long as what this rank sends.',
    edits: [
      edit(
        besideRows,
        'st(columns + (uint64_t{word} * kScaleColumnWords +',
        'PLANTED(); st(columns + (uint64_t{word} * args.num_tokens +',
      ),
    ],
    spec,
    expected: { detector: 'data' },
  },
  {
    id: 'column-of-the-next-block',
    rule: 37,
    plants: 'Scales go to the column of their neighbour.',
    edits: [
      edit(
        besideRows,
        'st(columns + (uint64_t{word} * kScaleColumnWords +',
        'PLANTED(); st(columns + (uint64_t{word ^ 1} * kScaleColumnWords +',
      ),
    ],
    spec,
    expected: { detector: 'data' },
  },
  {
    id: 'columns-read-as-rows',
    rule: 37,
    plants: 'Scales to send are read as if those of a token lay side by side.',
    edits: [
      edit(
        besideRows,
        'ld(scales + (uint64_t{word} * args.num_tokens + token_idx));',
        '(PLANTED(), ld(scales + (uint64_t{token_idx} * kNumScaleWords + word)));',
      ),
    ],
    spec,
    expected: { detector: 'data' },
  },
  {
    id: 'slots-of-another-lane',
    rule: 7,
    plants: 'A lane reads back slots that another lane of its warp has written.',
    edits: [
      edit(
        besideRows,
        'const uint32_t token_idx = tile + lane_idx();\n    TokenSlots own;',
        'PLANTED(); const uint32_t token_idx = tile + (lane_idx() ^ 1);\n    TokenSlots own;',
      ),
    ],
    spec,
    expected: { detector: 'race', between: ['st(slots + ', '= token_idx < end ? ld(slots'] },
  },
  {
    id: 'extras-of-the-first-token',
    rule: 37,
    plants: 'Every token of a tile sends the extras of its first one.',
    edits: [
      edit(
        besideRows,
        'ld(words + (uint64_t{tile + i} * num_words + word));',
        '(PLANTED(), ld(words + (uint64_t{tile} * num_words + word)));',
      ),
    ],
    spec,
    expected: { detector: 'data' },
  },
  {
    id: 'layout-of-another-rank',
    rule: 18,
    plants: 'The ranks of a layout are read in reverse.',
    edits: [
      edit(
        layoutMask,
        'ld(is_token_in_rank + (uint64_t{token_idx} * kNumRanks + d))',
        '(PLANTED(), ld(is_token_in_rank + (uint64_t{token_idx} * kNumRanks + (kNumRanks - 1 - d))))',
      ),
    ],
    spec,
    expected: { detector: 'data' },
  },
  {
    id: 'layout-counts-not-published',
    rule: 17,
    plants: 'A rank without tokens tells no expert counts when it dispatches from a layout.',
    edits: [
      edit(
        exchange,
        'EPGEN_DEVICE void publish_expert_counts(const Call& call, const {{argsType}}& args) {\n',
        `EPGEN_DEVICE void publish_expert_counts(const Call& call, const {{argsType}}& args) {
    PLANTED(); if (args.num_tokens == 0) return;\n`,
      ),
    ],
    spec,
    expected: { detector: 'timeout' },
  },
  {
    id: 'counts-not-rounded',
    rule: 40,
    plants: 'Counts per expert are rounded down to the alignment.',
    edits: [
      edit(
        receive,
        'num_tokens = (num_tokens + args.expert_alignment - 1) / args.expert_alignment',
        'PLANTED(); num_tokens = num_tokens / args.expert_alignment',
      ),
    ],
    expected: { detector: 'data' },
  },
  {
    id: 'slotted-at-the-destination',
    rule: 18,
    plants: 'Slotted rows begin where those of their destination would.',
    edits: [
      edit(
        exchange,
        'args.rank_idx * kMaxTokensPerRank);',
        '(PLANTED(), lane_idx() * kMaxTokensPerRank));',
      ),
    ],
    spec: 'slotted',
    expected: { detector: 'data' },
  },
  {
    id: 'slotted-without-gaps',
    rule: 18,
    plants: 'Slotted rows begin after the tokens that this rank itself sends, for each lower rank.',
    edits: [
      edit(
        exchange,
        'args.rank_idx * kMaxTokensPerRank);',
        '(PLANTED(), args.rank_idx * args.num_tokens));',
      ),
    ],
    spec: 'slotted',
    expected: { detector: 'data' },
  },
  {
    id: 'slotted-counts-of-another-rank',
    rule: 18,
    plants: 'The rows that each source sent are told from counts for another rank.',
    edits: [
      edit(
        receive,
        'if (lane_idx() == args.rank_idx) {',
        'PLANTED(); if (lane_idx() == (args.rank_idx + 1) % kNumRanks) {',
      ),
    ],
    spec: 'slotted',
    expected: { detector: 'data' },
  },
  {
    id: 'padding-from-the-first-row',
    rule: 38,
    plants: 'All rows are marked as padding, on the strength that others will write over it.',
    edits: [
      edit(
        receive,
        'const uint32_t first_choice = num_recv_tokens * kNumTopk;',
        'PLANTED(); const uint32_t first_choice = num_recv_tokens * 0;',
      ),
    ],
    spec,
    expected: { detector: 'race', between: ['st(topk_idx + i, -1)', 'st(peer_topk_idx + i'] },
  },
  {
    id: 'padding-one-row-late',
    rule: 38,
    plants: 'The first row behind those that come is not marked as padding.',
    edits: [
      edit(
        receive,
        'const uint32_t first_choice = num_recv_tokens * kNumTopk;',
        'PLANTED(); const uint32_t first_choice = (num_recv_tokens + 1) * kNumTopk;',
      ),
    ],
    spec,
    expected: { detector: 'data' },
  },
  {
    id: 'padding-of-one-choice',
    rule: 38,
    plants: 'Only as many choices as padded rows are marked.',
    edits: [
      edit(
        receive,
        'i < args.num_worst_tokens * kNumTopk; i += kWarpSize',
        'i < first_choice + args.num_worst_tokens - num_recv_tokens; i += (PLANTED(), kWarpSize)',
      ),
    ],
    spec,
    expected: { detector: 'data' },
  },
];
