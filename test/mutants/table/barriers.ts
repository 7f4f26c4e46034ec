import { type Edit, edit, type Mutant } from '../mutant.js';
import {
  combine,
  dispatch,
  dispatchLayout,
  exchange,
  launchCombine,
  launchDispatch,
} from './files.js';
import { GIVES_UP, STORES_ROW, STREAM } from './places.js';

const ALL_HAVE_READ = 'sync_block();  // all have read the flag that the roles below may set';
const COUNTS_SELECTION = 'red_add_shared(EPGEN_FIELD(smem, expert_counts) + expert, 1)';

const shortDeadline = (file: string): Edit =>
  edit(file, 'args.deadline_ns = call.deadline_ns;', 'args.deadline_ns = 20000;');

/** Rank 1 never tells its expert counts, so that the waits for them give up. */
const dispatchGivesUp: readonly Edit[] = [
  shortDeadline(launchDispatch),
  edit(
    exchange,
    `counted), 0)) return false;
    for (uint32_t expert = lane_idx(); expert < kNumExperts; expert += kWarpSize) {`,
    `counted), 0)) return false;
    for (uint32_t expert = lane_idx(); expert < kNumExperts && call.rank_idx != 1; expert += kWarpSize) {`,
  ),
];

/** Rank 1 never tells that it is ready, so that the waits for it give up. */
const combineGivesUp: readonly Edit[] = [
  shortDeadline(launchCombine),
  edit(combine, 'publish_ready(call, args);', 'if (call.rank_idx != 1) publish_ready(call, args);'),
];

