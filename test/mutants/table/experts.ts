import { edit, type Mutant } from '../mutant.js';
import { copyRow, expertCounts, expertSum, findPlaces, pad, place } from './files.js';

const spec = 'experts';
const COUNTS_FOR_NEXT_WARP = 'red_add_shared(next + expert, 1)';
const READS_PLACE = 'const uint32_t place = ld(next)';
const WRITES_PLACE = 'st(next, place + 1)';

/** Rows by expert, and their sums. */
export const experts: readonly Mutant[] = [
  {
    id: 'experts-counted-before-clear',
    rule: 7,
    plants: 'Selections are counted before all counters are clear.',
    edits: [
      edit(
        expertCounts,
        'st(block_counts + i, 0);\n    sync_block();',
        'st(block_counts + i, 0);\n    PLANTED();',
      ),
    ],
    spec,
    expected: {
      detector: 'race',
      between: ['st(block_counts + i, 0)', 'red_add_shared(block_counts + expert, 1)'],
    },
  },
  {
    id: 'experts-told-before-counted',
    rule: 7,
    plants: 'A block tells its counts before all its threads have counted.',
    edits: [
      edit(
        expertCounts,
        '    sync_block();\n\n    const auto counts',
        '    PLANTED();\n\n    const auto counts',
      ),
    ],
    spec,
    expected: {
      detector: 'race',
      between: ['red_add_shared(block_counts + expert, 1)', 'ld(block_counts + i)'],
    },
  },
  {
    id: 'places-counted-before-clear',
    rule: 7,
    plants: 'Places are counted before all counters are clear.',
    edits: [
      edit(
        findPlaces,
        '    sync_block();\n\n    // Count the selections',
        '    PLANTED();\n\n    // Count the selections',
      ),
    ],
    spec,
    expected: { detector: 'race', between: ['st(next + i, 0)', COUNTS_FOR_NEXT_WARP] },
  },
  {
    id: 'places-found-before-counted',
    rule: 7,
    plants: 'Counts are turned into rows before all warps have counted.',
    edits: [
      edit(
        findPlaces,
        '    sync_block();\n\n    // Turn counts',
        '    PLANTED();\n\n    // Turn counts',
      ),
    ],
    spec,
    expected: { detector: 'race', between: [COUNTS_FOR_NEXT_WARP, 'place += ld(next + i)'] },
  },
  {
    id: 'places-taken-before-found',
    rule: 7,
    plants: 'Warps take places before all have been found.',
    edits: [
      edit(
        findPlaces,
        '            st(next + i, place);\n        }\n    }\n    sync_block();',
        '            st(next + i, place);\n        }\n    }\n    PLANTED();',
      ),
    ],
    spec,
    expected: { detector: 'race', between: ['st(next + i, place)', READS_PLACE] },
  },
  {
    id: 'places-of-this-block-twice',
    rule: 40,
    plants: "A block's own selections count as those of an earlier block.",
    edits: [
      edit(
        findPlaces,
        'if (i / kNumLocalExperts < block_idx())',
        'PLANTED(); if (i / kNumLocalExperts <= block_idx())',
      ),
    ],
    spec,
    expected: { detector: 'data' },
  },
  {
    id: 'places-by-arrival',
    rule: 40,
    plants:
      'A selection gets its place by an addition of its own, in the order in which lanes come.',
    edits: [
      edit(
        place,
        'const uint32_t place = ld(next) + popc(lanes & lanemask_lt());',
        'PLANTED(); const uint32_t place = ld(next) + popc(lanes & ~lanemask_lt()) - has_expert;',
      ),
      edit(
        place,
        'has_expert && (lanes >> lane_idx()) == 1;',
        'has_expert && (lanes & lanemask_lt()) == 0;',
      ),
    ],
    spec,
    expected: { detector: 'data' },
  },
  {
    id: 'place-written-while-read',
    rule: 'H13',
    plants: 'The last lane of an expert moves its place on while other lanes still read it.',
    edits: [
      edit(
        place,
        '    sync_warp();\n    const bool is_last',
        '    PLANTED();\n    const bool is_last',
      ),
    ],
    spec,
    expected: { detector: 'race', between: [READS_PLACE, WRITES_PLACE] },
  },
  {
    id: 'place-read-while-written',
    rule: 'H13',
    plants: 'The next step reads places that a lane of the step before may still write.',
    edits: [
      edit(
        place,
        '    sync_warp();  // orders it before what the next step reads',
        '    PLANTED();',
      ),
    ],
    spec,
    expected: { detector: 'race', between: [READS_PLACE, WRITES_PLACE] },
  },
  {
    id: 'rows-of-all-lanes',
    rule: 40,
    plants: 'A row is copied to the places of all rows of its step.',
    edits: [
      edit(
        copyRow,
        'ballot(slot >= 0) & kTopkMask << first_lane,',
        '(PLANTED(), ballot(slot >= 0) | kTopkMask * 0 << first_lane),',
      ),
    ],
    spec,
    expected: { detector: 'data' },
  },
  {
    id: 'padding-from-the-second-row',
    rule: 38,
    plants: 'The first row of padding of each group is not cleared.',
    edits: [
      edit(pad, 'uint32_t row = first + mine;', 'uint32_t row = (PLANTED(), first + 1 + mine);'),
    ],
    spec,
    expected: { detector: 'data' },
  },
  {
    id: 'padding-over-rows',
    rule: 38,
    plants: 'Padding is cleared from the last row of each group on.',
    edits: [
      edit(
        pad,
        'const uint32_t first = ld(EPGEN_FIELD(smem, padding) + expert);',
        `const uint32_t start = ld(EPGEN_FIELD(smem, group) + expert);
        const uint32_t behind = ld(EPGEN_FIELD(smem, padding) + expert);
        PLANTED(); const uint32_t first = behind > start ? behind - 1 : behind;`,
      ),
    ],
    spec,
    expected: { detector: 'race', between: ['st_vec16(x + i', 'st_vec16(to + vector_idx'] },
  },
  {
    id: 'padding-without-extras',
    rule: 38,
    plants: 'Extras of padding are left as they were.',
    edits: [edit(pad, 'st(extras + i, 0);', 'PLANTED();')],
    spec,
    expected: { detector: 'data' },
  },
  {
    id: 'experts-summed-backwards',
    rule: 30,
    plants: "A row's selections are summed from the last to the first.",
    edits: [
      edit(expertSum, 'nth_bit(lanes, i));', 'nth_bit(lanes, (PLANTED(), popc(lanes) - 1 - i)));'),
    ],
    spec,
    expected: { detector: 'data' },
  },
  {
    id: 'sums-of-missing-selections',
    rule: 40,
    plants: 'A selection that has no place adds the first row.',
    edits: [
      edit(
        expertSum,
        'ballot(slot >= 0 && static_cast<uint32_t>(slot) < args.num_expert_rows);',
        '(PLANTED(), ballot(lane_idx() < kNumTopk && (slot < 0 || static_cast<uint32_t>(slot) < args.num_expert_rows)));',
      ),
      edit(
        expertSum,
        'const uint32_t from = shfl(static_cast<uint32_t>(slot), nth_bit(lanes, i));',
        'const uint32_t from = shfl(slot < 0 ? 0u : static_cast<uint32_t>(slot), nth_bit(lanes, i));',
      ),
    ],
    spec,
    expected: { detector: 'data' },
  },
];
