import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { stateOf } from '../../../native/group.js';
import type { Group, OpenGroupOptions } from '../../../native/index.js';
import { type Built, buildSpec } from '../../support/built.js';
import { poisonRegions, windowBases } from '../../support/exchange.js';
import {
  callHooks,
  combineTokens,
  delayRank,
  dispatchTokens,
  drawOutputs,
  drawTokens,
  expectedRows,
  expectLowLatency,
  type Flight,
  llOf,
  lowLatencyRegions,
  makeCalls,
  patterns,
  receivedFlaws,
  sumsFlaws,
  together,
} from '../../support/low-latency.js';
import { type LowLatencySpecName, lowLatencySpecs } from '../../support/low-latency-specs.js';
import { randomFrom } from '../../support/random.js';
import { unequalTokens } from '../../support/routing.js';

// In seconds, what `back-to-back`, `epochs`, `skew`, `stale` and `windows` try for minutes: without a credit and with one.

describe.each([
  ['two ranks, hidden 64', 200],
  ['five ranks, top-6', 60],
] as const satisfies readonly (readonly [LowLatencySpecName, number])[])('%s', (name, numPairs) => {
  let built: Built;
  let group: Group;
  let flaws: Promise<string[]>[];
  beforeAll(async () => {
    built = await buildSpec(lowLatencySpecs[name]);
  });
  afterEach(() => group?.dispose());

  async function open(options: OpenGroupOptions): Promise<void> {
    group = await built.open({ deadlineMs: 60_000, ...options });
    flaws = [];
  }

  type CallOptions = Parameters<typeof dispatchTokens>[3];

  function send(seed: number, options?: CallOptions): Flight {
    const { spec } = built;
    const numTokens = unequalTokens(spec.ranks, llOf(spec).maxTokensPerRank, seed);
    const pattern = patterns[seed % patterns.length]!;
    const inputs = drawTokens(spec, { seed, numTokens, pattern });
    const want = expectedRows(spec, inputs);
    const received = dispatchTokens(group, spec, inputs, options);
    return { inputs, want, received, outputs: drawOutputs(spec, want, seed) };
  }

  function check(what: string, { received, want }: Flight): void {
    flaws.push(receivedFlaws(built.spec, what, received, want));
  }

  function combine(what: string, flight: Flight, options?: CallOptions): void {
    const combined = combineTokens(group, built.spec, flight, options);
    flaws.push(sumsFlaws(built.spec, what, combined, flight));
  }

  test(`${numPairs} pairs without waiting, with other tokens, routing and numbers of channels each time, as epochs wrap around 2^32`, async () => {
    await open({ seed: 37 });
    await stateOf(group).call((raw) => raw.reset(2 ** 32 - 16));
    const { ranks, channels } = built.spec;
    const random = randomFrom(37, ranks);
    const most = channels.ll === 'chip' ? llOf(built.spec).maxTokensPerRank : channels.ll;
    const anyChannels = () => ({ numChannels: 1 + random(most) });
    makeCalls(group, numPairs, (call) => {
      if (random(3) === 0) delayRank(group, random(ranks), random(300_000));
      const flight = send(call, anyChannels);
      check(`call ${call}`, flight);
      combine(`call ${call}`, flight, anyChannels);
    });
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  });

  test('each rank in turn is far behind, then has yet to receive while the others combine', async () => {
    await open({ seed: 1 });
    const far = 5_000_000; // virtual ns; a call takes some thousands
    together(group, () => {
      for (const { index } of group.ranks) {
        delayRank(group, index, far);
        const flight = send(index, { returnRecvHook: true });
        delayRank(group, index, far);
        callHooks(flight.received);
        check(`rank ${index} is late`, flight);
        combine(`rank ${index} is late`, flight);
      }
    });
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  });

  test('two windows in turns, with hooks and without, ranks late at random', async () => {
    await open({ seed: 81, windows: 2 });
    const random = randomFrom(81, built.spec.ranks);
    makeCalls(group, 10, (round) => {
      delayRank(group, random(group.ranks.length), random(400_000));
      const returnRecvHook = round % 2 === 1;
      const flights = [0, 1].map((window) =>
        send(2 * round + window, { window, ...(window === 1 && { returnRecvHook }) }),
      );
      if (returnRecvHook) callHooks(flights[1]!.received);
      for (const window of [1, 0]) {
        check(`round ${round} window ${window}`, flights[window]!);
        combine(`round ${round} window ${window}`, flights[window]!);
      }
    });
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  });

  test('few tokens after as many as fit, in memory full of NaNs', async () => {
    await open({ seed: 43 });
    const { spec } = built;
    const numBytes = 2 ** 20;
    for (const rank of group.ranks) {
      rank.tensor('u8', [numBytes], new Uint8Array(numBytes).fill(0xff)).dispose();
    }
    await poisonRegions(built, group, windowBases(group), lowLatencyRegions, 0xff);
    const most = group.ranks.map(() => llOf(spec).maxTokensPerRank);
    const few = group.ranks.map((_, r) => (r === 1 ? 1 : 0));
    // Through all buffers, and as often again with fewer tokens.
    for (const [seed, numTokens] of [most, most, most, most, few, few, few, few].entries()) {
      const inputs = drawTokens(spec, { seed, numTokens, pattern: 'distinct' });
      await expectLowLatency(built, group, inputs, { keepsBuffers: true, hooks: seed % 2 === 1 });
    }
  });
});
