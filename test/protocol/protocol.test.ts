import { describe, expect, test } from 'vitest';
import type { ReuseEdge } from '../../generator/reuse.js';
import { numOutputBuffers, recvBuffersFor, reuseTable } from '../../generator/reuse.js';
import { callSequences, type HighThroughputCall, moreCalls } from './calls.js';
import { explore } from './explore.js';
import type { Model, Mutation } from './model.js';
import { meetingName, orderOf } from './order.js';
import { programs } from './program.js';
import { expectSafe, expectTable, isLong, report, survey } from './survey.js';

/** The protocol as the plan sizes it. */
function planned(
  ranks: number,
  channels: number,
  { liveResults = 2, credit = false, ...options }: Partial<Model> = {},
): Model {
  const numRecvBuffers = recvBuffersFor({ liveResults, credit });
  return { ranks, channels, liveResults, credit, numRecvBuffers, numOutputBuffers, ...options };
}

describe('every interleaving of every call sequence of length 6', () => {
  test.each([
    [2, 2],
    [3, isLong ? 2 : 1],
  ])('%i ranks, %i channels each', (ranks, channels) => {
    const model = planned(ranks, channels);
    expectSafe(model, survey(model, callSequences(6, model)));
  });

  test.each([
    { liveResults: 1, credit: false },
    { liveResults: 3, credit: false },
    { liveResults: 4, credit: false },
    { liveResults: 1, credit: true },
    { liveResults: 2, credit: true },
    { liveResults: 3, credit: true },
  ])('3 ranks, $liveResults live results, credit $credit', (options) => {
    const model = planned(3, 1, options);
    const alphabet: readonly HighThroughputCall[] = [
      'dispatch',
      'combineOldest',
      'combineNewest',
      'read',
    ];
    expectSafe(model, survey(model, callSequences(6, model, alphabet)));
  });
});

describe('with routings used again and results sent on', () => {
  test.each<[number, number, Partial<Model>]>([
    [2, 2, {}],
    [3, 1, {}],
    [2, 1, { isSlotted: true }],
    [2, 2, { credit: true }],
    [3, 1, { credit: true }],
    [2, 2, { credit: true, isSlotted: true }],
  ])('%i ranks, %i channels each, sequences of length 5, %o', (ranks, channels, options) => {
    const model = planned(ranks, channels, options);
    const found = survey(model, callSequences(5, model, moreCalls));
    expectSafe(model, found);
    expectTable(model, found);
  });

  test.each([
    { liveResults: 1, credit: false },
    { liveResults: 1, credit: true },
    { liveResults: 3, credit: true },
  ])('3 ranks, $liveResults live results, credit $credit', (options) => {
    const model = planned(3, 1, options);
    const alphabet: readonly HighThroughputCall[] = [
      'dispatch',
      'dispatchCached',
      'dispatchResult',
      'read',
    ];
    const found = survey(model, callSequences(6, model, alphabet));
    expectSafe(model, found);
  });
});

describe('state by state, which checks the ordering argument itself', () => {
  test.each<[number, number, number, Partial<Model>, (readonly HighThroughputCall[])?]>([
    [2, 1, 4, {}],
    [2, 2, isLong ? 4 : 3, {}],
    [3, 1, isLong ? 3 : 2, {}],
    [2, 1, isLong ? 5 : 4, { credit: true }],
    [2, 1, isLong ? 5 : 4, { credit: true, liveResults: 1 }],
    [3, 1, isLong ? 3 : 2, { credit: true, liveResults: 1 }],
    [2, 1, isLong ? 4 : 3, {}, moreCalls],
    [2, 1, isLong ? 4 : 3, { credit: true }, moreCalls],
    [2, 2, 2, { credit: true, liveResults: 1 }, moreCalls],
    [2, 1, 3, { credit: true, isSlotted: true }, moreCalls],
  ])(
    '%i ranks, %i channels, sequences of length %i, %o',
    (ranks, channels, length, options, alphabet) => {
      const model = planned(ranks, channels, options);
      let numStates = 0;
      for (const calls of callSequences(length, model, alphabet)) {
        const exploration = explore(programs(model, calls), 1e7);
        expect(exploration.violation).toBeUndefined();
        expect(exploration.isFinished).toBe(true);
        numStates += exploration.numStates;
      }
      report(
        `protocol, ${ranks} ranks, ${channels} channels, length ${length}, ${model.liveResults} live results, ` +
          `credit ${model.credit}: ${numStates} states, finished`,
      );
    },
  );
});

