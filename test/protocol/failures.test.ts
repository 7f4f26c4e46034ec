import { describe, expect, test } from 'vitest';
import {
  llBuffersFor,
  llRecvBuffersFor,
  numOutputBuffers,
  recvBuffersFor,
} from '../../generator/reuse.js';
import { type Call, callSequences, type HighThroughputCall } from './calls.js';
import { exploreFailures, type FailureExploration, waitsOf } from './failures.js';
import { isLowLatency, type LowLatencyCall, lowLatencySequences } from './low-latency-calls.js';
import type { FailureMutation, Model } from './model.js';
import { programs } from './program.js';
import type { Step } from './steps.js';

const isLong = Number(process.env.EPGEN_TEST_SCALE ?? 1) > 1;
const alphabet: readonly HighThroughputCall[] = [
  'dispatch',
  'dispatchCached',
  'combineNewest',
  'combineOutput',
  'read',
  'write',
];

/** What the group calls after the reset: all words, both parities of the ready words, and rows. */
const again: readonly HighThroughputCall[] = ['dispatch', 'read', 'combineOutput', 'combineNewest'];

const againLow: readonly LowLatencyCall[] = ['llDispatch', 'llUse', 'llCombine', 'llCombine'];

function failing(ranks: number, channels: number, options: Partial<Model> = {}): Model {
  const { liveResults = 2, credit = false } = options;
  const numRecvBuffers = recvBuffersFor({ liveResults, credit });
  return {
    ranks,
    channels,
    liveResults,
    credit,
    numRecvBuffers,
    numOutputBuffers,
    checks: true,
    ...options,
  };
}

/** Every way in which at most `most` waits of these calls reach their deadline. */
function* explorations(
  model: Model,
  calls: readonly Call[],
  { most = 1, triesAll = false } = {},
): Generator<FailureExploration> {
  const before = programs(model, calls);
  const after = programs(model, calls.some(isLowLatency) ? againLow : again);
  for (const givingUp of choices(waitsOf(before), most)) {
    yield exploreFailures({ model, before, after, givingUp, maxStates: 1e6, triesAll });
  }
}

function* choices(waits: readonly Step[], most: number): Generator<ReadonlySet<Step>> {
  yield new Set();
  if (most === 0) return;
  for (const [i, wait] of waits.entries()) {
    for (const others of choices(waits.slice(i + 1), most - 1)) yield new Set([wait, ...others]);
  }
}

describe('whichever waits give up, no stale word is taken and a reset leaves nothing behind', () => {
  test.each<[number, number, number, number, boolean]>([
    [2, 1, isLong ? 4 : 3, 1, false],
    [2, 1, isLong ? 3 : 2, 1, true],
    [2, 1, isLong ? 3 : 1, 2, false],
    [2, 2, isLong ? 2 : 1, 1, false],
    [3, 1, isLong ? 2 : 1, 1, false],
    [3, 1, isLong ? 2 : 1, 1, true],
  ])(
    '%i ranks, %i channels, sequences of length %i, at most %i waits, credit %s',
    (ranks, channels, length, most, credit) => {
      const model = failing(ranks, channels, { credit });
      const sum = { runs: 0, states: 0, ends: 0 };
      for (const calls of callSequences(length, model, alphabet)) {
        for (const found of explorations(model, calls, { most })) {
          expect(found.violation).toBeUndefined();
          expect(found.isFinished).toBe(true);
          sum.runs += 1;
          sum.states += found.numStates;
          sum.ends += found.numEnds;
        }
      }
      process.stdout.write(
        `failures, ${ranks} ranks, ${channels} channels, length ${length}, at most ${most} waits give up, credit ${credit}: ` +
          `${sum.runs} explorations, ${sum.states} states, ${sum.ends} ends, all finished\n`,
      );
    },
  );

  test('every order of all moves ends in the same states', () => {
    for (const calls of [
      ['dispatch'],
      ['dispatch', 'combineNewest'],
    ] satisfies HighThroughputCall[][]) {
      const reduced = [...explorations(failing(2, 1), calls)];
      const all = [...explorations(failing(2, 1), calls, { triesAll: true })];
      expect(all.map(({ violation }) => violation)).toEqual(all.map(() => undefined));
      expect(all.map(({ numEnds }) => numEnds)).toEqual(reduced.map(({ numEnds }) => numEnds));
    }
  });
});

