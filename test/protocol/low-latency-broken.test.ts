import { describe, expect, test } from 'vitest';
import { type ReuseEdge, reuseTable } from '../../generator/reuse.js';
import { explore } from './explore.js';
import { type LowLatencyCall, withUses } from './low-latency-calls.js';
import { everySequence, isLowLatencyRegion, type Options, planned } from './low-latency-model.js';
import type { Model, Mutation } from './model.js';
import { meetingName, orderOf } from './order.js';
import { programs } from './program.js';
import { survey } from './survey.js';

describe('a broken protocol is found out', () => {
  const whole = (numCalls: number): LowLatencyCall[] =>
    Array.from({ length: numCalls }, () => 'llDispatch' as const);
  const combines = (numCalls: number): LowLatencyCall[] =>
    Array.from({ length: numCalls }, () => 'llCombine' as const);
  const one: Options = { inFlight: 1 };
  const two: Options = { inFlight: 2 };
  const withCredit: Options = { inFlight: 1, hasCredit: true };
  const rewritten = 'll_recv: caller reads result → send writes rows';
  const refilled = 'll_output: pull reads rows → caller writes input';

  test.each<[string, Model, readonly LowLatencyCall[], string]>([
    [
      'one receive buffer fewer',
      planned(2, 1, { ...two, numLlRecvBuffers: 3 }),
      [...whole(4), 'llSend', 'llDispatch'],
      rewritten,
    ],
    [
      'one receive buffer fewer, one call in flight',
      planned(2, 1, { ...one, numLlRecvBuffers: 1 }),
      whole(3),
      rewritten,
    ],
    [
      'with credit, one receive buffer fewer',
      planned(2, 1, { ...two, hasCredit: true, numLlRecvBuffers: 1 }),
      whole(3),
      rewritten,
    ],
    [
      'one buffer of count words fewer',
      planned(2, 1, { ...two, numLlCountBuffers: 3 }),
      ['llDispatch', 'llSend', 'llDispatch', 'llReceive', 'llSend', 'llDispatch'],
      'll_counts: receive reads counts → send publishes counts',
    ],
    [
      'one output buffer fewer',
      planned(2, 1, { ...two, numLlOutputBuffers: 3, numLlReadyBuffers: 4 }),
      [...whole(2), ...combines(2), 'llPublish', 'llCombine', 'llPull', 'llPublish'],
      refilled,
    ],
    [
      'one buffer of ready words fewer',
      planned(2, 1, { ...two, numLlReadyBuffers: 3 }),
      [...whole(2), 'llCombine', 'llPublish', 'llCombine', 'llPull', 'llPublish', 'llCombine'],
      'll_ready: pull reads ready → publish writes ready',
    ],
    [
      'rows placed without the counts of lower ranks',
      planned(2, 1, { ...one, mutation: 'll: no count wait' }),
      whole(1),
      'll_counts: send publishes counts → send reads counts',
    ],
    [
      'a receive that awaits nothing',
      planned(2, 1, { ...one, mutation: 'll: no arrival wait' }),
      whole(2),
      'll_recv: send writes rows → caller reads result',
    ],
    [
      'counts read before the arrivals',
      planned(2, 1, { ...one, mutation: 'll: counts read before arrivals' }),
      whole(1),
      'll_counts: send publishes counts → receive reads counts',
    ],
    [
      'counts published after the arrivals',
      planned(2, 1, { ...one, mutation: 'll: counts published after arrivals' }),
      whole(1),
      'll_counts: send publishes counts → receive reads counts',
    ],
    [
      'arrivals posted before the rows',
      planned(2, 1, { ...one, mutation: 'll: arrival posted before rows' }),
      whole(1),
      'll_recv: send writes rows → caller reads result',
    ],
    [
      'rows sent without a credit',
      planned(2, 1, { ...withCredit, mutation: 'll: no credit wait' }),
      whole(2),
      rewritten,
    ],
    [
      'no ready wait',
      planned(2, 1, { ...one, mutation: 'll: no ready wait' }),
      [...whole(1), ...combines(1)],
      'll_output: caller writes input → pull reads rows',
    ],
    [
      'ready words awaited only where needed',
      planned(2, 1, { ...one, mutation: 'll: lazy ready words' }),
      [...whole(1), ...combines(4)],
      refilled,
    ],
    [
      'as many calls in flight as allowed, but any',
      planned(2, 1, { ...two, mutation: 'host: any calls of so many may be in flight' }),
      ['llSend', ...whole(4), 'llReceive'],
      'll_counts: receive reads counts → send publishes counts',
    ],
    [
      'as many combines in flight as allowed, but any',
      planned(2, 1, { ...two, mutation: 'host: any calls of so many may be in flight' }),
      [...whole(2), 'llCombine', 'llPublish', ...combines(3), 'llPull'],
      refilled,
    ],
    [
      'results that live for a call more',
      planned(2, 1, { ...one, mutation: 'host: results live for a call more' }),
      whole(4),
      rewritten,
    ],
    [
      'results sent on for a call more',
      planned(2, 1, { ...one, mutation: 'host: results are sent on for a call more' }),
      whole(4),
      'll_recv: send reads result → send writes rows',
    ],
    [
      'inputs given out before the pull',
      planned(2, 1, { ...one, mutation: 'host: inputs are given out before the pull' }),
      [...whole(1), ...combines(3), 'llPublish'],
      refilled,
    ],
    [
      'two combines of a handle in flight',
      planned(2, 1, { ...two, mutation: 'host: a handle may have two combines in flight' }),
      [...whole(2), 'llPublish', 'llCombine', 'llPull'],
      'll_handle: pull reads handle → publish writes handle',
    ],
  ])('%s', (_, model, calls, race) => {
    const built = programs(model, withUses(calls));
    expect([...orderOf(model, built).races.keys()]).toContain(race);
    expect(explore(built).violation).toBeDefined();
  });

  test.each<[string, Model, readonly LowLatencyCall[], string]>([
    [
      'credit words taken by relaxed loads',
      planned(2, 1, { ...withCredit, mutation: 'll: relaxed credit' }),
      whole(2),
      rewritten,
    ],
    [
      'credit words that release nothing',
      planned(2, 1, { ...withCredit, mutation: 'll: unreleased credit' }),
      whole(2),
      rewritten,
    ],
    [
      'rows sent without a proxy fence after the credit',
      planned(2, 1, { ...withCredit, mutation: 'll: no proxy fence after the credit' }),
      whole(2),
      rewritten,
    ],
    [
      'ready words that release nothing',
      planned(2, 1, { ...one, mutation: 'll: unreleased ready words' }),
      [...whole(1), ...combines(1)],
      'll_output: caller writes input → pull reads rows',
    ],
    [
      'rows pulled without a proxy fence',
      planned(2, 1, { ...one, mutation: 'll: no proxy fence before the pull' }),
      [...whole(1), ...combines(1)],
      'll_output: caller writes input → pull reads rows',
    ],
  ])('%s (only a memory model sees it, no interleaving does)', (_, model, calls, race) => {
    const built = programs(model, withUses(calls));
    expect([...orderOf(model, built).races.keys()]).toContain(race);
    expect(explore(built).violation).toBeUndefined();
  });

  test('one arrival counter for all sources: two calls of one pass for one call of two', () => {
    const calls: readonly LowLatencyCall[] = ['llSend', 'llSend', 'llReceive', 'llUse'];
    const model = planned(2, 1, two);
    expect(explore(programs(model, calls)).violation).toBeUndefined();
    const broken = { ...model, mutation: 'll: one arrival counter for all sources' } as const;
    expect(explore(programs(broken, calls)).violation).toBeDefined();
  });

  test('a credit of the destination alone would do: nobody else reads what a rank receives', () => {
    const mutation = 'll: credit of the destination only';
    const model = planned(3, 1, { inFlight: 2, hasCredit: true, mutation });
    expect([...survey(model, everySequence(6, model)).races]).toEqual([]);
  });
});

