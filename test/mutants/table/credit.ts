import { edit, type Mutant } from '../mutant.js';
import { credit as awaitCredit, cached, dispatch, exchange } from './files.js';
import { PULLS_ROW, STORES_COLUMN, STORES_ROW, STREAM } from './places.js';

const spec = 'credit';
const READS_BEFORE_SENDS = { detector: 'race', between: [STREAM, STORES_ROW] } as const;

/** Count words that give receive buffers free. */
export const credit: readonly Mutant[] = [
  {
    id: 'credit-relaxed',
    rule: 34,
    plants: 'Count words that are a credit are stored relaxed: they release no earlier work.',
    edits: [
      edit(
        exchange,
        '        st_release_sys(EPGEN_FIELD(control, rank_counts)',
        '        PLANTED(); st_relaxed_sys(EPGEN_FIELD(control, rank_counts)',
      ),
    ],
    spec,
    expected: READS_BEFORE_SENDS,
  },
  {
    id: 'credit-relaxed-cached',
    rule: 34,
    plants: 'A dispatch along a handle gives its credit by a relaxed store.',
    edits: [
      edit(
        cached,
        '    st_release_sys(EPGEN_FIELD(control, rank_counts)',
        '    PLANTED(); st_relaxed_sys(EPGEN_FIELD(control, rank_counts)',
      ),
    ],
    spec,
    expected: READS_BEFORE_SENDS,
  },
  {
    id: 'credit-not-acquired',
    rule: 34,
    plants: 'The credit is awaited by a relaxed load.',
    edits: [
      edit(
        awaitCredit,
        'ok = wait_acquire_sys(call, site, word,',
        'PLANTED(); ok = wait_relaxed_sys(call, site, word,',
      ),
    ],
    spec,
    expected: READS_BEFORE_SENDS,
  },
  {
    id: 'credit-not-awaited',
    rule: 34,
    plants: 'Rows are sent as soon as their places are known, whatever higher ranks still do.',
    edits: [
      edit(
        dispatch,
        'ok = await_credit(call, args) && find_bases(call, args, smem);',
        '{ PLANTED(); ok = find_bases(call, args, smem); }',
      ),
      edit(
        awaitCredit,
        'EPGEN_DEVICE bool await_credit',
        '[[maybe_unused]] EPGEN_DEVICE bool await_credit',
      ),
    ],
    spec,
    expected: READS_BEFORE_SENDS,
  },
  {
    id: 'credit-not-awaited-cached',
    rule: 34,
    plants: 'A dispatch along a handle sends rows without a credit.',
    edits: [
      edit(
        cached,
        'ok = await_credit(call, args) && store_rows(call, args, smem);',
        'PLANTED(); ok = store_rows(call, args, smem);',
      ),
      edit(
        awaitCredit,
        'EPGEN_DEVICE bool await_credit',
        '[[maybe_unused]] EPGEN_DEVICE bool await_credit',
      ),
    ],
    spec,
    expected: READS_BEFORE_SENDS,
  },
  {
    id: 'credit-not-awaited-beside',
    rule: 34,
    plants: 'A dispatch along a handle sends what lies beside the rows without a credit.',
    edits: [
      edit(
        cached,
        '        ok = await_credit(call, args);\n        if (ok) store_meta(args);',
        '        PLANTED(); store_meta(args);',
      ),
    ],
    spec: 'beside',
    expected: { detector: 'race', between: [STREAM, STORES_COLUMN] },
  },
  {
    id: 'credit-of-destinations',
    rule: 34,
    plants:
      'Only the ranks that get rows are asked for a credit; others may still pull what lies there.',
    edits: [
      edit(
        awaitCredit,
        'await_credit(const Call& call, const {{argsType}}& args) {',
        'await_credit(const Call& call, const {{argsType}}& args, uint32_t asked = 0xffffffffu) {',
      ),
      edit(
        awaitCredit,
        '    if (lane_idx() < kNumRanks) {',
        '    if (lane_idx() < kNumRanks && (asked >> lane_idx() & 1)) {',
      ),
      edit(
        dispatch,
        'ok = await_credit(call, args) && find_bases(call, args, smem);',
        `{
        const auto totals = EPGEN_FIELD(smem, channel_start) + kNumChannels * kNumRanks;
        const bool is_destination = lane_idx() < kNumRanks && ld(totals + lane_idx()) > 0;
        PLANTED(); ok = await_credit(call, args, ballot(is_destination)) && find_bases(call, args, smem);
    }`,
      ),
    ],
    spec,
    expected: { detector: 'race', between: [PULLS_ROW, STORES_ROW] },
  },
  {
    id: 'credit-by-first-block',
    rule: 16,
    plants:
      'Only the first block of a rank gives its credit: another that waits may keep it from starting.',
    edits: [
      edit(
        dispatch,
        '{{#if hasCredit}}\n    publish_rank_counts(call, args, smem);',
        '{{#if hasCredit}}\n    PLANTED(); if (is_first_block) publish_rank_counts(call, args, smem);',
      ),
    ],
    spec,
    hints: { resident: 1 },
    expected: { detector: 'timeout' },
  },
  {
    id: 'credit-by-first-block-cached',
    rule: 16,
    plants: 'Only the first block of a rank gives its credit for a dispatch along a handle.',
    edits: [
      edit(
        cached,
        '        publish_credit(call, args);',
        '        PLANTED(); if (block_idx() == 0) publish_credit(call, args);',
      ),
    ],
    spec,
    hints: { resident: 1 },
    expected: { detector: 'timeout' },
  },
  {
    id: 'credit-of-an-earlier-call',
    rule: 'H11',
    plants: 'Any credit will do, also that of an earlier call.',
    edits: [
      edit(
        awaitCredit,
        'ok = wait_acquire_sys(call, site, word, HasEpoch{call.epoch}).ok;',
        `PLANTED(); struct AnyEpoch : HasEpoch { bool holds(uint64_t) const { return true; } };
        ok = wait_acquire_sys(call, site, word, AnyEpoch{ {call.epoch} }).ok;`,
      ),
    ],
    spec,
    expected: READS_BEFORE_SENDS,
  },
  {
    id: 'no-fence-after-credit',
    rule: 35,
    plants: 'Rows are stored on the strength of a credit without a proxy fence.',
    edits: [edit(awaitCredit, '    fence_proxy_async();', '    PLANTED();')],
    spec,
    expected: READS_BEFORE_SENDS,
  },
  {
    id: 'no-sync-warp-after-credit',
    rule: 35,
    plants: 'A lane fences before the other lanes have acquired the credit of their ranks.',
    edits: [edit(awaitCredit, '    sync_warp();\n', '    PLANTED();\n')],
    spec,
    // What a lane sends to a rank that rank itself gave free: others may still pull there.
    expected: { detector: 'race', between: [PULLS_ROW, STORES_ROW] },
  },
];
