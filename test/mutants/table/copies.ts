import { edit, type Mutant } from '../mutant.js';
import { combine, dispatch, pull, reduce, store, storePieces } from './files.js';
import { LOADS_ROW, PULLS_ROW, STORES_ROW, STREAM, SUMS_ROW } from './places.js';

/** Bulk copies: when they are complete, and who sees their bytes. */
export const copies: readonly Mutant[] = [
  {
    id: 'rows-announced-when-read',
    rule: 1,
    plants: 'Rows are announced when their copies have read the stage and may still be on the way.',
    edits: [edit(store, 'bulk_wait_group<0>();', 'PLANTED(); bulk_wait_group_read<0>();')],
    expected: { detector: 'race', between: [STORES_ROW, STREAM] },
  },
  {
    id: 'lane-0-completes-for-all',
    rule: 2,
    plants: 'Only lane 0 waits until its copies are complete, though each lane issued some.',
    edits: [
      edit(store, 'bulk_wait_group<0>();', 'PLANTED(); if (lane_idx() == 0) bulk_wait_group<0>();'),
    ],
    expected: { detector: 'race', between: [STORES_ROW, STREAM] },
  },
  {
    id: 'lane-0-reads-for-all',
    rule: 2,
    plants:
      'A stage is free when the copy of lane 0 has read it; those of other lanes may not have.',
    edits: [
      edit(
        storePieces,
        'bulk_wait_group_read<kStoreLag>();',
        'PLANTED(); if (lane_idx() == 0) bulk_wait_group_read<kStoreLag>();',
      ),
    ],
    expected: { detector: 'race', between: [STORES_ROW, LOADS_ROW] },
  },
  {
    id: 'store-lag-off-by-one',
    rule: 5,
    plants: 'One group of copies more than the lag may still read its stage when that is freed.',
    edits: [
      edit(
        storePieces,
        'bulk_wait_group_read<kStoreLag>();',
        'PLANTED(); bulk_wait_group_read<kStoreLag + 1>();',
      ),
    ],
    expected: { detector: 'race', between: [STORES_ROW, LOADS_ROW] },
  },
  {
    id: 'groups-only-where-stored',
    rule: 31,
    plants: 'Lanes close a group only where they stored, so that groups no longer count pieces.',
    edits: [
      edit(
        storePieces,
        `                   piece_bytes(piece_idx));
    }
    bulk_commit_group();  // in every lane, so that groups count pieces`,
        `                   piece_bytes(piece_idx));
        PLANTED(); bulk_commit_group();
    }`,
      ),
    ],
    expected: { detector: 'race', between: [STORES_ROW, LOADS_ROW] },
  },
  {
    id: 'no-group-at-all',
    rule: 1,
    plants: 'Groups of copies are never closed, so that waiting for them waits for nothing.',
    edits: [edit(storePieces, 'bulk_commit_group();', 'PLANTED();')],
    expected: { detector: 'race', between: [STORES_ROW, STREAM] },
  },
  {
    id: 'no-fence-before-pull',
    rule: 3,
    plants:
      'Expert outputs that were acquired are pulled by the copy engine without a proxy fence.',
    edits: [edit(pull, 'fence_proxy_async();', 'PLANTED();')],
    expected: { detector: 'race', between: [STREAM, PULLS_ROW] },
  },
  {
    id: 'fence-before-acquire',
    rule: 3,
    plants:
      'The proxy fence stands before the acquire, and carries over nothing of what is acquired.',
    edits: [
      edit(
        pull,
        '    const auto word = wait_acquire_sys(',
        '    PLANTED(); fence_proxy_async();\n    const auto word = wait_acquire_sys(',
      ),
      edit(
        pull,
        'which reads it in another proxy.\n    fence_proxy_async();',
        'which reads it in another proxy.',
      ),
    ],
    expected: { detector: 'race', between: [STREAM, PULLS_ROW] },
  },
  {
    id: 'fence-in-lane-0',
    rule: 3,
    plants: 'Only lane 0 fences what all lanes have acquired and pull.',
    edits: [
      edit(pull, 'fence_proxy_async();', 'PLANTED(); if (lane_idx() == 0) fence_proxy_async();'),
    ],
    expected: { detector: 'race', between: [STREAM, PULLS_ROW] },
  },
  {
    id: 'fence-of-shared-memory',
    rule: 3,
    plants: 'The fence before the pull is that of shared memory, which leaves out expert outputs.',
    edits: [edit(pull, 'fence_proxy_async();', 'PLANTED(); fence_proxy_async_shared();')],
    expected: { detector: 'race', between: [STREAM, PULLS_ROW] },
  },
  {
    id: 'no-fence-before-free',
    rule: 'H2',
    plants: 'A stage that was read by loads goes back to the copy engine without a proxy fence.',
    edits: [edit(reduce, 'fence_proxy_async_shared();', 'PLANTED();')],
    expected: { detector: 'race', between: [SUMS_ROW, PULLS_ROW] },
  },
  {
    id: 'fence-after-free',
    rule: 'H2',
    plants: 'The proxy fence follows the arrival that gives the stage back.',
    edits: [
      edit(reduce, '                    fence_proxy_async_shared();\n', ''),
      edit(
        reduce,
        'mbarrier_arrive(EPGEN_FIELD(smem, empty) + ring.stage_idx);',
        'mbarrier_arrive(EPGEN_FIELD(smem, empty) + ring.stage_idx); PLANTED(); fence_proxy_async_shared();',
      ),
    ],
    expected: { detector: 'race', between: [SUMS_ROW, PULLS_ROW] },
  },
  {
    id: 'fence-by-who-frees',
    rule: 'H2',
    plants:
      'Lane 0 fences for its warp, after the warp barrier and before it gives the stage back.',
    edits: [
      edit(reduce, '                    fence_proxy_async_shared();\n', ''),
      edit(
        reduce,
        'if (lane_idx() == 0) mbarrier_arrive(EPGEN_FIELD(smem, empty) + ring.stage_idx);',
        `PLANTED(); if (lane_idx() == 0) fence_proxy_async_shared();
                    if (lane_idx() == 0) mbarrier_arrive(EPGEN_FIELD(smem, empty) + ring.stage_idx);`,
      ),
    ],
    expected: {
      equivalent:
        'Within a block any fence on the path from the reads to the load that follows will do (PTX, proxy-preserved base causality ' +
        'order): the barrier orders the reads of all lanes before the fence, and the arrival orders the fence before the load.',
    },
  },
  {
    id: 'no-init-fence-dispatch',
    rule: 'H2',
    plants: 'The copy engine counts on mbarriers whose initialisation was not fenced, in dispatch.',
    edits: [edit(dispatch, 'fence_mbarrier_init();', 'PLANTED();')],
    expected: { detector: 'fault', at: LOADS_ROW },
  },
  {
    id: 'no-init-fence-combine',
    rule: 'H2',
    plants: 'The copy engine counts on mbarriers whose initialisation was not fenced, in combine.',
    edits: [edit(combine, 'fence_mbarrier_init();', 'PLANTED();')],
    expected: { detector: 'fault', at: PULLS_ROW },
  },
  {
    id: 'no-fence-after-completion',
    rule: 1,
    plants: 'No proxy fence follows the wait for completed copies.',
    edits: [edit(store, '    fence_proxy_async();', '    PLANTED();')],
    expected: {
      equivalent:
        'A thread that has waited for its groups (not .read) sees their bytes in the generic proxy: that wait ' +
        'includes the fence. Whoever acquires the arrival reads them generically, or fences before it pulls them.',
    },
  },
];
