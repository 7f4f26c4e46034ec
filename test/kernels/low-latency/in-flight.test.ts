import { beforeAll, describe, expect, test } from 'vitest';
import type { Group } from '../../../native/index.js';
import { type Built, buildSpec } from '../../support/built.js';
import {
  callHooks,
  codeOf,
  combineTokens,
  delayRank,
  dispatchTokens,
  drawOutputs,
  drawTokens,
  expectedRows,
  type Flight,
  llOf,
  makeCalls,
  receivedFlaws,
  sumsFlaws,
} from '../../support/low-latency.js';
import { type LowLatencySpecName, lowLatencySpecs } from '../../support/low-latency-specs.js';
import { type Random, randomFrom } from '../../support/random.js';
import { unequalTokens } from '../../support/routing.js';

// As many calls under way as the spec says, with a credit and without, and results that live as long as it says.

describe.each([
  ['one rank, one vector of hidden, top-1', '1 without credit'],
  ['three ranks, one block of scales, fp8 both ways', '1 with credit'],
  ['seven ranks, one channel', '1 without credit'],
  ['two ranks, hidden 64', '2 without credit'],
  ['five ranks, top-6', '2 with credit'],
  ['eight ranks, hidden 16, four in flight', '4 without credit'],
  ['two ranks, top-32, UE8M0, fp8 both ways', '4 with credit'],
] as const satisfies readonly (readonly [LowLatencySpecName, string])[])('%s: %s', (name) => {
  let built: Built;
  let inFlight: number;
  beforeAll(async () => {
    built = await buildSpec(lowLatencySpecs[name]);
    inFlight = llOf(built.spec).inFlight;
  });

  /** Top-32 of random numbers take a while to model. */
  const numRounds = name.includes('top-32') ? 2 : 6;

  function send(group: Group, seed: number, hooks: boolean): Flight {
    const { spec } = built;
    const numTokens = unequalTokens(spec.ranks, llOf(spec).maxTokensPerRank, seed);
    const inputs = drawTokens(spec, { seed, numTokens, pattern: 'distinct' });
    const want = expectedRows(spec, inputs);
    const received = dispatchTokens(group, spec, inputs, { returnRecvHook: hooks });
    return { inputs, want, received, outputs: drawOutputs(spec, want, seed) };
  }

  function late(group: Group, random: Random): void {
    if (random(2) === 0) delayRank(group, random(group.ranks.length), random(2_000_000));
  }

  const range = (length: number) => Array.from({ length }, (_, i) => i);

  test.each([
    ['in the order of the sends', (i: number) => i],
    ['in the opposite order', (i: number) => -i],
  ])('that many sends, then their receives %s, ranks late in between', async (_, key) => {
    const { spec } = built;
    await using group = await built.open({ seed: 51, deadlineMs: 60_000 });
    const random = randomFrom(51, spec.ranks);
    const flaws: Promise<string[]>[] = [];
    makeCalls(group, numRounds, (round) => {
      const flights = range(inFlight).map((i) => {
        late(group, random);
        return send(group, round * inFlight + i, true);
      });
      const order = range(inFlight).sort((a, b) => key(a) - key(b));
      for (const i of order) {
        late(group, random);
        callHooks(flights[i]!.received);
      }
      for (const [i, { received, want }] of flights.entries()) {
        flaws.push(receivedFlaws(spec, `round ${round} dispatch ${i}`, received, want));
      }
      const sums = flights.map((flight) => {
        late(group, random);
        return combineTokens(group, spec, flight, { returnRecvHook: true });
      });
      for (const i of order) {
        late(group, random);
        callHooks(sums[i]!);
        flaws.push(sumsFlaws(spec, `round ${round} combine ${i}`, sums[i]!, flights[i]!));
      }
    });
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  });

  test('a pipeline that is always full: each receive makes room for one send', async () => {
    const { spec } = built;
    await using group = await built.open({ seed: 52, deadlineMs: 60_000 });
    const random = randomFrom(52, spec.ranks);
    const flaws: Promise<string[]>[] = [];
    const sent: Flight[] = [];
    const summing: [Flight, ReturnType<typeof combineTokens>][] = [];
    makeCalls(group, 3 * inFlight + numRounds, (call) => {
      late(group, random);
      if (sent.length === inFlight) {
        const flight = sent.shift()!;
        callHooks(flight.received);
        flaws.push(receivedFlaws(spec, `call ${call}`, flight.received, flight.want));
        if (summing.length === inFlight) {
          const [of, combined] = summing.shift()!;
          callHooks(combined);
          flaws.push(sumsFlaws(spec, `call ${call}`, combined, of));
        }
        late(group, random);
        summing.push([flight, combineTokens(group, spec, flight, { returnRecvHook: true })]);
      }
      sent.push(send(group, call, true));
    });
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  });

  test('one more send than that is refused, by name of the option, and nothing is lost', async () => {
    const { spec } = built;
    await using group = await built.open({ seed: 53, deadlineMs: 60_000 });
    const flights = range(inFlight).map((i) => send(group, i, true));
    expect(() => send(group, 90, true)).toThrow(/ll\.inFlight/);
    expect(() => send(group, 90, false)).toThrow(/ll\.inFlight/);
    for (const { received } of flights) callHooks(received);
    const sums = flights.map((flight) => ({
      flight,
      combined: combineTokens(group, spec, flight, { returnRecvHook: true }),
    }));
    expect(() => combineTokens(group, spec, flights[0]!, {})).toThrow(/ll\.inFlight|in flight/);
    const flaws = flights.map(({ received, want }, i) =>
      receivedFlaws(spec, `dispatch ${i}`, received, want),
    );
    for (const [i, { flight, combined }] of sums.entries()) {
      callHooks(combined);
      flaws.push(sumsFlaws(spec, `combine ${i}`, combined, flight));
    }
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  });

  test('results live until that many more dispatches were enqueued, and are stale from then on', async () => {
    const { spec } = built;
    await using group = await built.open({ seed: 54, deadlineMs: 60_000 });
    const first = send(group, 0, false);
    const flaws: Promise<string[]>[] = [];
    for (let call = 1; call < inFlight; call++) {
      const next = send(group, call, false);
      flaws.push(receivedFlaws(spec, `next ${call}`, next.received, next.want));
    }
    flaws.push(receivedFlaws(spec, 'first', first.received, first.want));
    send(group, inFlight, false);
    for (const { x, handle } of first.received) {
      expect(await codeOf(() => x.toArray())).toBe('EPGEN_STALE');
      expect(await codeOf(() => handle.srcInfo())).toBe('EPGEN_STALE');
    }
    // Slots and counts are the handle's own: a combine of it still goes.
    const combined = combineTokens(group, spec, first);
    flaws.push(sumsFlaws(spec, 'first', combined, first));
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  });
});
