import { edit, type Mutant } from '../mutant.js';
import { llChoices, llCount, llPlace, llReceive, llSend, llStage, llStore } from './files.js';
import { LL_STORES_ROW } from './places.js';

const SUM_BELOW =
  '        for (uint32_t j = 0; j < k; ++j) is_first = is_first && expert[j] != expert[k];';

/** Places and counts of low-latency rows. */
export const lowLatencyRows: readonly Mutant[] = [
  {
    id: 'll-repeated-choice-sent-twice',
    rule: 42,
    plants: 'A token that chose an expert twice is sent to it twice, to the same place.',
    edits: [
      edit(
        llPlace,
        'if (k < lane_idx() && other == expert) is_first = false;',
        'PLANTED(); (void)other;',
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [LL_STORES_ROW, LL_STORES_ROW] },
  },
  {
    id: 'll-repeated-choice-counted-twice',
    rule: 42,
    plants: 'A token that chose an expert twice counts twice there.',
    edits: [edit(llCount, SUM_BELOW, '        for (uint32_t j = 0; j < k; ++j) { PLANTED(); }')],
    spec: 'll',
    expected: { detector: 'data' },
  },
  {
    id: 'll-places-without-own-rows',
    rule: 18,
    plants: 'A row comes behind those of lower ranks, as if it were the first of its own.',
    edits: [
      edit(
        llPlace,
        'if (source <= args.rank_idx) row +=',
        'PLANTED(); if (source < args.rank_idx) row +=',
      ),
    ],
    spec: 'll',
    expected: { detector: 'data' },
  },
  {
    id: 'll-own-token-not-counted',
    rule: 18,
    plants: 'The token that a block has sent is left out of those before the next one.',
    edits: [edit(llSend, 'num_earlier = token_idx;', 'PLANTED(); num_earlier = token_idx + 1;')],
    spec: 'll',
    expected: { detector: 'data' },
  },
  {
    id: 'll-earlier-blocks-not-counted',
    rule: 18,
    plants: 'Tokens of earlier channels are left out of those before the first one of a block.',
    edits: [
      edit(llCount, 'token_idx < first_own_token ? kEarlier : kLater', '(PLANTED(), kLater)'),
    ],
    spec: 'll',
    expected: { detector: 'data' },
  },
  {
    id: 'll-counts-of-earlier-tokens',
    rule: 18,
    plants: 'A rank is told of the tokens before the block that tells, not of all.',
    edits: [
      edit(
        llCount,
        'const uint32_t end = publishes_counts() ? args.num_tokens : first_own_token;',
        'PLANTED(); const uint32_t end = first_own_token;',
      ),
    ],
    spec: 'll',
    expected: { detector: 'data' },
  },
  {
    id: 'll-buffer-of-the-next-call',
    rule: 13,
    plants: 'Rows go to the receive buffer of the next call.',
    edits: [
      edit(
        llStore,
        'return (call.epoch - 1) % kNumLlRecvBuffers;',
        'PLANTED(); return call.epoch % kNumLlRecvBuffers;',
      ),
    ],
    spec: 'll',
    expected: { detector: 'data' },
  },
  {
    id: 'll-no-slot-for-repeated-choices',
    rule: 42,
    plants: 'The handle keeps a slot for the first of equal choices only.',
    edits: [
      edit(
        llStore,
        'static_cast<int32_t>(slot));',
        '(PLANTED(), is_first ? static_cast<int32_t>(slot) : -1));',
      ),
    ],
    spec: 'll',
    expected: { detector: 'data' },
  },
  {
    id: 'll-source-of-the-next-token',
    rule: 37,
    plants: 'Beside a row lies the index of the token behind its own.',
    edits: [
      edit(
        llStore,
        'st(sources + row, static_cast<int32_t>(token_idx));',
        'PLANTED(); st(sources + row, static_cast<int32_t>(token_idx + 1));',
      ),
    ],
    spec: 'll',
    expected: { detector: 'data' },
  },
  {
    id: 'll-scales-of-the-other-stage',
    rule: 37,
    plants: 'The scales of a row are read from the other stage.',
    edits: [
      edit(
        llStore,
        'EPGEN_FIELD(smem, scales) + (stage_idx * kNumLlScaleWords + word)',
        'EPGEN_FIELD(smem, scales) + ((PLANTED(), stage_idx ^ 1) * kNumLlScaleWords + word)',
      ),
    ],
    spec: 'llFp8',
    expected: { detector: 'data' },
  },
  {
    id: 'll-columns-of-one-expert',
    rule: 37,
    plants: 'Columns of scales are those of the first expert.',
    edits: [
      edit(
        llStore,
        'uint64_t{row / kMaxLlRecvTokens} * kNumLlScaleWords;',
        '(PLANTED(), uint64_t{0});',
      ),
    ],
    spec: 'llFp8',
    expected: { detector: 'data' },
  },
  {
    id: 'll-ranges-from-the-end',
    rule: 43,
    plants: 'A range begins behind the rows of its source.',
    edits: [
      edit(
        llReceive,
        'for (uint32_t s = 0; s < source; ++s) first +=',
        'PLANTED(); for (uint32_t s = 0; s <= source; ++s) first +=',
      ),
    ],
    spec: 'll',
    expected: { detector: 'data' },
  },
  {
    id: 'll-handle-not-cleared',
    rule: 43,
    plants: 'Between the halves of a dispatch its handle holds what memory held before.',
    edits: [
      edit(
        llSend,
        'if (i < kNumLocalExperts) st(EPGEN_FIELD(handle, num_tokens_per_expert) + i, 0);',
        'PLANTED();',
      ),
    ],
    spec: 'll',
    expected: { detector: 'data' },
  },
  {
    id: 'll-stats-overwritten',
    rule: 43,
    plants: 'What is added up over calls is the count of the newest.',
    edits: [
      edit(llReceive, 'st(total, ld(total) + num_tokens);', 'PLANTED(); st(total, num_tokens);'),
    ],
    spec: 'llFp8',
    expected: { detector: 'data' },
  },
  {
    id: 'll-staged-from-the-next-row',
    rule: 18,
    plants:
      'A warp that goes on to the next expert skips as many of its rows as it had of the last one.',
    edits: [edit(llStage, '            next -= num_rows;', '            PLANTED();')],
    spec: 'll',
    expected: { detector: 'data' },
  },
  {
    id: 'll-staged-without-last-row',
    rule: 18,
    plants: 'The last row of each expert stays where it is.',
    edits: [
      edit(llStage, 'for (; next < num_rows; next', 'PLANTED(); for (; next + 1 < num_rows; next'),
    ],
    spec: 'll',
    expected: { detector: 'data' },
  },
  {
    id: 'll-bad-choice-counts',
    rule: 17,
    plants: 'An index beyond the experts is taken for one of them.',
    edits: [
      edit(
        llChoices,
        'return choice >= 0 && choice < kNumExperts ? static_cast<uint32_t>(choice) : kNoExpert;',
        'PLANTED(); return choice >= 0 ? static_cast<uint32_t>(choice) % kNumExperts : kNoExpert;',
      ),
    ],
    spec: 'll',
    expected: { detector: 'data' },
  },
];
