import { beforeAll, describe, expect, test } from 'vitest';
import type { SpecInput } from '../../../generator/spec.js';
import type { Group } from '../../../native/index.js';
import type { DispatchInput } from '../../../native/reference/index.js';
import type { Built } from '../../support/built.js';
import { difference, dispatchCall } from '../../support/exchange.js';
import { kernelSpecs } from '../../support/kernel-specs.js';
import { unequalTokens } from '../../support/routing.js';
import { buildSpec } from '../harness/built.js';
import { gpuSpec, inputsOf, rankCounts } from '../support/gpu-specs.js';

const pieces = 'two ranks, one row in several pieces';
const specs: Readonly<Record<string, SpecInput>> = {
  ...Object.fromEntries(rankCounts.map((ranks) => [`${ranks} ranks`, gpuSpec(ranks)])),
  [pieces]: kernelSpecs[pieces]!,
};

/** Everything that a dispatch and a combine give, by name. */
async function resultsOf(group: Group, built: Built, inputs: readonly DispatchInput[]) {
  const received = await group.dispatch(
    group.ranks.map((rank, r) => dispatchCall(rank, built.spec, inputs[r]!)),
  );
  const results: Record<string, ArrayLike<number | bigint>> = {};
  for (const [r, { handle, ...got }] of received.entries()) {
    results[`rank ${r} x`] = await got.x.toArray();
    results[`rank ${r} topkIdx`] = await got.topkIdx.toArray();
    const weights = await got.topkWeights.toArray();
    results[`rank ${r} topkWeights`] = new Uint32Array(weights.slice().buffer);
    results[`rank ${r} srcIdx`] = await got.srcIdx.toArray();
    results[`rank ${r} numTokensPerExpert`] = got.numTokensPerExpert;
    results[`rank ${r} slot`] = await handle.slot();
    results[`rank ${r} rankPrefixMatrix`] = await handle.rankPrefixMatrix();
    results[`rank ${r} channelPrefixMatrix`] = await handle.channelPrefixMatrix();
    results[`rank ${r} recvChannelPrefixMatrix`] = await handle.recvChannelPrefixMatrix();
  }
  const combined = await group.combine(received.map(({ x, handle }) => ({ x, handle })));
  for (const [r, { x }] of combined.entries()) results[`rank ${r} combined`] = await x.toArray();
  return results;
}

describe.each(Object.entries(specs))('%s', (_, input) => {
  let built: Built;
  beforeAll(async () => {
    built = await buildSpec(input, { backends: ['cpu', 'cuda'] });
  });

  test.each(['distinct', 'duplicates', 'someNone', 'oneExpert'] as const)(
    'cpu and this backend give the same bytes for routing %s',
    async (pattern) => {
      await using cpu = await built.open({ backend: 'cpu', seed: 5 });
      await using group = await built.open();
      const { ranks, ht } = built.spec;
      const numTokens = unequalTokens(ranks, ht.maxTokensPerRank, 21);
      const inputs = inputsOf(built.spec, pattern, 31, numTokens);
      const want = await resultsOf(cpu, built, inputs);
      const got = await resultsOf(group, built, inputs);
      expect(Object.keys(got)).toEqual(Object.keys(want));
      expect(
        Object.entries(want)
          .map(([name, values]) => difference(name, 1, got[name]!, values))
          .filter(Boolean),
      ).toEqual([]);
    },
  );
});
