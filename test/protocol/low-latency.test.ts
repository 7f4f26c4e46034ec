import { describe, expect, test } from 'vitest';
import { type Call, type HighThroughputCall, isLegal } from './calls.js';
import { explore } from './explore.js';
import { isLowLatency, type LowLatencyCall } from './low-latency-calls.js';
import { LowLatencyHost } from './low-latency-host.js';
import { everySequence, isLowLatencyRegion, type Options, planned } from './low-latency-model.js';
import type { Model } from './model.js';
import { programs } from './program.js';
import { expectSafe, expectTable, isLong, report, survey } from './survey.js';

/** With calls of both kinds: what the host lets either make does not hang on the other. */
function* mixedSequences(
  length: number,
  model: Model,
  before: readonly Call[],
): Generator<readonly Call[]> {
  if (length === 0) {
    yield before;
    return;
  }
  const high: readonly HighThroughputCall[] = [
    'dispatch',
    'combineNewest',
    'combineOutput',
    'read',
  ];
  const low: readonly LowLatencyCall[] = [
    'llDispatch',
    'llSend',
    'llReceive',
    'llCombine',
    'llPublish',
    'llPull',
    'llUse',
  ];
  const highBefore = before.filter((call): call is HighThroughputCall => !isLowLatency(call));
  for (const call of high) {
    if (isLegal(highBefore, call, model))
      yield* mixedSequences(length - 1, model, [...before, call]);
  }
  for (const call of low) {
    const host = new LowLatencyHost(model);
    if ([...before, call].every((one) => !isLowLatency(one) || host.take(one) !== undefined))
      yield* mixedSequences(length - 1, model, [...before, call]);
  }
}

describe('every interleaving of every sequence of low-latency calls', () => {
  test.each<[number, number, number, Options]>([
    [2, 1, 6, { inFlight: 1 }],
    [2, 1, 6, { inFlight: 1, hasCredit: true }],
    [2, 2, 6, { inFlight: 2 }],
    [2, 2, 6, { inFlight: 2, hasCredit: true }],
    [3, 1, isLong ? 7 : 6, { inFlight: 2 }],
    [3, 1, isLong ? 7 : 6, { inFlight: 2, hasCredit: true }],
    [2, 1, isLong ? 7 : 5, { inFlight: 4 }],
    [2, 1, isLong ? 7 : 5, { inFlight: 4, hasCredit: true }],
    [3, 1, 5, { inFlight: 4 }],
    [3, 1, 5, { inFlight: 4, hasCredit: true }],
  ])(
    '%i ranks, %i channels each, sequences of length %i, %o',
    (ranks, channels, length, options) => {
      const model = planned(ranks, channels, options);
      const found = survey(model, everySequence(length, model));
      expectSafe(model, found);
      expectTable(model, found, isLowLatencyRegion);
    },
  );

  test.each<[number, Options]>([
    [isLong ? 5 : 4, { inFlight: 1 }],
    [isLong ? 5 : 4, { inFlight: 2 }],
    [isLong ? 5 : 4, { inFlight: 2, hasCredit: true }],
  ])('with high-throughput calls between, of length %i, %o', (length, options) => {
    const model = planned(2, 1, options);
    const before: readonly Call[] = ['dispatch', 'llDispatch'];
    expectSafe(model, survey(model, mixedSequences(length, model, before)));
  });
});

describe('state by state, which checks the ordering argument itself', () => {
  test.each<[number, number, number, Options]>([
    [2, 1, isLong ? 4 : 3, { inFlight: 1 }],
    [2, 1, isLong ? 4 : 3, { inFlight: 1, hasCredit: true }],
    [2, 1, isLong ? 4 : 3, { inFlight: 2 }],
    [2, 1, isLong ? 4 : 3, { inFlight: 2, hasCredit: true }],
    [2, 2, 2, { inFlight: 1 }],
    [3, 1, 2, { inFlight: 1 }],
  ])('%i ranks, %i channels, sequences of length %i, %o', (ranks, channels, length, options) => {
    const model = planned(ranks, channels, options);
    let numStates = 0;
    for (const calls of everySequence(length, model)) {
      const exploration = explore(programs(model, calls), 1e7);
      expect(exploration.violation).toBeUndefined();
      expect(exploration.isFinished).toBe(true);
      numStates += exploration.numStates;
    }
    report(
      `protocol, ${ranks} ranks, ${channels} channels, length ${length}, ${options.inFlight} low-latency calls in ` +
        `flight, credit ${options.hasCredit ?? false}: ${numStates} states, finished`,
    );
  });
});
