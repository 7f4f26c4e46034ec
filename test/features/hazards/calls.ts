import type { Hazard } from '../hazard.js';

const back = 'test/kernels/back-to-back.test.ts';
const cached = 'test/kernels/cached.test.ts';
const environment = 'test/native/environment.test.ts';
const exchange = 'test/kernels/exchange.test.ts';
const llBack = 'test/kernels/low-latency/back-to-back.test.ts';
const llEpochs = 'test/kernels/low-latency/epochs.test.ts';
const llSkew = 'test/kernels/low-latency/skew.test.ts';
const llStale = 'test/kernels/low-latency/stale.test.ts';
const llWindows = 'test/kernels/low-latency/windows.test.ts';
const llGraph = 'test/kernels/low-latency/graph.test.ts';
const llInFlight = 'test/kernels/low-latency/in-flight.test.ts';
const llLifetime = 'test/kernels/low-latency/lifetime.test.ts';
const llProtocol = 'test/protocol/low-latency.test.ts';
const llSplit = 'test/kernels/low-latency/split.test.ts';
const mixedCalls = 'test/kernels/mixed-calls.test.ts';
const placement = 'test/kernels/placement.test.ts';
const protocol = 'test/protocol/protocol.test.ts';
const simt = 'test/simt/simt.test.ts';
const smoke = 'test/kernels/smoke.test.ts';
const stale = 'test/kernels/stale.test.ts';
const streams = 'test/kernels/streams.test.ts';
const worst = 'test/kernels/worst-tokens.test.ts';
const compact = 'six ranks, all options of compact rows';
const slotted = 'seven ranks, all options of slotted rows';
const afterMany = 'few tokens after as many as fit, in memory full of';
const anyCalls =
  'calls of any kind with 0, 1 or 2 combines, enqueued without waiting in 2 windows, ranks late in turns';
const llPairs =
  'pairs without waiting, with other tokens, routing and numbers of channels each time';

