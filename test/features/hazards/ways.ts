import type { Hazard } from '../hazard.js';

const environment = 'test/native/environment.test.ts';
const exchange = 'test/kernels/exchange.test.ts';
const graph = 'test/kernels/graph.test.ts';
const llBack = 'test/kernels/low-latency/back-to-back.test.ts';
const llGraph = 'test/kernels/low-latency/graph.test.ts';
const llHooks = 'test/kernels/low-latency/hooks.test.ts';
const llLifetime = 'test/kernels/low-latency/lifetime.test.ts';
const llSplit = 'test/kernels/low-latency/split.test.ts';
const graphStreams = 'test/kernels/graph-streams.test.ts';
const properties = 'test/kernels/properties.test.ts';
const streams = 'test/kernels/streams.test.ts';
const worst = 'test/kernels/worst-tokens.test.ts';
const sameBits = 'groups and sums are the model bit for bit';
const llPairs =
  '100 pairs without waiting, with other tokens, routing and numbers of channels each time';
const bothKinds =
  '30 rounds of both kinds of calls in any order, without waiting or cleaning, ranks late in turns';

/** Ways to call: in graphs, on fewer channels, in either mode, in halves, with padding. */
export const ways: readonly Hazard[] = [
  {
    name: 'CUDA graphs',
    tried:
      'one operation, odd numbers, pairs, two windows; 1000 replays (low latency: 400); between other calls; no memory taken',
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
      [
        llGraph,
        'two ranks, hidden 64 > an odd number of operations in a graph, replayed between other calls with new routing each time',
      ],
      [
        llGraph,
        'two ranks, hidden 64 > replays and pairs called one by one, in every order of five',
      ],
      [llHooks, 'in graphs > hooks are called inside, and replays receive'],
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
      ['test/kernels/low-latency/shapes.test.ts', 'seven ranks, one channel > any routing'],
      [llBack, `five ranks, top-6 > ${llPairs}`],
    ],
  },
  {
    name: 'High throughput and low latency on one buffer',
    tried:
      'in any order, high throughput between send and receive, low latency between dispatch and combine; with and without a clean step',
    tests: [
      ['test/kernels/low-latency/both.test.ts', `two ranks, hidden 64 > ${bothKinds}`],
      ['test/kernels/low-latency/both.test.ts', `five ranks, top-6 > ${bothKinds}`],
      [
        'test/kernels/low-latency/both.test.ts',
        'two ranks, hidden 64 > a clean step between them changes nothing',
      ],
      [
        'test/kernels/low-latency/both.test.ts',
        'five ranks, top-6 > a clean step between them changes nothing',
      ],
      [
        'test/protocol/low-latency.test.ts',
        'every interleaving of every sequence of low-latency calls > with high-throughput calls between, of length 4, { inFlight: 2, hasCredit: true }',
      ],
      [llSplit, 'two ranks, hidden 64 > each half comes with other work before it'],
    ],
  },
  {
    name: 'Completion asked for late, twice or never',
    tried:
      'events awaited later or never; hooks called late, after other calls, twice and never: memory is held until then',
    tests: [
      [streams, 'copies of an asynchronous dispatch are there at its event'],
      [
        'test/runtime/streams.test.ts',
        'asyncFinish > gives freed memory to others only after the work that used it',
      ],
      [environment, 'a process waits for what is pending and ends without dispose'],
      [llSplit, 'two ranks, hidden 64 > each half comes with other work before it'],
      [
        llHooks,
        'a hook that was not called > has what a dispatch brings refused; then it is there',
      ],
      [llHooks, 'a hook that is called > twice, or after the memory went, does nothing'],
      [
        llHooks,
        'memory that a receive needs > stays when a dispatch is not received yet, and goes back once it is',
      ],
      [
        'test/kernels/low-latency/hook-memory.test.ts',
        'five ranks, top-6 > tensors that the receive of a combine uses may be disposed before its hook is called',
      ],
      [
        llLifetime,
        'a group is disposed while calls are under way, and while receives were never enqueued',
      ],
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
