import type { Hazard } from '../hazard.js';

const back = 'test/kernels/back-to-back.test.ts';
const cached = 'test/kernels/cached.test.ts';
const environment = 'test/native/environment.test.ts';
const exchange = 'test/kernels/exchange.test.ts';
const graph = 'test/kernels/graph.test.ts';
const graphStreams = 'test/kernels/graph-streams.test.ts';
const mixedCalls = 'test/kernels/mixed-calls.test.ts';
const placement = 'test/kernels/placement.test.ts';
const properties = 'test/kernels/properties.test.ts';
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
const sameBits = 'groups and sums are the model bit for bit';

/** Calls after calls. */
export const calls: readonly Hazard[] = [
  {
    name: 'Many calls without waiting',
    tried:
      '200 pairs with other inputs each time; 210 calls with other options each time; epochs that wrap',
    tests: [
      [
        back,
        '200 dispatch and combine pairs, enqueued without waiting, ranks running ahead of each other',
      ],
      [mixedCalls, `${compact} > 150 ${anyCalls}`],
      [mixedCalls, `${slotted} > 60 ${anyCalls}`],
      [smoke, 'epochs wrap around 2^32'],
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
    ],
  },
  {
    name: 'Calls at the same time',
    tried: 'two windows, two streams, two groups, the next dispatch before the combine',
    tests: [
      [streams, 'two windows in flight at once, with different contents'],
      [streams, 'windows run at once: one that waits for a late peer does not hold up the other'],
      [mixedCalls, `${compact} > 150 ${anyCalls}`],
      [streams, 'stream objects order calls on both sides'],
      [environment, 'several workers use the addon at the same time'],
      [placement, 'slotted > all live results stay whole while ranks run ahead of each other'],
    ],
  },
  {
    name: 'CUDA graphs',
    tried:
      'one operation, odd numbers, pairs, two windows; 1000 replays; between other calls; no memory taken',
    tests: [
      [
        graph,
        'liveResults 2 > one operation in a graph, replayed between other calls with new routing each time',
      ],
      [
        graph,
        'liveResults 2 > an odd number of operations in a graph, replayed between other calls with new routing each time',
      ],
      [graph, 'three ranks > 1000 replays of a pair, each with new routing'],
      [graph, 'liveResults 2 > replays and pairs called one by one, in every order of six'],
      [graphStreams, 'a graph over two windows, replayed between calls on either'],
      [
        graphStreams,
        'replays come after calls on the window’s own stream that use the same memory, and before later ones',
      ],
      [
        'test/kernels/graph-life.test.ts',
        'what a replay gives > memory comes from the capture, and goes back with the graph',
      ],
    ],
  },
  {
    name: 'Numbers of channels',
    tried: 'one, some, all, more than tokens; rows that pieces do not divide',
    tests: [
      [
        exchange,
        'four ranks, more channels than tokens > any number of channels at once gives the same bytes',
      ],
      [exchange, 'two ranks, one row in several pieces > the maximum of tokens, distinct experts'],
      [
        properties,
        'eight ranks, hidden 16 > dispatch and combine give the bits of the model for any routing',
      ],
      [
        'test/generator/properties.test.ts',
        'pieces > cover a row exactly, in whole vectors, each with a thread for every vector',
      ],
    ],
  },
  {
    name: 'Completion asked for late, twice or never',
    tried: 'events in place of hooks: awaited later or never, their memory is held until then',
    tests: [
      [streams, 'copies of an asynchronous dispatch are there at its event'],
      [
        'test/runtime/streams.test.ts',
        'asyncFinish > gives freed memory to others only after the work that used it',
      ],
      [environment, 'a process waits for what is pending and ends without dispose'],
    ],
  },
  {
    name: 'Rows for the worst case',
    tried: 'an exact fit, some more, all that can come, one too few; −1 behind those that came',
    tests: [
      [
        worst,
        'numWorstTokens > as many as the fullest rank gets: exactly so many rows, -1 behind those that came',
      ],
      [
        worst,
        'numWorstTokens > as many as can come: exactly so many rows, -1 behind those that came',
      ],
      [
        worst,
        'numWorstTokens > one too few: the next awaited operation of the rank names both numbers, once; the group goes on',
      ],
    ],
  },
  {
    name: 'Alignment',
    tried: 'counts rounded up, groups of rows padded, with zeros where asked for',
    tests: [
      [worst, 'expertAlignment > 128 rounds counts up to it'],
      [worst, 'expertAlignment > may differ between ranks'],
      [
        'test/kernels/expert-major.test.ts',
        `fp8 with scales in columns to f32, i32 indices, one local expert > ${sameBits}`,
      ],
    ],
  },
];
