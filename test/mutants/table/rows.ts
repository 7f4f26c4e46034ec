import { edit, type Mutant } from '../mutant.js';
import {
  channel,
  combine,
  count,
  cpuNumeric,
  dispatch,
  dispatchLayout,
  exchange,
  pieces,
  pull,
  receive,
  reduce,
  store,
  topkMask,
} from './files.js';
import { LOADS_ROW, STORES_ROW } from './places.js';

/** Rows, tokens and lanes: what goes where, and what lies outside. */
export const rows: readonly Mutant[] = [
  {
    id: 'lanes-beyond-ranks-read-bases',
    rule: 'H1',
    plants: 'The bases of ranks are read before the guard that keeps out lanes beyond the ranks.',
    edits: [
      edit(
        store,
        `        if (lane_idx() < kNumRanks) {
            next_slot = ld(EPGEN_FIELD(smem, base) + lane_idx()) +`,
        `        PLANTED(); const uint32_t lane_base = ld(EPGEN_FIELD(smem, base) + lane_idx());
        if (lane_idx() < kNumRanks) {
            next_slot = lane_base +`,
      ),
    ],
    expected: { detector: 'fault', at: 'const uint32_t lane_base = ld(' },
  },
  {
    id: 'lanes-beyond-ranks-read-slots',
    rule: 'H1',
    plants: 'The slots of a token are read before the guard that keeps out lanes beyond the ranks.',
    edits: [
      edit(
        combine,
        '    if (lane_idx() >= kNumRanks || token_idx >= args.num_tokens) return -1;\n',
        '    if (token_idx >= args.num_tokens) return -1;\n',
      ),
      edit(
        combine,
        '    return ld(slots + (uint64_t{token_idx} * kNumRanks + lane_idx()));',
        `    PLANTED(); const int32_t slot = ld(slots + (uint64_t{token_idx} * kNumRanks + lane_idx()));
    return lane_idx() < kNumRanks ? slot : -1;`,
      ),
    ],
    expected: { detector: 'fault', at: 'const int32_t slot = ld(slots' },
  },
  {
    id: 'token-beyond-call-read',
    rule: 18,
    plants: 'Combine reads the slots of the token after the last one.',
    edits: [
      edit(
        combine,
        'if (lane_idx() >= kNumRanks || token_idx >= args.num_tokens) return -1;',
        'PLANTED(); if (lane_idx() >= kNumRanks) return -1;',
      ),
    ],
    expected: { detector: 'fault', at: 'return ld(slots' },
  },
  {
    id: 'last-piece-whole',
    rule: 18,
    plants: 'The last piece of a row is as long as the others, and reaches past the row.',
    edits: [
      edit(
        pieces,
        'return piece_idx + 1 == kPiecesPerRow ? kLastPieceBytes : kPieceBytes;',
        'PLANTED(); return kPieceBytes;',
      ),
    ],
    spec: 'pieces',
    expected: { detector: 'fault', at: LOADS_ROW },
  },
  {
    id: 'last-piece-of-odd-length',
    rule: 19,
    plants: 'The last piece of a row ends in the middle of 16 bytes.',
    edits: [
      edit(
        pieces,
        'return piece_idx + 1 == kPiecesPerRow ? kLastPieceBytes : kPieceBytes;',
        'PLANTED(); return piece_idx + 1 == kPiecesPerRow ? kLastPieceBytes - 8 : kPieceBytes;',
      ),
    ],
    spec: 'pieces',
    expected: { detector: 'fault', at: LOADS_ROW },
  },
  {
    id: 'shares-rounded-down',
    rule: 18,
    plants: 'Channels carry equal shares of tokens, rounded down: the last tokens travel nowhere.',
    edits: [
      edit(
        channel,
        'const uint32_t per_channel = (num_tokens + num_channels - 1) / num_channels;',
        'PLANTED(); const uint32_t per_channel = num_tokens / num_channels;',
      ),
    ],
    expected: { detector: 'data' },
  },
  {
    id: 'shares-overlap',
    rule: 18,
    plants: 'A channel carries the first token of the next one too.',
    edits: [
      edit(
        channel,
        'const uint64_t end = first + per_channel;',
        'PLANTED(); const uint64_t end = first + per_channel + 1;',
      ),
    ],
    expected: { detector: 'data' },
  },
  {
    id: 'tile-counts-next-channel',
    rule: 18,
    plants: 'A channel whose last tile is not full counts tokens of the next channel.',
    edits: [
      edit(
        count,
        'const uint32_t mask = token_idx < tokens.end ?',
        'PLANTED(); const uint32_t mask = token_idx < args.num_tokens ?',
      ),
    ],
    expected: { detector: 'data' },
  },
  {
    id: 'slot-advances-without-row',
    rule: 30,
    plants: 'Rows leave a gap where a rank does not take the token before.',
    edits: [edit(store, 'slot += takes;', 'PLANTED(); slot += 1;')],
    expected: { detector: 'data' },
  },
  {
    id: 'base-forgets-a-rank',
    rule: 18,
    plants: 'The rows of a rank begin where those of the rank before it do.',
    edits: [
      edit(
        exchange,
        '        for (uint32_t source = 0; source < args.rank_idx && ok; ++source) {',
        '        PLANTED(); for (uint32_t source = 0; source + 1 < args.rank_idx && ok; ++source) {',
      ),
    ],
    expected: { detector: 'race', between: [STORES_ROW, STORES_ROW] },
  },
  {
    id: 'one-prefix-line-for-all',
    rule: 12,
    plants: 'All sources write the starts of their channels to one line.',
    edits: [
      edit(
        store,
        'st(prefix + (args.rank_idx * kNumChannels + channel_idx), static_cast<int32_t>(start));',
        'PLANTED(); st(prefix + channel_idx, static_cast<int32_t>(start));',
      ),
    ],
    expected: { detector: 'race', between: ['st(prefix + channel_idx', 'st(prefix + channel_idx'] },
  },
  {
    id: 'minus-one-is-an-expert',
    rule: 17,
    plants: 'A choice of -1 counts as an expert of rank 0.',
    edits: [
      edit(
        topkMask,
        'if (expert >= 0 && expert < kNumExperts) mask |=',
        'PLANTED(); if (expert < int64_t{kNumExperts}) mask |=',
      ),
    ],
    expected: { detector: 'data' },
  },
  {
    id: 'no-row-of-zeros',
    rule: 17,
    plants: 'A token that nobody holds gets no row of zeros.',
    edits: [
      edit(
        reduce,
        '                accumulator.write(out +',
        '                PLANTED(); if (num_holders > 0) accumulator.write(out +',
      ),
    ],
    expected: { detector: 'data' },
  },
  {
    id: 'sums-in-descending-order',
    rule: 30,
    plants: 'Rows are summed in descending rank order.',
    edits: [
      edit(
        pull,
        'const uint32_t my_step = popc(holders & lanemask_lt());',
        'PLANTED(); const uint32_t my_step = row < 0 ? 0 : popc(holders) - 1 - popc(holders & lanemask_lt());',
      ),
    ],
    spec: 'three',
    expected: { detector: 'data' },
  },
  {
    id: 'rows-of-tile-reversed',
    rule: 30,
    plants: "The handle keeps a tile's rows in reverse.",
    edits: [
      edit(
        store,
        'const uint32_t slot = first_slot + popc(takers & lanemask_lt());',
        'PLANTED(); const uint32_t slot = first_slot + num_rows - 1 - popc(takers & lanemask_lt());',
      ),
    ],
    expected: { detector: 'data' },
  },
  {
    id: 'source-index-within-tile',
    rule: 18,
    plants: 'The source index of a row counts from its tile, not from the call.',
    edits: [
      edit(
        store,
        'static_cast<int32_t>(tile + nth_bit(takers, lane_idx()))',
        '(PLANTED(), static_cast<int32_t>(nth_bit(takers, lane_idx())))',
      ),
    ],
    expected: { detector: 'data' },
  },
  {
    id: 'expert-index-not-local',
    rule: 18,
    plants: 'Choices arrive as experts of the group, not of the rank.',
    edits: [
      edit(
        store,
        'st(peer_topk_idx + i, is_here ? expert - first_expert : -1);',
        'PLANTED(); st(peer_topk_idx + i, is_here ? expert : -1);',
      ),
    ],
    expected: { detector: 'data' },
  },
  {
    id: 'weights-of-other-ranks',
    rule: 18,
    plants: 'Weights of choices of other ranks arrive too.',
    edits: [
      edit(
        store,
        'st(peer_weights + i, is_here ? ld(weights + choice) : 0);',
        'PLANTED(); st(peer_weights + i, ld(weights + choice));',
      ),
    ],
    expected: { detector: 'data' },
  },
  {
    id: 'count-of-rank-0',
    rule: 18,
    plants: 'Every rank reports the number of rows that rank 0 receives.',
    edits: [
      edit(
        receive,
        'const uint32_t num_recv_tokens = shfl(num_rows, args.rank_idx);',
        'PLANTED(); const uint32_t num_recv_tokens = shfl(num_rows, 0);',
      ),
    ],
    expected: { detector: 'data' },
  },
  {
    id: 'every-meta-warp-writes',
    rule: 18,
    plants: 'Every meta warp writes what one of them is to write.',
    edits: [edit(store, 'if (!is_mine) continue;', 'PLANTED(); (void)is_mine;')],
    expected: {
      detector: 'race',
      between: ['st(sources + lane_idx()', 'st(sources + lane_idx()'],
    },
  },
  {
    id: 'sums-truncated',
    rule: 30,
    plants: 'Sums are cut to bf16, not rounded.',
    edits: [
      edit(
        cpuNumeric,
        'return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;',
        'PLANTED(); return bits >> 16;',
      ),
    ],
    expected: { detector: 'data' },
  },
  {
    id: 'nan-with-payload',
    rule: 30,
    plants: 'A sum that is no number keeps its sign when it is rounded.',
    edits: [
      edit(
        cpuNumeric,
        'if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;',
        'if ((bits & 0x7fffffffu) > 0x7f800000u) { PLANTED(); return bits >> 16 | 0x40; }',
      ),
      edit(
        cpuNumeric,
        'return value != value ? std::bit_cast<float>(0x7fffffffu) : value;',
        'return value;',
      ),
    ],
    expected: { detector: 'data' },
  },
  {
    id: 'selections-not-cleared',
    rule: 10,
    plants: 'Counters of selections start with what shared memory held.',
    edits: [
      edit(
        dispatch,
        'i += kNumThreads) st(EPGEN_FIELD(smem, expert_counts) + i, 0);',
        'i += kNumThreads) PLANTED();',
      ),
    ],
    expected: { detector: 'data' },
  },
  {
    id: 'bad-choice-stored',
    rule: 30,
    plants: 'The first bad choice is stored by whoever comes last, not the least.',
    edits: [
      edit(
        count,
        'red_min_shared(EPGEN_FIELD(smem, bad_choice), choice);',
        'PLANTED(); st(EPGEN_FIELD(smem, bad_choice), choice);',
      ),
    ],
    expected: {
      detector: 'race',
      between: [
        'st(EPGEN_FIELD(smem, bad_choice), choice)',
        'st(EPGEN_FIELD(smem, bad_choice), choice)',
      ],
    },
  },
  {
    id: 'layout-counts-selections',
    rule: 18,
    plants: 'The layout query counts a token once for each of its experts on a rank.',
    edits: [
      edit(
        dispatchLayout,
        'mask |= 1u << (expert / kNumLocalExperts);',
        'PLANTED(); mask |= 1u << (expert / kNumLocalExperts); if (expert % kNumLocalExperts == 0) red_add_shared(EPGEN_FIELD(smem, rank_counts) + expert / kNumLocalExperts, 1);',
      ),
    ],
    expected: { detector: 'data' },
  },
];