/** Barriers of blocks, each of them. */
export const barriers: readonly Mutant[] = [
  {
    id: 'no-sync-after-set-up-dispatch',
    rule: 7,
    plants: 'No block barrier follows the set-up of dispatch.',
    edits: [
      edit(
        dispatch,
        '    set_up(call, args, smem);\n    sync_block();',
        '    set_up(call, args, smem); PLANTED();',
      ),
    ],
    expected: {
      detector: 'race',
      between: [
        'st(EPGEN_FIELD(smem, aborted), group_gave_up(call) ? 1 : 0)',
        'if (ld(EPGEN_FIELD(smem, aborted)) != 0) return;',
      ],
    },
  },
  {
    id: 'no-sync-after-count',
    rule: 7,
    plants: 'No block barrier stands between the counts of channels and their scan.',
    edits: [
      edit(
        dispatch,
        '    count_rows(args, smem);\n    sync_block();',
        '    count_rows(args, smem); PLANTED();',
      ),
    ],
    expected: {
      detector: 'race',
      between: [
        'st(EPGEN_FIELD(smem, channel_start)',
        'total += ld(start + channel_idx * kNumRanks)',
      ],
    },
  },
  {
    id: 'no-sync-after-scan',
    rule: 7,
    plants:
      'No block barrier stands between the scan of channels and the totals that are published.',
    edits: [
      edit(
        dispatch,
        '    if (warp_idx() == kStoreWarp) scan_channels(smem);\n    sync_block();',
        '    if (warp_idx() == kStoreWarp) scan_channels(smem);\n    PLANTED();',
      ),
    ],
    expected: {
      detector: 'race',
      between: [
        'st(start + channel_idx * kNumRanks, total)',
        'pack_word(ld(totals + destination), call.epoch)',
      ],
    },
  },
  {
    id: 'no-sync-after-bases',
    rule: 7,
    plants:
      "No block barrier stands between the store warp's bases and the meta warps that use them.",
    edits: [
      edit(
        dispatch,
        `    if (!ok) red_add_shared(EPGEN_FIELD(smem, aborted), 1);
    sync_block();
    const bool has_bases`,
        `    if (!ok) red_add_shared(EPGEN_FIELD(smem, aborted), 1);
    PLANTED();
    const bool has_bases`,
      ),
      edit(dispatch, ALL_HAVE_READ, ''),
    ],
    expected: {
      detector: 'race',
      between: [
        'st(EPGEN_FIELD(smem, base) + lane_idx(), base)',
        'next_slot = ld(EPGEN_FIELD(smem, base)',
      ],
    },
  },
  {
    id: 'no-sync-before-roles-dispatch',
    rule: 7,
    plants: 'A role of dispatch may set the flag while slower warps still read it.',
    given: dispatchGivesUp,
    edits: [edit(dispatch, ALL_HAVE_READ, 'PLANTED();')],
    expected: { detector: 'race', between: ['const bool has_bases = ld(', GIVES_UP] },
  },
  {
    id: 'no-sync-before-arrivals',
    rule: 1,
    plants: 'No block barrier stands between the copies of the store warp and the arrivals.',
    edits: [
      edit(
        dispatch,
        `    if (!ok) red_add_shared(EPGEN_FIELD(smem, aborted), 1);
    sync_block();
    if (ld(EPGEN_FIELD(smem, aborted)) != 0) {`,
        `    if (!ok) red_add_shared(EPGEN_FIELD(smem, aborted), 1);
    PLANTED();
    if (ld(EPGEN_FIELD(smem, aborted)) != 0) {`,
      ),
    ],
    expected: { detector: 'race', between: [STORES_ROW, STREAM] },
  },
  {
    id: 'no-sync-after-set-up-combine',
    rule: 7,
    plants: 'No block barrier follows the set-up of combine.',
    edits: [
      edit(
        combine,
        '    set_up(call, smem);\n    sync_block();',
        '    set_up(call, smem); PLANTED();',
      ),
    ],
    expected: {
      detector: 'race',
      between: [
        'st(EPGEN_FIELD(smem, aborted), group_gave_up(call) ? 1 : 0)',
        'const bool is_live = ld(',
      ],
    },
  },
  {
    id: 'no-sync-before-roles-combine',
    rule: 7,
    plants: 'A role of combine may set the flag while slower warps still read it.',
    given: combineGivesUp,
    edits: [edit(combine, ALL_HAVE_READ, 'PLANTED();')],
    expected: { detector: 'race', between: ['const bool is_live = ld(', GIVES_UP] },
  },
  {
    id: 'no-sync-after-roles-combine',
    rule: 7,
    plants: 'The flag that tells whether combine gave up is read while warps may still set it.',
    given: combineGivesUp,
    edits: [
      edit(
        combine,
        `    if (!ok) red_add_shared(EPGEN_FIELD(smem, aborted), 1);
    sync_block();`,
        `    if (!ok) red_add_shared(EPGEN_FIELD(smem, aborted), 1);
    PLANTED();`,
      ),
    ],
    expected: {
      detector: 'race',
      between: ['if (ld(EPGEN_FIELD(smem, aborted)) != 0) {', GIVES_UP],
    },
  },
  {
    id: 'no-sync-after-clear-layout',
    rule: 7,
    plants: 'The layout query counts before all counters are clear.',
    edits: [
      edit(
        dispatchLayout,
        `    if (thread_idx() == 0) st(EPGEN_FIELD(smem, bad_choice), kNoToken);
    sync_block();`,
        `    if (thread_idx() == 0) st(EPGEN_FIELD(smem, bad_choice), kNoToken);
    PLANTED();`,
      ),
    ],
    expected: {
      detector: 'race',
      between: ['st(EPGEN_FIELD(smem, expert_counts) + i, 0)', COUNTS_SELECTION],
    },
  },
  {
    id: 'no-sync-after-count-layout',
    rule: 7,
    plants: 'The layout query writes its counts before all threads have counted.',
    edits: [
      edit(
        dispatchLayout,
        `        count_token(args, smem, token_idx);
    }
    sync_block();`,
        `        count_token(args, smem, token_idx);
    }
    PLANTED();`,
      ),
    ],
    expected: {
      detector: 'race',
      between: [COUNTS_SELECTION, 'static_cast<int32_t>(ld(EPGEN_FIELD(smem, expert_counts) + i))'],
    },
  },
];