/** Calls after calls. */
export const calls: readonly Hazard[] = [
  {
    name: 'Many calls without waiting',
    tried:
      '200 pairs with other inputs each time, 300 of low latency; 210 calls with other options each time; 400 replays of low latency; epochs that wrap',
    tests: [
      [
        back,
        '200 dispatch and combine pairs, enqueued without waiting, ranks running ahead of each other',
      ],
      [mixedCalls, `${compact} > 150 ${anyCalls}`],
      [mixedCalls, `${slotted} > 60 ${anyCalls}`],
      [smoke, 'epochs wrap around 2^32'],
      [llBack, `two ranks, hidden 64 > 300 ${llPairs}`],
      [llBack, `eight ranks, hidden 16, four in flight > 80 ${llPairs}`],
      [
        llEpochs,
        'five ranks, top-6 > epochs go on from 4294967288, ranks running ahead of each other',
      ],
      [
        llGraph,
        'two ranks, hidden 64 > 400 replays of a pair, each with new routing: one launch of each kernel per replay',
      ],
    ],
  },
  {
    name: 'What earlier calls left in memory',
    tried:
      'memory full of NaNs, large numbers, zeros, a larger call’s rows; only rows that came are written',
    tests: [
      [stale, `${compact} > ${afterMany} NaNs`],
      [stale, `${compact} > ${afterMany} large numbers`],
      [stale, `${compact} > ${afterMany} zeros`],
      [stale, `${slotted} > ${afterMany} NaNs`],
      [stale, `${slotted} > ${afterMany} large numbers`],
      [stale, `${slotted} > ${afterMany} zeros`],
      [
        exchange,
        'eight ranks, hidden 16 > unequal tokens, none on one rank, combined from received rows in place',
      ],
      ['test/seeds/seeds.test.ts', 'poison-over-early-rows.json stays clean'],
      [worst, 'numWorstTokens > without any token: all rows are padding'],
      [
        'test/kernels/lost-results.test.ts',
        'the sums of an enqueued combine: first what went wrong, then stale',
      ],
      [llStale, `two ranks, hidden 64 > ${afterMany} NaNs`],
      [llStale, `three ranks, one block of scales, fp8 both ways > ${afterMany} large numbers`],
      [llStale, `six ranks, rounded scales in rows, combined as fp8 > ${afterMany} zeros`],
    ],
  },
  {
    name: 'Ranks far apart',
    tried: 'random delays, one rank that stands still, combine while others still dispatch',
    tests: [
      [
        cached,
        'five ranks, bf16, two live results > calls of both kinds run ahead of each other on ranks that are late in turns',
      ],
      [
        placement,
        'credit, one live result > all live results stay whole while ranks run ahead of each other',
      ],
      [mixedCalls, `${slotted} > 60 ${anyCalls}`],
      [simt, 'emulator > under frozen_rank a rank stands still for long stretches'],
      [
        protocol,
        'every interleaving of every call sequence of length 6 > 3 ranks, 1 channels each',
      ],
      [
        llSkew,
        'seven ranks, one channel > each rank in turn is far behind, while the others go as far as they can',
      ],
      [
        llSkew,
        'eight ranks, hidden 16, four in flight > combine is called while others still dispatch',
      ],
      [
        llInFlight,
        'eight ranks, hidden 16, four in flight: 4 without credit > that many sends, then their receives in the opposite order, ranks late in between',
      ],
      [
        llProtocol,
        'every interleaving of every sequence of low-latency calls > 3 ranks, 1 channels each, sequences of length 6, { inFlight: 2 }',
      ],
      [
        llProtocol,
        'every interleaving of every sequence of low-latency calls > 3 ranks, 1 channels each, sequences of length 6, { inFlight: 2, hasCredit: true }',
      ],
      [
        'test/protocol/low-latency-broken.test.ts',
        'a broken protocol is found out > one arrival counter for all sources: two calls of one pass for one call of two',
      ],
    ],
  },
  {
    name: 'Handles used again',
    tried:
      'three times more, after other dispatches, for two combines, for gradients; foreign ones are refused',
    tests: [
      [cached, 'five ranks, bf16, two live results > a routing used 3 times more'],
      [
        cached,
        'five ranks, bf16, two live results > a routing used after other dispatches, and combined twice',
      ],
      [
        'test/kernels/backward.test.ts',
        'the backward passes > combine backward sends gradients along the handle, dispatch backward sums them and those of weights, step 1',
      ],
      [cached, 'refused before anything is launched: > the handle of another group'],
      [
        cached,
        'refused before anything is launched: > another number of tokens than the handle sent',
      ],
      [
        llLifetime,
        'a handle is combined again and again, with other outputs, between other dispatches',
      ],
      [
        'test/kernels/low-latency/bad-input.test.ts',
        'a combine is refused, with nothing launched on any rank: > a handle of another kind of dispatch, both ways',
      ],
    ],
  },
  {
    name: 'Calls at the same time',
    tried:
      'two windows, two streams, two groups, the next dispatch before the combine; low latency: two windows, up to 4 sends before a receive',
    tests: [
      [streams, 'two windows in flight at once, with different contents'],
      [streams, 'windows run at once: one that waits for a late peer does not hold up the other'],
      [mixedCalls, `${compact} > 150 ${anyCalls}`],
      [streams, 'stream objects order calls on both sides'],
      [environment, 'several workers use the addon at the same time'],
      [placement, 'slotted > all live results stay whole while ranks run ahead of each other'],
      [
        llInFlight,
        'eight ranks, hidden 16, four in flight: 4 without credit > a pipeline that is always full: each receive makes room for one send',
      ],
      [
        llSplit,
        'two ranks, hidden 64 > a combine and a dispatch are under way at once, and whole ones come between',
      ],
      [
        llWindows,
        'five ranks, top-6 > three windows in turns, with hooks and without, ranks late at random',
      ],
      [
        llWindows,
        'two ranks, hidden 64 > asyncFinish: calls of two windows run beside each other and beside the ranks’ own work',
      ],
    ],
  },
];
