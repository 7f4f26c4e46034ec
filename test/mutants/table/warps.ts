import { edit, type Mutant } from '../mutant.js';
import { count, cpuMemory, dispatch, exchange, receive, reduce, storePieces } from './files.js';
import { HOST, LOADS_ROW, PULLS_ROW, STORES_ROW, SUMS_ROW } from './places.js';

const COUNTS_SELECTION = 'red_add_shared(EPGEN_FIELD(smem, expert_counts) + expert, 1)';
const PUBLISHES_SELECTIONS = 'pack_word(ld(EPGEN_FIELD(smem, expert_counts) + expert), call.epoch)';

/** What one lane announces for its warp, one warp for others, and accesses that no primitive makes. */
export const warps: readonly Mutant[] = [
  {
    id: 'no-sync-warp-before-free-combine',
    rule: 'H13',
    plants: 'Lane 0 frees a stage that other lanes may still sum.',
    edits: [edit(reduce, 'sync_warp();', 'PLANTED();')],
    expected: { detector: 'race', between: [SUMS_ROW, PULLS_ROW] },
  },
  {
    id: 'vote-before-free-combine',
    rule: 7,
    plants: 'A vote stands for the warp barrier before lane 0 frees a stage, and orders nothing.',
    edits: [edit(reduce, 'sync_warp();', 'PLANTED(); ballot(true);')],
    expected: { detector: 'race', between: [SUMS_ROW, PULLS_ROW] },
  },
  {
    id: 'no-sync-warp-before-free-dispatch',
    rule: 2,
    plants: 'Lane 0 frees a stage that copies of other lanes may still read.',
    edits: [edit(storePieces, 'sync_warp();', 'PLANTED();')],
    expected: { detector: 'race', between: [STORES_ROW, LOADS_ROW] },
  },
  {
    id: 'no-sync-warp-in-loader',
    rule: 'H13',
    plants: 'The lanes of the load warp do not meet after the last load.',
    edits: [
      edit(
        dispatch,
        'loader.load_rest(call, args, smem);\n        sync_warp();',
        'loader.load_rest(call, args, smem);\n        PLANTED();',
      ),
    ],
    expected: {
      equivalent:
        'The other lanes touch nothing that the loader does, and all meet in the block barrier that follows. The warp ' +
        'barrier only keeps them from polling that one.',
    },
  },
  {
    id: 'no-sync-warp-after-selections',
    rule: 'H13',
    plants:
      'Lane 0 of a meta warp tells that selections are counted while other lanes may still count.',
    edits: [
      edit(
        count,
        '    sync_warp();\n    if (lane_idx() == 0) mbarrier_arrive(EPGEN_FIELD(smem, counted));',
        '    PLANTED();\n    if (lane_idx() == 0) mbarrier_arrive(EPGEN_FIELD(smem, counted));',
      ),
    ],
    expected: { detector: 'race', between: [COUNTS_SELECTION, PUBLISHES_SELECTIONS] },
  },
  {
    id: 'selections-not-awaited',
    rule: 7,
    plants: 'Selections are published without waiting for the warps that count them.',
    edits: [
      edit(
        exchange,
        'if (!wait_mbarrier_warp(call, Site{Phase::selections, -1, -1}, EPGEN_FIELD(smem, counted), 0)) return false;',
        'PLANTED();',
      ),
    ],
    expected: { detector: 'race', between: [COUNTS_SELECTION, PUBLISHES_SELECTIONS] },
  },
  {
    id: 'one-meta-warp-fewer',
    rule: 6,
    plants: 'The mbarrier of selections expects one warp fewer than count them.',
    edits: [
      edit(
        dispatch,
        'mbarrier_init(EPGEN_FIELD(smem, counted), kNumMetaWarps);',
        'PLANTED(); mbarrier_init(EPGEN_FIELD(smem, counted), kNumMetaWarps - 1);',
      ),
    ],
    expected: { detector: 'race', between: [COUNTS_SELECTION, PUBLISHES_SELECTIONS] },
  },
  {
    id: 'no-sync-warp-before-tag',
    rule: 'H13',
    plants:
      'Lane 0 completes the host record while other lanes may still write their counts to it.',
    edits: [
      edit(
        receive,
        '    sync_warp();\n    // Releases the record',
        '    PLANTED();\n    // Releases the record',
      ),
    ],
    expected: { detector: 'race', between: ['st(counts + expert', HOST] },
  },
  {
    id: 'tag-stored-relaxed',
    rule: 7,
    plants: 'The host record is completed by a relaxed store.',
    edits: [
      edit(
        cpuMemory,
        `st_release_sys(host<uint32_t> pointer, uint32_t value, Place place = Place::here()) {
    cpu::store_word("st_release_sys", cpu::Order::release,`,
        `st_release_sys(host<uint32_t> pointer, uint32_t value, Place place = Place::here()) {
    PLANTED(); cpu::store_word("st_release_sys", cpu::Order::relaxed,`,
      ),
    ],
    expected: { detector: 'race', between: ['st(counts + expert', HOST] },
  },
  {
    id: 'tag-before-counts',
    rule: 7,
    plants: 'The host record is complete before its counts are written.',
    edits: [
      edit(
        receive,
        '    for (uint32_t expert = lane_idx(); expert < kNumLocalExperts && ok; expert += kWarpSize) {',
        `    PLANTED(); if (lane_idx() == 0) st_release_sys(EPGEN_FIELD(record, tag), args.record_tag);
    for (uint32_t expert = lane_idx(); expert < kNumLocalExperts && ok; expert += kWarpSize) {`,
      ),
      edit(
        receive,
        `    sync_warp();
    // Releases the record that this warp wrote; the host acquires it with the tag.
    if (lane_idx() == 0) st_release_sys(EPGEN_FIELD(record, tag), args.record_tag);`,
        '',
      ),
    ],
    expected: { detector: 'data' },
  },
  {
    id: 'raw-read-without-sync',
    rule: 7,
    plants:
      'Counts of channels are read by plain C++, past the primitives, and before the barrier.',
    edits: [
      edit(
        dispatch,
        '    count_rows(args, smem);\n    sync_block();',
        '    count_rows(args, smem);',
      ),
      edit(
        count,
        'total += ld(start + channel_idx * kNumRanks);',
        'PLANTED(); total += *(start + channel_idx * kNumRanks).raw;',
      ),
    ],
    expected: {
      detector: 'raw',
      between: [
        'st(EPGEN_FIELD(smem, channel_start)',
        'total += *(start + channel_idx * kNumRanks).raw;',
      ],
    },
  },
  {
    id: 'raw-write-without-sync',
    rule: 7,
    plants:
      'Starts of channels are written by plain C++, past the primitives, with no barrier behind it.',
    edits: [
      edit(
        dispatch,
        '    if (warp_idx() == kStoreWarp) scan_channels(smem);\n    sync_block();',
        '    if (warp_idx() == kStoreWarp) scan_channels(smem);',
      ),
      edit(
        count,
        '        st(start + channel_idx * kNumRanks, total);',
        '        PLANTED(); *(start + channel_idx * kNumRanks).raw = total;',
      ),
    ],
    expected: {
      detector: 'raw',
      between: [
        '*(start + channel_idx * kNumRanks).raw = total;',
        'pack_word(ld(totals + destination), call.epoch)',
      ],
    },
  },
];
