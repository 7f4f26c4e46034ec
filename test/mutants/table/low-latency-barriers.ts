import { edit, type Mutant } from '../mutant.js';
import { llDispatch, llPlace, llReceive, llSend, llStage } from './files.js';

/** Barriers of low-latency dispatch. */
export const lowLatencyBarriers: readonly Mutant[] = [
  {
    id: 'll-no-sync-after-count',
    rule: 7,
    plants: 'Counts are told before all threads have counted.',
    edits: [
      edit(
        llSend,
        '    sync_block();\n    publish_counts(call, args, smem);',
        '    PLANTED(); publish_counts(call, args, smem);',
      ),
    ],
    spec: 'll',
    expected: {
      detector: 'race',
      between: ['red_add_shared(counts + expert[k], 1)', 'num_tokens = ld('],
    },
  },
  {
    id: 'll-no-sync-in-votes',
    rule: 7,
    plants: 'Slots are summed without a block barrier behind the warps that learn their parts.',
    edits: [
      edit(
        llDispatch,
        '    if (!ok) red_add_shared(aborted, 1);\n    sync_block();',
        '    if (!ok) red_add_shared(aborted, 1);\n    PLANTED();',
      ),
      // is_live keeps the barrier that its vote had.
      edit(
        llSend,
        '    return block_agrees(smem, 0, true);',
        '    sync_block();\n    return block_agrees(smem, 0, true);',
      ),
    ],
    // Else rows go astray before anyone has looked.
    given: [
      edit(
        llPlace,
        'return expert * kMaxLlRecvTokens + row;',
        'return expert * kMaxLlRecvTokens + row % kMaxLlRecvTokens;',
      ),
    ],
    spec: 'll',
    expected: {
      detector: 'race',
      between: ['st(ahead_at_lane(smem, stage_idx, source)', 'row += ld(ahead_at_lane('],
    },
  },
  {
    id: 'll-no-sync-warp-after-own-count',
    rule: 'H13',
    plants: 'A lane reads how many tokens came before while others of its warp still count them.',
    edits: [
      edit(
        llPlace,
        '    sync_warp();\n    if (expert == kNoExpert) return;',
        '    PLANTED();\n    if (expert == kNoExpert) return;',
      ),
    ],
    spec: 'll',
    expected: {
      detector: 'race',
      between: ['red_add_shared(counts + expert[k], 1)', 'ld(counts_of(smem, kEarlier) + expert)'],
    },
  },
  {
    id: 'll-layout-without-barrier',
    rule: 7,
    plants: 'What came is summed up before all counts are there.',
    edits: [
      edit(
        llReceive,
        'if (block_agrees(smem, 1, ok)) write_layout(args, smem);',
        'PLANTED(); if (ok) write_layout(args, smem);',
      ),
    ],
    // Else a kernel that goes by these counts takes its time.
    given: [
      edit(
        llStage,
        'for (; next < num_rows; next',
        'for (; next < num_rows && next < kMaxLlRecvTokens; next',
      ),
    ],
    spec: 'll',
    expected: {
      detector: 'race',
      between: ['st(EPGEN_FIELD(smem, received) + i, word_value(count.value))', 'ld(received + '],
    },
  },
];