describe('a broken protocol is found out', () => {
  const dispatch = 'dispatch' as const;

  test.each<[string, Model, readonly HighThroughputCall[], string]>([
    [
      'one receive buffer fewer',
      { ...planned(2, 1), numRecvBuffers: 2 },
      [dispatch, dispatch, 'read', dispatch],
      'recv: caller reads result → dispatch writes rows',
    ],
    [
      'one receive buffer fewer, pulled by a third rank',
      { ...planned(3, 1), numRecvBuffers: 2 },
      [dispatch, dispatch, 'combineOldest', dispatch],
      'recv: combine pulls rows → dispatch writes rows',
    ],
    [
      'one output buffer',
      { ...planned(2, 1), numOutputBuffers: 1 },
      [dispatch, 'combineOutput', 'combineOutput'],
      'output: combine pulls rows → caller writes input',
    ],
    [
      'ready words without parity',
      planned(2, 1, { mutation: 'one ready parity' }),
      [dispatch, 'combineOutput', 'combineOutput'],
      'ready: combine reads ready → combine publishes ready',
    ],
    [
      'ready words awaited only where needed',
      planned(2, 1, { mutation: 'lazy ready words' }),
      [dispatch, 'combineOutput', 'combineOutput', 'combineOutput'],
      'output: combine pulls rows → caller writes input',
    ],
    [
      'a result used after it is stale',
      planned(2, 1),
      [dispatch, dispatch, dispatch, 'readStale', dispatch],
      'recv: caller reads result → dispatch writes rows',
    ],
    [
      'a combine input used one combine late',
      planned(2, 1),
      [dispatch, 'combineNewest', 'combineLate', 'combineOutput'],
      'output: combine pulls rows → caller writes input',
    ],
    [
      'a result written while a combine pulls it',
      planned(2, 1),
      [dispatch, 'combineNewest', 'write'],
      'recv: combine pulls rows → caller writes result',
    ],
    [
      'counts read after the arrival',
      planned(2, 1, { mutation: 'counts read after arrival' }),
      [dispatch, dispatch],
      'rank_counts: dispatch reads counts → dispatch publishes counts',
    ],
    [
      'a dispatch that ends before all rows are there',
      planned(2, 1, { mutation: 'no arrival wait' }),
      [dispatch, 'read'],
      'recv: dispatch writes rows → caller reads result',
    ],
    [
      'rows sent without a credit',
      planned(2, 1, { credit: true, mutation: 'no credit wait' }),
      [dispatch, dispatch, 'read', dispatch],
      'recv: caller reads result → dispatch writes rows',
    ],
    [
      'a cached call that awaits no credit',
      planned(2, 1, { credit: true, mutation: 'no credit wait in cached calls' }),
      [dispatch, dispatch, 'read', 'dispatchCached'],
      'recv: caller reads result → dispatch writes rows',
    ],
    [
      'with credit, a result sent on that goes to the call itself',
      planned(2, 1, { credit: true }),
      [dispatch, dispatch, 'dispatchLate'],
      'recv: dispatch reads result → dispatch writes rows',
    ],
    [
      'a stale result sent on',
      planned(2, 1),
      [dispatch, dispatch, dispatch, 'dispatchLate', 'dispatchCached'],
      'recv: dispatch reads result → dispatch writes rows',
    ],
    [
      'the credit of the destination only',
      planned(3, 1, { credit: true, mutation: 'credit of the destination only' }),
      [dispatch, dispatch, 'combineOldest', dispatch],
      'recv: combine pulls rows → dispatch writes rows',
    ],
  ])('%s', (_, model, calls, race) => {
    const built = programs(model, calls);
    expect([...orderOf(model, built).races.keys()]).toContain(race);
    expect(explore(built).violation).toBeDefined();
  });

  test.each<[string, Model, readonly HighThroughputCall[], string]>([
    [
      'credit words taken by relaxed loads',
      planned(2, 1, { credit: true, mutation: 'relaxed credit' }),
      [dispatch, dispatch, 'read', dispatch],
      'recv: caller reads result → dispatch writes rows',
    ],
    [
      'credit words that release nothing',
      planned(2, 1, { credit: true, mutation: 'unreleased credit' }),
      [dispatch, dispatch, 'read', dispatch],
      'recv: caller reads result → dispatch writes rows',
    ],
    [
      'rows sent without a proxy fence after the credit',
      planned(2, 1, { credit: true, mutation: 'no proxy fence after the credit' }),
      [dispatch, dispatch, 'read', dispatch],
      'recv: caller reads result → dispatch writes rows',
    ],
    [
      'a proxy fence in the first block only',
      planned(2, 2, { credit: true, mutation: 'proxy fence in the first block only' }),
      [dispatch, dispatch, 'write', dispatch],
      'recv: caller writes result → dispatch writes rows',
    ],
    [
      'rows pulled without a proxy fence',
      planned(2, 1, { mutation: 'no proxy fence before the pull' }),
      [dispatch, 'combineOutput'],
      'output: caller writes input → combine pulls rows',
    ],
  ])('%s (only a memory model sees it, no interleaving does)', (_, model, calls, race) => {
    const built = programs(model, calls);
    expect([...orderOf(model, built).races.keys()]).toContain(race);
    expect(explore(built).violation).toBeUndefined();
  });
});

