import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Group } from '../../../native/index.js';
import { type Built, buildSpec } from '../../support/built.js';
import {
  callHooks,
  combineTokens,
  delayRank,
  dispatchTokens,
  drawOutputs,
  drawTokens,
  expectedRows,
  type Flight,
  llOf,
  makeCalls,
  patterns,
  receivedFlaws,
  sumsFlaws,
} from '../../support/low-latency.js';
import { lowLatencySpecs } from '../../support/low-latency-specs.js';
import { randomFrom } from '../../support/random.js';
import { unequalTokens } from '../../support/routing.js';

// Several windows in one group, calls on streams of their own, several groups in one process.

let group: Group | undefined;
afterEach(async () => {
  await group?.dispose();
  group = undefined;
});

function send(built: Built, of: Group, seed: number, options: object): Flight {
  const { spec } = built;
  const numTokens = unequalTokens(spec.ranks, llOf(spec).maxTokensPerRank, seed);
  const pattern = patterns[seed % patterns.length]!;
  const inputs = drawTokens(spec, { seed, numTokens, pattern });
  const want = expectedRows(spec, inputs);
  const received = dispatchTokens(of, spec, inputs, options);
  return { inputs, want, received, outputs: drawOutputs(spec, want, seed) };
}

describe.each(['two ranks, hidden 64', 'five ranks, top-6'] as const)('%s', (name) => {
  let built: Built;
  beforeAll(async () => {
    built = await buildSpec(lowLatencySpecs[name]);
  });

  test('three windows in turns, with hooks and without, ranks late at random', async () => {
    const { spec } = built;
    const of = await built.open({ seed: 81, windows: 3, deadlineMs: 60_000 });
    group = of;
    const random = randomFrom(81, spec.ranks);
    const flaws: Promise<string[]>[] = [];
    makeCalls(of, 20, (round) => {
      delayRank(of, random(spec.ranks), random(400_000));
      const hooks = [0, 1, 2].map(() => random(2) === 0);
      const flights = hooks.map((returnRecvHook, window) =>
        send(built, of, 3 * round + window, { window, returnRecvHook }),
      );
      for (const window of [2, 0, 1]) {
        const flight = flights[window]!;
        if (hooks[window]) callHooks(flight.received);
        const what = `round ${round} window ${window}`;
        flaws.push(receivedFlaws(spec, what, flight.received, flight.want));
        flaws.push(sumsFlaws(spec, what, combineTokens(of, spec, flight), flight));
      }
    });
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  });

  test('asyncFinish: calls of two windows run beside each other and beside the ranks’ own work', async () => {
    const { spec } = built;
    group = await built.open({ seed: 82, windows: 2, deadlineMs: 60_000 });
    const of = group;
    const random = randomFrom(82, spec.ranks);
    const flaws: Promise<string[]>[] = [];
    makeCalls(of, 25, (round) => {
      const flights = [0, 1].map((window) => {
        delayRank(of, random(spec.ranks), random(300_000), 1 + window);
        return send(built, of, 2 * round + window, { window, asyncFinish: true });
      });
      for (const [window, flight] of flights.entries()) {
        const what = `round ${round} window ${window}`;
        flaws.push(receivedFlaws(spec, what, flight.received, flight.want));
        const combined = combineTokens(of, spec, flight, (r) => ({
          asyncFinish: true,
          previousEvent: flight.received[r]!.event,
        }));
        flaws.push(sumsFlaws(spec, what, combined, flight));
        combined.forEach(({ event }, r) => {
          expect(event).not.toBe(null);
          of.ranks[r]!.wait(event!);
        });
      }
    });
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  });

  test('calls on a stream of one’s own', async () => {
    const { spec } = built;
    group = await built.open({ seed: 83, deadlineMs: 60_000 });
    const streams = group.ranks.map((rank) => rank.createStream());
    const flaws: Promise<string[]>[] = [];
    for (let round = 0; round < 10; round++) {
      const stream = (r: number) => ({ stream: streams[r] });
      const hooks = round % 2 === 1;
      const flight = send(built, group, round, (r: number) => ({
        ...stream(r),
        returnRecvHook: hooks,
      }));
      if (hooks) callHooks(flight.received);
      flaws.push(receivedFlaws(spec, `round ${round}`, flight.received, flight.want));
      const combined = combineTokens(group, spec, flight, stream);
      flaws.push(sumsFlaws(spec, `round ${round}`, combined, flight));
    }
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  });
});

test('two groups of one spec, and one of another, in one process', async () => {
  const [two, five] = await Promise.all([
    buildSpec(lowLatencySpecs['two ranks, hidden 64']),
    buildSpec(lowLatencySpecs['five ranks, top-6']),
  ]);
  await using first = await two.open({ seed: 84 });
  await using second = await two.open({ seed: 85 });
  await using third = await five.open({ seed: 86 });
  const flaws: Promise<string[]>[] = [];
  for (let round = 0; round < 8; round++) {
    for (const [i, [built, of]] of (
      [
        [two, first],
        [two, second],
        [five, third],
      ] as const
    ).entries()) {
      const flight = send(built, of, 3 * round + i, {});
      const what = `round ${round} group ${i}`;
      flaws.push(receivedFlaws(built.spec, what, flight.received, flight.want));
      const combined = combineTokens(of, built.spec, flight);
      flaws.push(sumsFlaws(built.spec, what, combined, flight));
    }
  }
  expect((await Promise.all(flaws)).flat()).toEqual([]);
});