describe('a broken protocol of giving up is found out', () => {
  const fills: readonly HighThroughputCall[] = [
    'dispatch',
    'combineOutput',
    'combineOutput',
    'combineOutput',
  ];

  test.each<[FailureMutation, number, readonly HighThroughputCall[], RegExp]>([
    ['no check at start', 2, ['dispatch', 'dispatch'], /wrong: .*dispatch reads epoch/],
    ['no check at start', 2, ['dispatch', 'combineNewest', 'combineNewest'], /reads epoch/],
    ['no check before a combine succeeds', 2, fills, /wrong: .*combine writes epoch/],
    [
      'no check before a combine succeeds',
      2,
      ['dispatch', 'combineNewest', 'dispatch', 'write'],
      /wrong: .*combine writes epoch/,
    ],
    ['an abort is not passed on', 3, fills.slice(1), /wrong: .*combine writes epoch/],
    ['a rank gives up silently', 2, ['dispatch'], /stuck: rank/],
    ['reset keeps counts', 2, ['dispatch'], /wrong: .*dispatch reads counts/],
    ['reset keeps ready words', 2, ['dispatch', 'combineNewest'], /wrong: .*combine reads ready/],
    ['reset keeps arrivals', 2, ['dispatch'], /wrong: .*caller reads result/],
    ['reset keeps epochs', 2, ['dispatch'], /wrong: .*dispatch reads epoch/],
    ['reset keeps abort words', 2, ['dispatch'], /wrong: .*kernel starts/],
    ['reset of each rank by itself', 2, ['dispatch'], /wrong|stuck/],
  ])('%s, %i ranks, %j', (mutation, ranks, calls, what) => {
    const found = [...explorations(failing(ranks, 1, { mutation }), calls)];
    expect(found.flatMap(({ violation }) => violation?.at(-1) ?? []).join('\n')).toMatch(what);
    // The same calls are safe as long as nothing is broken.
    for (const { violation } of explorations(failing(ranks, 1), calls)) {
      expect(violation).toBeUndefined();
    }
  });

  test('a dispatch needs no last check for its rows: once they have all arrived nobody touches them', () => {
    const model = failing(2, 1, { mutation: 'no check before a dispatch succeeds' });
    for (const calls of callSequences(2, { liveResults: 2, credit: false }, alphabet)) {
      for (const { violation } of explorations(model, calls)) expect(violation).toBeUndefined();
    }
  });
});

describe('low-latency calls that give up', () => {
  const low = (ranks: number, hasCredit: boolean, options: Partial<Model> = {}): Model =>
    failing(ranks, 1, {
      llInFlight: 1,
      numLlRecvBuffers: llRecvBuffersFor({ inFlight: 1, credit: hasCredit }),
      numLlCountBuffers: llBuffersFor(1),
      numLlOutputBuffers: llBuffersFor(1),
      features: { hasLlCredit: hasCredit },
      ...options,
    });
  const lowAlphabet: readonly LowLatencyCall[] = [
    'llDispatch',
    'llSend',
    'llReceive',
    'llCombine',
    'llPublish',
    'llPull',
    'llUse',
  ];

  test.each<[number, number, boolean]>([
    [2, isLong ? 4 : 3, false],
    [2, isLong ? 4 : 3, true],
    [3, isLong ? 2 : 1, false],
    [3, isLong ? 2 : 1, true],
  ])(
    '%i ranks, sequences of length %i, credit %s: a reset leaves nothing behind',
    (ranks, length, hasCredit) => {
      const model = low(ranks, hasCredit);
      const sum = { runs: 0, states: 0 };
      for (const calls of lowLatencySequences(length, model, lowAlphabet)) {
        for (const found of explorations(model, calls)) {
          expect(found.violation).toBeUndefined();
          expect(found.isFinished).toBe(true);
          sum.runs += 1;
          sum.states += found.numStates;
        }
      }
      process.stdout.write(
        `failures of low-latency calls, ${ranks} ranks, length ${length}, credit ${hasCredit}: ` +
          `${sum.runs} explorations, ${sum.states} states, all finished\n`,
      );
    },
  );

  test.each<[FailureMutation, readonly Call[], RegExp]>([
    ['no check at start', ['llDispatch', 'llDispatch'], /wrong: .*reads epoch/],
    [
      'no check before a combine succeeds',
      ['llDispatch', 'llCombine', 'llCombine', 'llCombine'],
      /wrong/,
    ],
    ['a rank gives up silently', ['llDispatch'], /stuck: rank/],
    ['reset keeps ll_counts', ['llDispatch'], /wrong: .*send reads counts/],
    ['reset keeps ll_started', ['llDispatch'], /wrong: .*send reads started/],
    ['reset keeps ll_arrivals', ['llDispatch'], /wrong: /],
    ['reset keeps ll_ready', ['llDispatch', 'llCombine'], /wrong: .*pull reads ready/],
    ['reset keeps ll epochs', ['llDispatch'], /wrong: .*send reads epoch/],
  ])('%s is found out, %j', (mutation, calls, what) => {
    const found = [...explorations(low(2, true, { mutation }), calls)];
    expect(found.flatMap(({ violation }) => violation?.at(-1) ?? []).join('\n')).toMatch(what);
  });
});