describe('each edge of the reuse table needs the wait that it names', () => {
  /** Between them they make every pair of the table meet. */
  const sequences: readonly (readonly HighThroughputCall[])[] = [
    ['dispatch', 'read', 'write', 'write', 'read', 'combineNewest'],
    ['dispatch', 'combineNewest', 'dispatch', 'dispatch', 'dispatch'],
    ['dispatch', 'combineOutput', 'combineOutput', 'combineOutput'],
    ['dispatch', 'dispatch', 'read', 'dispatch', 'dispatch'],
    ['dispatch', 'dispatch', 'write', 'dispatch', 'dispatch'],
    ['dispatch', 'dispatch', 'combineOldest', 'dispatch', 'dispatch'],
    ['dispatch', 'dispatch', 'dispatch', 'read', 'dispatch', 'dispatch'],
    ['dispatch', 'dispatch', 'dispatch', 'write', 'dispatch', 'dispatch'],
    ['dispatch', 'write', 'dispatchResult', 'write', 'dispatch', 'dispatch'],
    ['dispatch', 'dispatch', 'dispatchResult', 'dispatch'],
  ];

  function mutationFor({ provenBy, region, earlier, later }: ReuseEdge): Mutation | undefined {
    switch (provenBy) {
      case 'dispatch.counts':
        return region === 'recv' ? 'relaxed credit' : 'no count wait';
      case 'dispatch.arrivals':
        return 'no arrival wait';
      case 'combine.ready':
        return earlier === 'dispatch writes rows' && later === 'combine pulls rows'
          ? 'no arrival and no ready wait'
          : 'no ready wait';
      case 'stream order':
        return 'no stream order';
      case 'monotone counter':
        return 'arrivals awaited exactly';
      case 'host check':
        return undefined; // it has a test of its own above
    }
  }

  const edges = reuseTable(planned(3, 1)).map((edge) => ({ edge, credit: false }));
  const creditEdges = reuseTable(planned(3, 1, { credit: true }))
    .filter(({ region, provenBy }) => region === 'recv' && provenBy === 'dispatch.counts')
    .map((edge) => ({ edge, credit: true }));

  test.each(
    [...edges, ...creditEdges].flatMap(({ edge, credit }) => {
      const mutation = mutationFor(edge);
      return mutation === undefined ? [] : [{ name: meetingName(edge), mutation, credit }];
    }),
  )('$name: $mutation', ({ name, mutation, credit }) => {
    const { races } = survey(planned(3, 1, { credit, mutation }), sequences);
    expect([...races.keys()]).toContain(name);
  });
});
