import { edit, type Mutant } from '../mutant.js';
import { announce, combine, dispatch, exchange, moduleHt } from './files.js';
import { STORES_ROW, STREAM } from './places.js';

/** Blocks that start late or not beside each other, epochs, calls that run ahead, and empty calls. */
export const blocks: readonly Mutant[] = [
  {
    id: 'one-epoch-word-dispatch',
    rule: 15,
    plants: 'All blocks of dispatch take the epoch from one word, which the first one advances.',
    edits: [
      edit(
        dispatch,
        'ld(EPGEN_FIELD(control, dispatch_epoch) + block_idx()) + 1,',
        '(PLANTED(), ld(EPGEN_FIELD(control, dispatch_epoch)) + 1),',
      ),
    ],
    expected: {
      detector: 'race',
      between: [
        'ld(EPGEN_FIELD(control, dispatch_epoch))',
        'st(EPGEN_FIELD(control, dispatch_epoch)',
      ],
    },
  },
  {
    id: 'one-epoch-word-combine',
    rule: 15,
    plants: 'All blocks of combine take the epoch from one word, which the first one advances.',
    edits: [
      edit(
        combine,
        'ld(EPGEN_FIELD(control, combine_epoch) + block_idx()) + 1,',
        '(PLANTED(), ld(EPGEN_FIELD(control, combine_epoch)) + 1),',
      ),
    ],
    expected: {
      detector: 'race',
      between: [
        'ld(EPGEN_FIELD(control, combine_epoch))',
        'st(EPGEN_FIELD(control, combine_epoch)',
      ],
    },
  },
  {
    id: 'epoch-of-blocks',
    rule: 'H6',
    plants:
      'A block advances one epoch word, not those of all its channels: a larger grid finds old epochs.',
    edits: [
      edit(
        announce,
        `        for (uint32_t channel_idx = block_idx(); channel_idx < kNumChannels; channel_idx += num_blocks()) {
            st(EPGEN_FIELD(control, dispatch_epoch) + channel_idx, call.epoch);
        }`,
        '        PLANTED(); st(EPGEN_FIELD(control, dispatch_epoch) + block_idx(), call.epoch);',
      ),
    ],
    expected: { detector: 'timeout' },
  },
  {
    id: 'epoch-advances-by-two',
    rule: 12,
    plants:
      'The epoch of combine advances by two, so that ready words always have the same parity.',
    edits: [
      edit(
        combine,
        'st(EPGEN_FIELD(control, combine_epoch) + channel_idx, call.epoch);',
        'PLANTED(); st(EPGEN_FIELD(control, combine_epoch) + channel_idx, call.epoch + 1);',
      ),
    ],
    expected: { detector: 'timeout' },
  },
  {
    id: 'first-block-waits',
    rule: 16,
    plants:
      'The block that finishes first waits for the rows of all, also of blocks that are not resident yet.',
    edits: [
      edit(
        announce,
        'const bool is_last = shfl(ticket, 0) + num_channels == call.epoch * kNumChannels;',
        'PLANTED(); const bool is_last = shfl(ticket, 0) == (call.epoch - 1) * kNumChannels;',
      ),
    ],
    hints: { resident: 1 },
    expected: { detector: 'timeout' },
  },
  {
    id: 'no-block-waits',
    rule: 7,
    plants: 'The ticket never tells a block that it is the last one: nobody waits for rows.',
    edits: [
      edit(
        announce,
        'const bool is_last = shfl(ticket, 0) + num_channels == call.epoch * kNumChannels;',
        'PLANTED(); const bool is_last = shfl(ticket, 0) == call.epoch * kNumChannels;',
      ),
    ],
    expected: { detector: 'race', between: [STORES_ROW, STREAM] },
  },
  {
    id: 'ticket-not-atomic',
    rule: 9,
    plants: 'Blocks take their tickets by a load and a store.',
    edits: [
      edit(
        announce,
        'if (lane_idx() == 0) ticket = atom_add_relaxed_gpu(EPGEN_FIELD(control, dispatch_ticket), num_channels);',
        `PLANTED(); if (lane_idx() == 0) {
            ticket = ld(EPGEN_FIELD(control, dispatch_ticket));
            st(EPGEN_FIELD(control, dispatch_ticket), ticket + num_channels);
        }`,
      ),
    ],
    expected: {
      detector: 'race',
      between: [
        'ticket = ld(EPGEN_FIELD(control, dispatch_ticket))',
        'st(EPGEN_FIELD(control, dispatch_ticket)',
      ],
    },
  },
  {
    id: 'ready-from-one-block',
    rule: 16,
    plants:
      'Only the first block publishes ready words, though every block waits for those of its own rank.',
    edits: [
      edit(
        combine,
        'publish_ready(call, args);',
        'PLANTED(); if (block_idx() == 0) publish_ready(call, args);',
      ),
    ],
    hints: { resident: 1 },
    expected: { detector: 'timeout' },
  },
  {
    id: 'received-before-published',
    rule: 16,
    plants: 'A rank waits for the expert counts of all ranks before it publishes its own.',
    edits: [
      edit(
        dispatch,
        'ok = publish_expert_counts(call, args, smem) && receive_counts(call, args, smem);',
        'PLANTED(); ok = receive_counts(call, args, smem) && publish_expert_counts(call, args, smem);',
      ),
    ],
    expected: { detector: 'timeout' },
  },
  {
    id: 'counts-after-bases',
    rule: 16,
    plants: 'A rank publishes its counts of rows after it has waited for those of lower ranks.',
    edits: [
      edit(dispatch, '    if (is_first_block) publish_rank_counts(call, args, smem);\n', ''),
      edit(
        dispatch,
        '    // Move rows.',
        '    PLANTED(); if (is_first_block) publish_rank_counts(call, args, smem);\n    // Move rows.',
      ),
    ],
    spec: 'three',
    expected: {
      equivalent:
        'Only later, not wrong: rank 0 waits for nobody and each rank for lower ones, so counts come in the order of ' +
        'ranks; what a word says and who reads it stays.',
    },
  },
  {
    id: 'bases-of-all-ranks',
    rule: 16,
    plants: 'A rank publishes its counts of rows after it has waited for those of all ranks.',
    edits: [
      edit(dispatch, '    if (is_first_block) publish_rank_counts(call, args, smem);\n', ''),
      edit(
        dispatch,
        '    // Move rows.',
        '    if (is_first_block) publish_rank_counts(call, args, smem);\n    // Move rows.',
      ),
      edit(
        exchange,
        '        for (uint32_t source = 0; source < args.rank_idx && ok; ++source) {',
        '        for (uint32_t source = 0; source < kNumRanks && ok; ++source) {',
      ),
      edit(
        exchange,
        'base += word_value(count.value);',
        'if (source < args.rank_idx) base += word_value(count.value);',
      ),
      edit(exchange, '    bool ok = true;', '    PLANTED(); bool ok = true;'),
    ],
    expected: { detector: 'timeout' },
  },
  {
    id: 'empty-dispatch-returns',
    rule: 'H17',
    plants: 'A dispatch without tokens returns before it has told anyone.',
    edits: [
      edit(
        dispatch,
        '    set_up(call, args, smem);',
        '    if (args.num_tokens == 0) { PLANTED(); return; }\n    set_up(call, args, smem);',
      ),
    ],
    expected: { detector: 'timeout' },
  },
  {
    id: 'empty-combine-returns',
    rule: 'H17',
    plants: 'A combine without tokens returns before it has told anyone.',
    edits: [
      edit(
        combine,
        '    set_up(call, smem);',
        '    if (args.num_tokens == 0) { PLANTED(); return; }\n    set_up(call, smem);',
      ),
    ],
    expected: { detector: 'timeout' },
  },
  {
    id: 'one-receive-buffer-fewer',
    rule: 13,
    plants: 'There are as many receive buffers as live results, and no credit.',
    edits: [
      edit(
        moduleHt,
        'm.num_recv_buffers = spec::kNumRecvBuffers;',
        'PLANTED(); m.num_recv_buffers = spec::kNumRecvBuffers - 1;',
      ),
    ],
    expected: { detector: 'race', between: [STREAM, STORES_ROW] },
  },
];