describe('each low-latency edge of the reuse table needs the wait that it names', () => {
  function mutationFor({ provenBy, later }: ReuseEdge, hasCredit: boolean): Mutation {
    switch (provenBy) {
      case 'll.counts':
        return 'll: no count wait';
      case 'll.started':
        return later === 'send reads started'
          ? 'll: credit read, not awaited'
          : 'll: relaxed credit';
      case 'll.arrivals':
        // A credit shows as much as arrivals do of all that a send writes again.
        return hasCredit ? 'll: no arrival and no credit wait' : 'll: no arrival wait';
      case 'll.ready':
        return 'll: no ready wait';
      case 'monotone counter':
        return 'll: arrivals awaited exactly';
      case 'host check':
        return 'host: a handle may have two combines in flight';
      case 'stream order':
        return 'no stream order';
      default:
        throw new RangeError(`provenBy: expected a low-latency wait, received ${provenBy}`);
    }
  }

  const edges = [false, true].flatMap((hasCredit) => {
    const model = planned(2, 1, { inFlight: 2, hasCredit });
    const table = reuseTable(model).filter(({ region }) => isLowLatencyRegion(region));
    return table.map((edge) => ({
      name: meetingName(edge),
      mutation: mutationFor(edge, hasCredit),
      hasCredit,
    }));
  });

  test.each(edges)('$name: $mutation, credit $hasCredit', ({ name, mutation, hasCredit }) => {
    const model = planned(2, 1, { inFlight: 2, hasCredit, mutation });
    const { races } = survey(model, everySequence(5, model));
    expect([...races.keys()]).toContain(name);
  });
});
