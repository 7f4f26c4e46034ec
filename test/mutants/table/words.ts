import { edit, type Mutant } from '../mutant.js';
import { announce, combine, dispatch, exchange, pull, receive, resetHt, wait } from './files.js';
import { PULLS_ROW, READS_PREFIX, STORES_PREFIX, STREAM } from './places.js';

const COUNT_WORD = `        st_relaxed_sys(EPGEN_FIELD(control, rank_counts) + (args.rank_idx * kNumRanks + destination),
                       pack_word(ld(totals + destination), call.epoch));`;
const COUNT_WAIT = 'const auto count = wait_relaxed_sys(call, site, word, HasEpoch{call.epoch});';
const ARRIVAL =
  'red_add_release_sys(EPGEN_FIELD(peer_control, arrivals) + args.rank_idx, num_channels);';

/** Control words: counts, arrivals and ready words, and the calls that they belong to. */
export const words: readonly Mutant[] = [
  {
    id: 'stale-count-accepted',
    rule: 'H11',
    plants:
      "A count word is taken whatever its epoch: a rank's first row comes from an earlier call.",
    edits: [
      edit(
        exchange,
        COUNT_WAIT,
        `PLANTED(); struct AnyEpoch : HasEpoch { bool holds(uint64_t) const { return true; } };
            const auto count = wait_relaxed_sys(call, site, word, AnyEpoch{ {call.epoch} });`,
      ),
    ],
    expected: { detector: 'data' },
  },
  {
    id: 'count-loaded-weakly',
    rule: 20,
    plants: 'A count is awaited, and then loaded once more by a weak load.',
    edits: [
      edit(
        exchange,
        'base += word_value(count.value);',
        'PLANTED(); base += word_value(ld(word));',
      ),
    ],
    expected: {
      detector: 'race',
      between: [
        'st_relaxed_sys(EPGEN_FIELD(control, rank_counts)',
        'base += word_value(ld(word));',
      ],
    },
  },
  {
    id: 'torn-count-word',
    rule: 28,
    plants: 'A count word is stored in two halves, epoch first.',
    edits: [
      edit(
        exchange,
        COUNT_WORD,
        `        const auto word = EPGEN_FIELD(control, rank_counts) + (args.rank_idx * kNumRanks + destination);
        const auto half = make_pointer<Space::peer>(reinterpret_cast<uint32_t*>(word.raw), 2, "half of a count word");
        PLANTED(); st(half + 1, call.epoch);
        st(half, ld(totals + destination));`,
      ),
    ],
    expected: { detector: 'race', between: ['st(half', COUNT_WAIT] },
  },
  {
    id: 'counts-read-after-arrival',
    rule: 12,
    plants: 'Counts are read after the arrivals that let their writers write them again.',
    edits: [
      edit(
        dispatch,
        'ok = publish_expert_counts(call, args, smem) && receive_counts(call, args, smem);',
        'ok = publish_expert_counts(call, args, smem);',
      ),
      edit(
        announce,
        "    // The block that finishes last waits for the others' rows",
        `    if (is_first_block && warp_idx() == kCountWarp) {
        PLANTED(); receive_counts(call, args, smem);
    }
    // The block that finishes last waits for the others' rows`,
      ),
    ],
    expected: { detector: 'timeout' },
  },
  {
    id: 'arrivals-compared-unsigned',
    rule: 10,
    plants: 'Arrivals are compared as numbers that do not wrap.',
    edits: [edit(wait, 'return reached(word, count);', 'PLANTED(); return word >= count;')],
    expected: { detector: 'race', between: [STORES_PREFIX, READS_PREFIX] },
  },
  {
    id: 'arrivals-compared-for-equality',
    rule: 11,
    plants: 'Arrivals are awaited by ==: a rank one call ahead takes the counter past it.',
    edits: [edit(wait, 'return reached(word, count);', 'PLANTED(); return word == count;')],
    expected: { detector: 'timeout' },
  },
  {
    id: 'one-arrival-less',
    rule: 11,
    plants: 'The wait for arrivals expects one fewer than there are channels.',
    edits: [
      edit(
        receive,
        'AtLeast{call.epoch * kNumChannels});',
        'AtLeast{(PLANTED(), call.epoch * kNumChannels - 1)});',
      ),
    ],
    expected: { detector: 'race', between: [STORES_PREFIX, READS_PREFIX] },
  },
  {
    id: 'one-arrival-per-block',
    rule: 17,
    plants: 'A block that works several channels posts one arrival for all of them.',
    edits: [edit(announce, ARRIVAL, `PLANTED(); ${ARRIVAL.replace('num_channels', '1')}`)],
    expected: { detector: 'timeout' },
  },
  {
    id: 'arrival-only-with-rows',
    rule: 17,
    plants: 'A rank that gets no rows gets no arrival either.',
    edits: [
      edit(
        announce,
        ARRIVAL,
        `PLANTED();
        const auto rows = EPGEN_FIELD(smem, channel_start) + (kNumChannels * kNumRanks + thread_idx());
        if (ld(rows) > 0) ${ARRIVAL}`,
      ),
    ],
    expected: { detector: 'timeout' },
  },
  {
    id: 'one-counter-for-all-sources',
    rule: 33,
    plants: 'All sources post their arrivals to one counter, which must reach the sum.',
    edits: [
      edit(announce, ARRIVAL, ARRIVAL.replace('args.rank_idx', '0')),
      edit(
        receive,
        `EPGEN_FIELD(control, arrivals) + source,
                                          AtLeast{call.epoch * kNumChannels});`,
        `EPGEN_FIELD(control, arrivals),
                                          AtLeast{(PLANTED(), call.epoch * kNumChannels * kNumRanks)});`,
      ),
      edit(
        resetHt,
        'std::end(control.arrivals), epoch * kNumChannels);',
        'std::end(control.arrivals), epoch * kNumChannels * kNumRanks);',
      ),
    ],
    spec: 'three',
    expected: {
      equivalent:
        'The first rank whose wait for call e passes has seen no arrival of e+1, hence all of e. An arrival of e+1 that ' +
        'stands in for a missing one of e comes from a rank whose wait for e has passed, and releases what that acquired: ' +
        'by induction all arrivals of e, each posted after its block had completed its rows at every rank.',
    },
  },
  {
    id: 'ready-without-parity',
    rule: 12,
    plants:
      'Ready words of two consecutive combines share a place: a rank one call ahead overwrites it.',
    edits: [
      edit(pull, '((call.epoch & 1) * kNumRanks + args.rank_idx)', '(PLANTED(), args.rank_idx)'),
      edit(pull, '((call.epoch & 1) * kNumRanks + lane_idx())', '(PLANTED(), lane_idx())'),
    ],
    expected: { detector: 'timeout' },
  },
  {
    id: 'parity-from-the-host',
    rule: 'H9',
    plants:
      'The parity of ready words is that of the buffer that the host chose, not of the epoch.',
    edits: [
      edit(
        pull,
        '((call.epoch & 1) * kNumRanks + args.rank_idx)',
        '(PLANTED(), (args.input_offset / kOutput.stride_bytes & 1) * kNumRanks + args.rank_idx)',
      ),
      edit(
        pull,
        '((call.epoch & 1) * kNumRanks + lane_idx())',
        '(PLANTED(), (args.input_offset / kOutput.stride_bytes & 1) * kNumRanks + lane_idx())',
      ),
    ],
    expected: { detector: 'timeout' },
  },
  {
    id: 'epoch-replayed',
    rule: 26,
    plants:
      'The epoch of combine is the one that its launch was captured with, and every replay repeats it.',
    edits: [
      edit(
        combine,
        'ld(EPGEN_FIELD(control, combine_epoch) + block_idx()) + 1,',
        '(PLANTED(), 7u),',
      ),
    ],
    expected: { detector: 'race', between: [STREAM, PULLS_ROW] },
  },
  {
    id: 'ready-only-of-needed-ranks',
    rule: 14,
    plants: 'A block waits only for the ranks whose rows it pulls.',
    edits: [
      edit(
        pull,
        '    const Waited<uint64_t> input = wait_ready(call, args);',
        `    bool is_needed = false;
    for (uint32_t channel_idx = block_idx(); channel_idx < kNumChannels; channel_idx += num_blocks()) {
        const TokenRange tokens = channel_tokens(args.num_tokens, channel_idx, kNumChannels);
        for (uint32_t token_idx = tokens.first; token_idx < tokens.end; ++token_idx) {
            is_needed |= row_at_lane_rank(args, token_idx) >= 0;
        }
    }
    Waited<uint64_t> input{true, 0};
    PLANTED(); if (is_needed) input = wait_ready(call, args);`,
      ),
    ],
    expected: { detector: 'race', between: [STREAM, PULLS_ROW] },
  },
];
