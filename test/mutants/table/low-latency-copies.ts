import { edit, type Mutant } from '../mutant.js';
import { llCastRow, llLoad, llSend } from './files.js';
import { LL_CASTS_ROW, LL_LOADS_ROW, LL_STORES_ROW, LL_STORES_SCALE, STREAM } from './places.js';

const COMPLETES = '        bulk_wait_group<0>();';
const LEAVES_STAGE = '            bulk_wait_group_read<0>();';
const ANNOUNCES = '    sync_block();\n    announce(args, num_channels);';

/** Copies of low-latency dispatch: their stages, when they are complete, and who sees their bytes. */
export const lowLatencyCopies: readonly Mutant[] = [
  {
    id: 'll-rows-announced-when-read',
    rule: 1,
    plants: 'Rows are announced when their copies have read the stage and may still be on the way.',
    edits: [edit(llSend, COMPLETES, '        PLANTED(); bulk_wait_group_read<0>();')],
    spec: 'll',
    expected: { detector: 'race', between: [LL_STORES_ROW, STREAM] },
  },
  {
    id: 'll-lane-0-completes-for-all',
    rule: 2,
    plants: 'Only lane 0 waits until its copies are complete, though each lane issued some.',
    edits: [
      edit(llSend, COMPLETES, '        PLANTED(); if (lane_idx() == 0) bulk_wait_group<0>();'),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [LL_STORES_ROW, STREAM] },
  },
  {
    id: 'll-no-sync-before-announce',
    rule: 1,
    plants: 'No block barrier stands between completed copies and the threads that announce them.',
    edits: [edit(llSend, ANNOUNCES, '    PLANTED(); announce(args, num_channels);')],
    spec: 'll',
    expected: { detector: 'race', between: [LL_STORES_ROW, STREAM] },
  },
  {
    id: 'll-no-sync-before-announce-scales',
    rule: 37,
    plants: 'No block barrier stands between the warps that store scales and the announcement.',
    edits: [edit(llSend, ANNOUNCES, '    PLANTED(); announce(args, num_channels);')],
    spec: 'llFp8',
    expected: { detector: 'race', between: [LL_STORES_SCALE, STREAM] },
  },
  {
    id: 'll-no-group-at-all',
    rule: 1,
    plants: 'Groups of copies are never closed, so that waiting for them waits for nothing.',
    edits: [edit('templates/partials/ll-dispatch/store.hbs', 'bulk_commit_group();', 'PLANTED();')],
    spec: 'll',
    expected: { detector: 'race', between: [LL_STORES_ROW, STREAM] },
  },
  {
    id: 'll-groups-only-where-stored',
    rule: 31,
    plants: 'Lanes close a group only where they stored.',
    edits: [
      edit(
        'templates/partials/ll-dispatch/store.hbs',
        'bulk_commit_group();',
        'PLANTED(); if (is_first) bulk_commit_group();',
      ),
    ],
    spec: 'll',
    expected: {
      equivalent: 'Lanes wait for all their groups, however many: no wait counts groups.',
    },
  },
  {
    id: 'll-no-fence-after-completion',
    rule: 1,
    plants: 'No proxy fence follows the wait for completed copies.',
    edits: [
      edit(
        llSend,
        `${COMPLETES}\n        fence_proxy_async();`,
        `${COMPLETES}\n        PLANTED();`,
      ),
    ],
    spec: 'll',
    expected: {
      equivalent:
        'A thread that has waited for its groups (not .read) sees their bytes in the generic proxy: that wait ' +
        'includes the fence. Whoever acquires the arrival reads them generically.',
    },
  },
  {
    id: 'll-stage-loaded-while-sent',
    rule: 5,
    plants: 'A row is brought into a stage that copies of the row before may still read.',
    edits: [edit(llSend, LEAVES_STAGE, '            PLANTED();')],
    spec: 'll',
    expected: { detector: 'race', between: [LL_STORES_ROW, LL_LOADS_ROW] },
  },
  {
    id: 'll-lane-0-reads-for-all',
    rule: 2,
    plants:
      'A stage is free when the copy of lane 0 has read it; those of other lanes may not have.',
    edits: [
      edit(
        llSend,
        LEAVES_STAGE,
        '            PLANTED(); if (lane_idx() == 0) bulk_wait_group_read<0>();',
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [LL_STORES_ROW, LL_LOADS_ROW] },
  },
  {
    id: 'll-no-sync-warp-before-load',
    rule: 'H13',
    plants: 'Lane 0 brings the next row before the other lanes know that their copies have read.',
    edits: [
      edit(
        llSend,
        '            sync_warp();\n            if (lane_idx() == 0) load_row(',
        '            PLANTED();\n            if (lane_idx() == 0) load_row(',
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [LL_STORES_ROW, LL_LOADS_ROW] },
  },
  {
    id: 'll-stage-cast-while-sent',
    rule: 5,
    plants: 'A row is cast into a stage that copies of an earlier row may still read.',
    edits: [edit(llSend, LEAVES_STAGE, '            PLANTED();')],
    spec: 'llFp8',
    expected: { detector: 'race', between: [LL_STORES_ROW, LL_CASTS_ROW] },
  },
  {
    id: 'll-loaded-into-the-same-stage',
    rule: 6,
    plants: 'The next row is brought into the stage of the row that is about to be sent.',
    edits: [
      edit(
        llSend,
        'load_row(args, smem, walk, ring.ahead(1).stage_idx);',
        '{ PLANTED(); load_row(args, smem, walk, ring.stage_idx); }',
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [LL_LOADS_ROW, LL_LOADS_ROW] },
  },
  {
    id: 'll-no-fence-after-cast',
    rule: 4,
    plants: 'The copy engine sends a row that was cast into its stage without a proxy fence.',
    edits: [edit(llCastRow, 'fence_proxy_async_shared();', 'PLANTED();')],
    spec: 'llFp8',
    expected: { detector: 'race', between: [LL_CASTS_ROW, LL_STORES_ROW] },
  },
  {
    id: 'll-fence-before-cast',
    rule: 4,
    plants: 'The proxy fence stands before the writes of the cast.',
    edits: [
      edit(
        llCastRow,
        '        // From these writes to the copy engine, which reads them in another proxy.\n        fence_proxy_async_shared();\n',
        '',
      ),
      edit(
        llCastRow,
        '    EPGEN_DEVICE void cast(Smem smem, uint32_t stage_idx) const {',
        '    EPGEN_DEVICE void cast(Smem smem, uint32_t stage_idx) const {\n        PLANTED(); fence_proxy_async_shared();',
      ),
    ],
    spec: 'llFp8',
    expected: { detector: 'race', between: [LL_CASTS_ROW, LL_STORES_ROW] },
  },
  {
    id: 'll-fence-in-store-warp',
    rule: 4,
    plants: 'Only the warp that stores fences what all warps have cast.',
    edits: [
      edit(
        llCastRow,
        '        fence_proxy_async_shared();',
        '        PLANTED(); if (warp_idx() == kStoreWarp) fence_proxy_async_shared();',
      ),
    ],
    spec: 'llFp8',
    expected: { detector: 'race', between: [LL_CASTS_ROW, LL_STORES_ROW] },
  },
  {
    id: 'll-full-stage-not-awaited-dispatch',
    rule: 6,
    plants: 'A row is sent before it has come into its stage.',
    edits: [
      edit(
        llSend,
        'ok = wait_mbarrier_warp(call, site, full, ring.full_parity()) && ok;',
        'PLANTED(); (void)full; (void)site;',
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [LL_LOADS_ROW, LL_STORES_ROW] },
  },
  {
    id: 'll-full-parity-flipped-dispatch',
    rule: 6,
    plants: 'The wait for a row asks for the other parity.',
    edits: [
      edit(
        llSend,
        'ok = wait_mbarrier_warp(call, site, full, ring.full_parity()) && ok;',
        'PLANTED(); ok = wait_mbarrier_warp(call, site, full, ring.empty_parity()) && ok;',
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [LL_LOADS_ROW, LL_STORES_ROW] },
  },
  {
    id: 'll-no-init-fence-dispatch',
    rule: 'H2',
    plants: 'The copy engine counts on mbarriers whose initialisation was not fenced, in dispatch.',
    edits: [edit(llLoad, 'fence_mbarrier_init();', 'PLANTED();')],
    spec: 'll',
    expected: { detector: 'fault', at: LL_LOADS_ROW },
  },
];
