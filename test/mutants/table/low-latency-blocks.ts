import { edit, type Mutant } from '../mutant.js';
import { llCombine, llCount, llDispatch, llSend } from './files.js';
import { LL_STORES_ROW, STREAM } from './places.js';

const ARRIVAL =
  'red_add_release_sys(EPGEN_FIELD(control, arrivals) + args.rank_idx, num_channels);';
const TICKET =
  'const uint32_t ticket = atom_add_relaxed_gpu(EPGEN_FIELD(control, dispatch_ticket), num_channels);';
const IS_LAST = 'ticket + num_channels == call.epoch * kNumLlChannels);';

/** Blocks of low-latency calls: epochs, tickets, and empty calls. */
export const lowLatencyBlocks: readonly Mutant[] = [
  {
    id: 'll-one-epoch-word-dispatch',
    rule: 15,
    plants: 'All blocks of dispatch take the epoch from one word, which the first one advances.',
    edits: [
      edit(
        llDispatch,
        '? ld(EPGEN_FIELD(control, dispatch_epoch) + block_idx()) + 1',
        '? (PLANTED(), ld(EPGEN_FIELD(control, dispatch_epoch)) + 1)',
      ),
    ],
    spec: 'll',
    expected: {
      detector: 'race',
      between: [
        'ld(EPGEN_FIELD(control, dispatch_epoch))',
        'st(EPGEN_FIELD(control, dispatch_epoch)',
      ],
    },
  },
  {
    id: 'll-one-epoch-word-combine',
    rule: 15,
    plants: 'All blocks of combine take the epoch from one word, which the first one advances.',
    edits: [
      edit(
        llCombine,
        '? ld(EPGEN_FIELD(control, combine_epoch) + block_idx()) + 1',
        '? (PLANTED(), ld(EPGEN_FIELD(control, combine_epoch)) + 1)',
      ),
    ],
    spec: 'll',
    expected: {
      detector: 'race',
      between: [
        'ld(EPGEN_FIELD(control, combine_epoch))',
        'st(EPGEN_FIELD(control, combine_epoch)',
      ],
    },
  },
  {
    id: 'll-epoch-of-blocks-dispatch',
    rule: 'H6',
    plants: 'A block advances one epoch word, not those of all its channels.',
    edits: [
      edit(
        llSend,
        `    for (uint32_t channel_idx = block_idx(); channel_idx < kNumLlChannels; channel_idx += num_blocks()) {
        st(EPGEN_FIELD(control, dispatch_epoch) + channel_idx, call.epoch);
    }`,
        '    PLANTED(); st(EPGEN_FIELD(control, dispatch_epoch) + block_idx(), call.epoch);',
      ),
    ],
    spec: 'll',
    expected: { detector: 'timeout' },
  },
  {
    id: 'll-epoch-of-blocks-combine',
    rule: 'H6',
    plants: 'A combine that is sent by one block advances the epoch of one channel.',
    edits: [
      edit(
        llCombine,
        `    for (uint32_t channel_idx = block_idx(); channel_idx < kNumLlChannels; channel_idx += num_blocks()) {
        st(EPGEN_FIELD(control, combine_epoch) + channel_idx, call.epoch);
    }`,
        '    PLANTED(); st(EPGEN_FIELD(control, combine_epoch) + block_idx(), call.epoch);',
      ),
    ],
    spec: 'll',
    expected: { detector: 'timeout' },
  },
  {
    id: 'll-epoch-not-advanced-by-halves',
    rule: 41,
    plants: 'A combine that only sends does not advance the epoch.',
    edits: [
      edit(
        llCombine,
        'if (group_gave_up(call) || !sends) return;',
        'PLANTED(); if (group_gave_up(call) || !sends || !receives) return;',
      ),
    ],
    spec: 'll',
    expected: { detector: 'timeout' },
  },
  {
    id: 'll-first-block-waits',
    rule: 16,
    plants:
      'The block that sends first waits for all rows, also of blocks that are not resident yet.',
    edits: [edit(llSend, IS_LAST, '(PLANTED(), ticket == (call.epoch - 1) * kNumLlChannels));')],
    spec: 'll',
    hints: { resident: 1 },
    expected: { detector: 'timeout' },
  },
  {
    id: 'll-no-block-waits',
    rule: 7,
    plants: 'The ticket never tells a block that it is the last one: nobody waits for rows.',
    edits: [edit(llSend, IS_LAST, '(PLANTED(), ticket == call.epoch * kNumLlChannels));')],
    spec: 'll',
    expected: { detector: 'race', between: [LL_STORES_ROW, STREAM] },
  },
  {
    id: 'll-ticket-where-awaited',
    rule: 41,
    plants:
      'A send alone takes no tickets, so that no block of a later whole call is the last one.',
    edits: [
      edit(
        llSend,
        TICKET,
        `uint32_t ticket = 0;
        PLANTED(); if (args.phases & kLlReceive) ticket = atom_add_relaxed_gpu(EPGEN_FIELD(control, dispatch_ticket), num_channels);`,
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [LL_STORES_ROW, STREAM] },
  },
  {
    id: 'll-last-block-arrives-for-all',
    rule: 9,
    plants:
      'The last block posts the arrivals of all, ordered after them by a relaxed ticket only.',
    edits: [
      edit(
        llSend,
        ARRIVAL,
        `PLANTED(); if (ld(EPGEN_FIELD(shared_memory<LlDispatchShared>(), is_last)) != 0) {
        red_add_release_sys(EPGEN_FIELD(control, arrivals) + args.rank_idx, kNumLlChannels);
    }`,
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [LL_STORES_ROW, STREAM] },
  },
  {
    id: 'll-ready-from-one-block',
    rule: 16,
    plants: 'Only the second block publishes ready words, where there is one.',
    edits: [
      edit(
        llCombine,
        'if (sends) publish_ready(call, args);',
        'PLANTED(); if (sends && block_idx() + 1 == num_blocks()) publish_ready(call, args);',
      ),
    ],
    spec: 'll',
    hints: { resident: 1 },
    expected: { detector: 'timeout' },
  },
  {
    id: 'll-empty-send-returns',
    rule: 'H17',
    plants: 'A send without tokens returns before it has told anyone.',
    edits: [
      edit(
        llDispatch,
        '    if (sends && !send(call, args, smem)) return;',
        '    if (sends && args.num_tokens == 0) { PLANTED(); return; }\n    if (sends && !send(call, args, smem)) return;',
      ),
    ],
    spec: 'll',
    expected: { detector: 'timeout' },
  },
  {
    id: 'll-empty-combine-returns',
    rule: 'H17',
    plants: 'A combine without tokens returns before it has told anyone.',
    edits: [
      edit(
        llCombine,
        '    set_up(call, smem);',
        '    if (args.num_tokens == 0) { PLANTED(); return; }\n    set_up(call, smem);',
      ),
    ],
    spec: 'll',
    expected: { detector: 'timeout' },
  },
  {
    id: 'll-arrival-only-with-rows',
    rule: 17,
    plants: 'A block without tokens posts no arrivals.',
    edits: [
      edit(
        llSend,
        '    announce(args, num_channels);',
        '    PLANTED(); announce(args, channel_tokens(args.num_tokens, block_idx(), kNumLlChannels).first < args.num_tokens ? num_channels : 0);',
      ),
    ],
    spec: 'll',
    expected: { detector: 'timeout' },
  },
  {
    id: 'll-ready-told-with-tokens',
    rule: 17,
    plants: 'A rank without tokens does not tell that its expert outputs are ready.',
    edits: [
      edit(
        llCombine,
        'if (sends) publish_ready(call, args);',
        'if (sends && (PLANTED(), args.num_tokens != 0)) publish_ready(call, args);',
      ),
    ],
    spec: 'll',
    expected: { detector: 'timeout' },
  },
  {
    id: 'll-receive-advances-epoch',
    rule: 15,
    plants: 'A receive alone writes the epoch of its own call over those of later ones.',
    edits: [
      edit(
        llCombine,
        'if (group_gave_up(call) || !sends) return;',
        'PLANTED(); if (group_gave_up(call)) return;',
      ),
    ],
    spec: 'llAhead',
    expected: { detector: 'timeout' },
  },
  {
    id: 'll-counts-by-last-block',
    rule: 16,
    plants:
      'The last block tells all ranks the counts, and may start when others have long waited.',
    edits: [
      edit(
        llCount,
        'EPGEN_DEVICE bool publishes_counts() { return block_idx() < kNumRanks; }',
        'EPGEN_DEVICE bool publishes_counts() { return block_idx() == 0 || block_idx() + 1 == num_blocks(); }',
      ),
      edit(
        llCount,
        'for (uint32_t peer_idx = block_idx(); peer_idx < kNumRanks; peer_idx += num_blocks()) {',
        `if (block_idx() + 1 != num_blocks()) return;
    for (uint32_t peer_idx = 0; peer_idx < kNumRanks; ++peer_idx) { PLANTED();`,
      ),
    ],
    spec: 'll',
    hints: { resident: 1 },
    expected: {
      equivalent:
        'A rank waits only for lower ones, and rank 0 for nobody: all its blocks run whatever others do, then those of rank 1.',
    },
  },
];
