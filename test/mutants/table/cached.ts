import { edit, type Mutant } from '../mutant.js';
import { cached as dispatchCached } from './files.js';
import { LOADS_ROW, STORES_ROW, STREAM } from './places.js';

const spec = 'credit';

/** Dispatch along the routing of a handle. */
export const cached: readonly Mutant[] = [
  {
    id: 'cached-announced-when-read',
    rule: 1,
    plants: 'A dispatch along a handle announces rows whose copies have only read the stage.',
    edits: [edit(dispatchCached, 'bulk_wait_group<0>();', 'PLANTED(); bulk_wait_group_read<0>();')],
    spec,
    expected: { detector: 'race', between: [STORES_ROW, STREAM] },
  },
  {
    id: 'cached-no-fence-after-completion',
    rule: 1,
    plants: 'No proxy fence follows the wait for completed copies of a dispatch along a handle.',
    edits: [
      edit(
        dispatchCached,
        'bulk_wait_group<0>();\n    fence_proxy_async();',
        'bulk_wait_group<0>();\n    PLANTED();',
      ),
    ],
    spec,
    expected: {
      equivalent:
        'A thread that has waited for its groups (not .read) sees their bytes in the generic proxy: that wait ' +
        'includes the fence. Whoever acquires the arrival reads them generically, or fences before it pulls them.',
    },
  },
  {
    id: 'cached-no-sync-before-arrivals',
    rule: 1,
    plants: 'No block barrier stands between cached copies and their arrivals.',
    edits: [
      edit(
        dispatchCached,
        `    if (!ok) red_add_shared(EPGEN_FIELD(smem, aborted), 1);
    sync_block();`,
        `    if (!ok) red_add_shared(EPGEN_FIELD(smem, aborted), 1);
    PLANTED();`,
      ),
    ],
    spec,
    expected: { detector: 'race', between: [STORES_ROW, STREAM] },
  },
  {
    id: 'cached-not-awaited',
    rule: 36,
    plants: 'A dispatch along a handle ends without waiting for the rows of other ranks.',
    edits: [
      edit(
        dispatchCached,
        '    wait_acquire_sys(call, site, EPGEN_FIELD(control, arrivals) + source,',
        '    PLANTED(); if (source == args.rank_idx) wait_acquire_sys(call, site, EPGEN_FIELD(control, arrivals) + source,',
      ),
    ],
    spec,
    expected: { detector: 'race', between: [STORES_ROW, STREAM] },
  },
  {
    id: 'cached-arrivals-not-acquired',
    rule: 7,
    plants: 'A dispatch along a handle awaits arrivals by a relaxed load.',
    edits: [
      edit(
        dispatchCached,
        '    wait_acquire_sys(call, site, EPGEN_FIELD(control, arrivals) + source,',
        '    PLANTED(); wait_relaxed_sys(call, site, EPGEN_FIELD(control, arrivals) + source,',
      ),
    ],
    spec,
    expected: { detector: 'race', between: [STORES_ROW, STREAM] },
  },
  {
    id: 'cached-epoch-of-the-call-before',
    rule: 36,
    plants: 'A dispatch along a handle counts as no call: its epoch is that of the call before.',
    edits: [
      edit(
        dispatchCached,
        'ld(EPGEN_FIELD(control, dispatch_epoch) + block_idx()) + 1,',
        '(PLANTED(), ld(EPGEN_FIELD(control, dispatch_epoch) + block_idx())),',
      ),
    ],
    spec,
    expected: { detector: 'race', between: [STORES_ROW, STREAM] },
  },
  {
    id: 'cached-row-of-the-next-token',
    rule: 18,
    plants: 'A dispatch along a handle looks one token ahead before it takes the row of this one.',
    edits: [
      edit(
        dispatchCached,
        '            const bool takes = next_row >= 0;\n',
        `            PLANTED(); next_row = row_at_lane_rank(args, token_idx + 1);
            const bool takes = next_row >= 0;\n`,
      ),
    ],
    spec,
    expected: { detector: 'data' },
  },
  {
    id: 'cached-lanes-beyond-ranks-read-slots',
    rule: 'H1',
    plants: 'Lanes beyond the ranks read slots of a handle before the guard keeps them out.',
    edits: [
      edit(
        dispatchCached,
        '    if (lane_idx() >= kNumRanks || token_idx >= args.num_tokens) return -1;\n',
        '    if (token_idx >= args.num_tokens) return -1;\n',
      ),
      edit(
        dispatchCached,
        '    return ld(slots + (uint64_t{token_idx} * kNumRanks + lane_idx()));',
        `    PLANTED(); const int32_t slot = ld(slots + (uint64_t{token_idx} * kNumRanks + lane_idx()));
    return lane_idx() < kNumRanks ? slot : -1;`,
      ),
    ],
    spec,
    expected: { detector: 'fault', at: 'const int32_t slot = ld(slots' },
  },
  {
    id: 'cached-no-sync-after-set-up',
    rule: 7,
    plants: 'No block barrier follows the set-up of a dispatch along a handle.',
    edits: [
      edit(
        dispatchCached,
        '    set_up(call, smem);\n    sync_block();',
        '    set_up(call, smem); PLANTED();',
      ),
    ],
    spec,
    expected: {
      detector: 'race',
      between: [
        'st(EPGEN_FIELD(smem, aborted), group_gave_up(call) ? 1 : 0)',
        'const bool is_live = ld(',
      ],
    },
  },
  {
    id: 'cached-no-init-fence',
    rule: 'H2',
    plants:
      'The copy engine counts on mbarriers whose initialisation was not fenced, in a dispatch along a handle.',
    edits: [edit(dispatchCached, 'fence_mbarrier_init();', 'PLANTED();')],
    spec,
    expected: { detector: 'fault', at: LOADS_ROW },
  },
];
