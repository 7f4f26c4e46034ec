import { edit, type Mutant } from '../mutant.js';
import { llCombine, llPull, llReduce } from './files.js';
import { PULLS_ROW, STREAM, SUMS_ROW } from './places.js';

const FREES_STAGE =
  'if (lane_idx() == 0) mbarrier_arrive(EPGEN_FIELD(smem, empty) + ring.stage_idx);';

/** Copies of low-latency combine: what is fenced before them, and when stages are free. */
export const lowLatencyPulls: readonly Mutant[] = [
  {
    id: 'll-no-fence-before-pull',
    rule: 3,
    plants: 'Expert outputs that were acquired are pulled without a proxy fence.',
    edits: [edit(llPull, '    fence_proxy_async();', '    PLANTED();')],
    spec: 'll',
    expected: { detector: 'race', between: [STREAM, PULLS_ROW] },
  },
  {
    id: 'll-fence-before-acquire',
    rule: 3,
    plants:
      'The proxy fence stands before the acquire, and carries over nothing of what is acquired.',
    edits: [
      edit(llPull, '    sync_warp();\n    fence_proxy_async();', '    sync_warp();'),
      edit(
        llPull,
        '    const Waited<uint32_t> input = wait_ready(call, args);',
        '    PLANTED(); fence_proxy_async();\n    const Waited<uint32_t> input = wait_ready(call, args);',
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [STREAM, PULLS_ROW] },
  },
  {
    id: 'll-fence-in-lane-0',
    rule: 3,
    plants: 'Only lane 0 fences what the warp has acquired and all its lanes pull.',
    edits: [
      edit(
        llPull,
        '    fence_proxy_async();',
        '    PLANTED(); if (lane_idx() == 0) fence_proxy_async();',
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [STREAM, PULLS_ROW] },
  },
  {
    id: 'll-fence-of-shared-memory',
    rule: 3,
    plants: 'The fence before the pull is that of shared memory, which leaves out expert outputs.',
    edits: [edit(llPull, '    fence_proxy_async();', '    PLANTED(); fence_proxy_async_shared();')],
    spec: 'll',
    expected: { detector: 'race', between: [STREAM, PULLS_ROW] },
  },
  {
    id: 'll-no-fence-before-free',
    rule: 'H2',
    plants: 'A stage that was read by loads goes back to the copy engine without a proxy fence.',
    edits: [edit(llReduce, 'fence_proxy_async_shared();', 'PLANTED();')],
    spec: 'll',
    expected: { detector: 'race', between: [SUMS_ROW, PULLS_ROW] },
  },
  {
    id: 'll-no-sync-warp-before-free',
    rule: 'H13',
    plants: 'Lane 0 gives a stage back before the other lanes of its warp have summed it.',
    edits: [
      edit(
        llReduce,
        `sync_warp();\n                ${FREES_STAGE}`,
        `PLANTED();\n                ${FREES_STAGE}`,
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [SUMS_ROW, PULLS_ROW] },
  },
  {
    id: 'll-freed-before-summed',
    rule: 5,
    plants: 'A stage is free before it is summed.',
    edits: [
      edit(
        llReduce,
        '                accumulator.add(',
        `                sync_warp();
                PLANTED(); ${FREES_STAGE}
                accumulator.add(`,
      ),
      edit(
        llReduce,
        `sync_warp();\n                ${FREES_STAGE}\n                ring.advance();`,
        'ring.advance();',
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [SUMS_ROW, PULLS_ROW] },
  },
  {
    id: 'll-no-init-fence-combine',
    rule: 'H2',
    plants: 'The copy engine counts on mbarriers whose initialisation was not fenced, in combine.',
    edits: [edit(llCombine, 'fence_mbarrier_init();', 'PLANTED();')],
    spec: 'll',
    expected: { detector: 'fault', at: PULLS_ROW },
  },
];
