import { edit, type Mutant } from '../mutant.js';
import { llCredit, llSend } from './files.js';
import { LL_STORES_ROW, STREAM } from './places.js';

const READS_BEFORE_SENDS = { detector: 'race', between: [STREAM, LL_STORES_ROW] } as const;

/** Words by which ranks give the receive buffers of low-latency calls free. */
export const lowLatencyCredit: readonly Mutant[] = [
  {
    id: 'll-start-relaxed',
    rule: 34,
    plants: 'Words that are a credit are stored relaxed: they release no earlier work.',
    edits: [
      edit(
        llCredit,
        'st_release_sys(EPGEN_FIELD(control, started)',
        'PLANTED(); st_relaxed_sys(EPGEN_FIELD(control, started)',
      ),
    ],
    spec: 'llCredit',
    expected: READS_BEFORE_SENDS,
  },
  {
    id: 'll-credit-not-acquired',
    rule: 34,
    plants: 'The credit is awaited by a relaxed load.',
    edits: [edit(llCredit, 'ok = wait_acquire_sys(', 'PLANTED(); ok = wait_relaxed_sys(')],
    spec: 'llCredit',
    expected: READS_BEFORE_SENDS,
  },
  {
    id: 'll-credit-not-awaited',
    rule: 34,
    plants: 'Rows are sent as soon as their places are known, whatever their ranks still do.',
    edits: [
      edit(
        llSend,
        'if (warp_idx() == kStoreWarp && !walk.is_over()) ok = await_credit(call, args);',
        'PLANTED();',
      ),
      edit(
        llCredit,
        'EPGEN_DEVICE bool await_credit',
        '[[maybe_unused]] EPGEN_DEVICE bool await_credit',
      ),
    ],
    spec: 'llCredit',
    expected: READS_BEFORE_SENDS,
  },
  {
    id: 'll-credit-of-an-earlier-call',
    rule: 'H11',
    plants: 'Any credit will do, also that of an earlier call.',
    edits: [
      edit(
        llCredit,
        'ok = wait_acquire_sys(call, site, word, HasEpoch{call.epoch}).ok;',
        `PLANTED(); struct AnyEpoch : HasEpoch { bool holds(uint64_t) const { return true; } };
        ok = wait_acquire_sys(call, site, word, AnyEpoch{ {call.epoch} }).ok;`,
      ),
    ],
    spec: 'llCredit',
    expected: READS_BEFORE_SENDS,
  },
  {
    id: 'll-start-told-by-last-block',
    rule: 16,
    plants:
      'Only the last block of a rank gives its credit: another that waits keeps it from starting.',
    edits: [
      edit(
        llSend,
        'if (warp_idx() == kNumWarps - 1) publish_start(call, args);',
        'PLANTED(); if (warp_idx() == kNumWarps - 1 && block_idx() + 1 == num_blocks()) publish_start(call, args);',
      ),
    ],
    spec: 'llCredit',
    hints: { resident: 1 },
    expected: { detector: 'timeout' },
  },
  {
    id: 'll-no-fence-after-credit',
    rule: 35,
    plants: 'Rows are stored on the strength of a credit without a proxy fence.',
    edits: [edit(llCredit, '    fence_proxy_async();', '    PLANTED();')],
    spec: 'llCredit',
    expected: READS_BEFORE_SENDS,
  },
  {
    id: 'll-no-sync-warp-after-credit',
    rule: 35,
    plants: 'A lane fences before the other lanes have acquired the credit of their ranks.',
    edits: [edit(llCredit, '    sync_warp();\n', '    PLANTED();\n')],
    spec: 'llCredit',
    expected: {
      equivalent:
        'Each lane fences after its own acquire, and the block barrier before the first row orders all these fences ' +
        'before the copies (PTX, proxy-preserved base causality order).',
    },
  },
  {
    id: 'll-start-told-after-wait',
    rule: 16,
    plants: 'A block tells that it has started when all others have.',
    edits: [
      edit(
        llSend,
        `    if (warp_idx() == kNumWarps - 1) publish_start(call, args);
`,
        '',
      ),
      edit(
        llSend,
        'if (warp_idx() == kStoreWarp && !walk.is_over()) ok = await_credit(call, args);',
        `if (warp_idx() == kStoreWarp && !walk.is_over()) ok = await_credit(call, args);
    PLANTED(); if (warp_idx() == kStoreWarp) publish_start(call, args);`,
      ),
    ],
    spec: 'llCredit',
    expected: { detector: 'timeout' },
  },
];
