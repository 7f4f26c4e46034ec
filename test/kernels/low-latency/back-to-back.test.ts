import { describe, expect, test } from 'vitest';
import { buildSpec } from '../../support/built.js';
import {
  combineTokens,
  delayRank,
  dispatchTokens,
  drawOutputs,
  drawTokens,
  expectedRows,
  llOf,
  makeCalls,
  patterns,
  receivedFlaws,
  sumsFlaws,
} from '../../support/low-latency.js';
import { type LowLatencySpecName, lowLatencySpecs } from '../../support/low-latency-specs.js';
import { randomFrom } from '../../support/random.js';
import { unequalTokens } from '../../support/routing.js';

// Nobody waits on the host between calls, and ranks run ahead of each other as far as the calls let them.

describe.each([
  ['two ranks, hidden 64', 300],
  ['three ranks, one block of scales, fp8 both ways', 100],
  ['five ranks, top-6', 100],
  ['seven ranks, one channel', 80],
  ['eight ranks, hidden 16, four in flight', 80],
] as const satisfies readonly (readonly [LowLatencySpecName, number])[])('%s', (name, numPairs) => {
  test(`${numPairs} pairs without waiting, with other tokens, routing and numbers of channels each time`, async () => {
    const built = await buildSpec(lowLatencySpecs[name]);
    const { spec } = built;
    await using group = await built.open({ seed: 37, deadlineMs: 60_000 });
    const random = randomFrom(8, spec.ranks);
    const most = llOf(spec).maxTokensPerRank;
    const mostChannels = spec.channels.ll === 'chip' ? most : spec.channels.ll;
    const grid = () => ({ numChannels: 1 + random(mostChannels) });
    const flaws: Promise<string[]>[] = [];
    makeCalls(group, numPairs, (call) => {
      const inputs = drawTokens(spec, {
        ...{ seed: call, numTokens: unequalTokens(spec.ranks, most, call) },
        pattern: patterns[call % patterns.length]!,
      });
      if (random(3) === 0) delayRank(group, random(spec.ranks), random(300_000));
      const want = expectedRows(spec, inputs);
      const received = dispatchTokens(group, spec, inputs, grid);
      flaws.push(receivedFlaws(spec, `call ${call}`, received, want));
      const flight = { inputs, want, received, outputs: drawOutputs(spec, want, call) };
      const combined = combineTokens(group, spec, flight, grid);
      flaws.push(sumsFlaws(spec, `call ${call}`, combined, flight));
    });
    expect((await Promise.all(flaws)).flat()).toEqual([]);
  });
});
