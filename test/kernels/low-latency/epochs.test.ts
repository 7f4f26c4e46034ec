import { describe, expect, test } from 'vitest';
import { stateOf } from '../../../native/group.js';
import { buildSpec } from '../../support/built.js';
import {
  callHooks,
  combineTokens,
  delayRank,
  dispatchTokens,
  drawOutputs,
  drawTokens,
  expectedRows,
  llOf,
  makeCalls,
  receivedFlaws,
  sumsFlaws,
} from '../../support/low-latency.js';
import { type LowLatencySpecName, lowLatencySpecs } from '../../support/low-latency-specs.js';
import { randomFrom } from '../../support/random.js';
import { unequalTokens } from '../../support/routing.js';

describe.each([
  'one rank, one vector of hidden, top-1',
  'two ranks, hidden 64',
  'three ranks, one block of scales, fp8 both ways',
  'five ranks, top-6',
  'eight ranks, hidden 16, four in flight',
] as const satisfies readonly LowLatencySpecName[])('%s', (name) => {
  test.each([2 ** 32 - 8, 2 ** 31 - 8, 2 ** 32 - 16])(
    'epochs go on from %i, ranks running ahead of each other',
    async (epoch) => {
      const built = await buildSpec(lowLatencySpecs[name]);
      const { spec } = built;
      await using group = await built.open({ seed: 67, deadlineMs: 60_000 });
      await stateOf(group).call((raw) => raw.reset(epoch));
      const random = randomFrom(67, spec.ranks);
      const flaws: Promise<string[]>[] = [];
      makeCalls(group, 20, (call) => {
        delayRank(group, random(spec.ranks), random(500_000));
        const numTokens = unequalTokens(spec.ranks, llOf(spec).maxTokensPerRank, call);
        const inputs = drawTokens(spec, { seed: call, numTokens, pattern: 'distinct' });
        const want = expectedRows(spec, inputs);
        const options = { returnRecvHook: call % 3 === 1 };
        const received = dispatchTokens(group, spec, inputs, options);
        if (options.returnRecvHook) callHooks(received);
        flaws.push(receivedFlaws(spec, `call ${call}`, received, want));
        // Dispatches and combines need not wrap together.
        if (call % 5 === 4) return;
        const flight = { inputs, want, received, outputs: drawOutputs(spec, want, call) };
        const combined = combineTokens(group, spec, flight, options);
        if (options.returnRecvHook) callHooks(combined);
        flaws.push(sumsFlaws(spec, `call ${call}`, combined, flight));
      });
      expect((await Promise.all(flaws)).flat()).toEqual([]);
    },
  );
});
