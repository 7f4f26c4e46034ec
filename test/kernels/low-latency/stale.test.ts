import { afterAll, beforeAll, describe, test } from 'vitest';
import type { Group } from '../../../native/index.js';
import { type Built, buildSpec } from '../../support/built.js';
import { poisonRegions, windowBases } from '../../support/exchange.js';
import {
  drawTokens,
  expectLowLatency,
  llOf,
  lowLatencyRegions,
} from '../../support/low-latency.js';
import { type LowLatencySpecName, lowLatencySpecs } from '../../support/low-latency-specs.js';
import type { RoutingPattern } from '../../support/routing.js';

// What lies in memory from before: a pattern everywhere, then the rows of a large call under those of a small one.

const names = [
  'one rank, one vector of hidden, top-1',
  'two ranks, hidden 64',
  'three ranks, one block of scales, fp8 both ways',
  'six ranks, rounded scales in rows, combined as fp8',
] as const satisfies readonly LowLatencySpecName[];

describe.each(names)('%s', (name) => {
  let built: Built;
  let group: Group;
  beforeAll(async () => {
    built = await buildSpec(lowLatencySpecs[name]);
    group = await built.open({ seed: 43 });
  });
  afterAll(() => group?.dispose());

  test.each([
    ['NaNs', 0xff],
    ['large numbers', 0x7f],
    ['zeros', 0],
  ])('few tokens after as many as fit, in memory full of %s', async (_, byte) => {
    const { spec } = built;
    const numBytes = 2 ** 20;
    for (const rank of group.ranks) {
      rank.tensor('u8', [numBytes], new Uint8Array(numBytes).fill(byte)).dispose();
    }
    await poisonRegions(built, group, windowBases(group), lowLatencyRegions, byte);
    const exchange = async (
      pattern: RoutingPattern,
      numTokens: readonly number[],
      seed: number,
    ) => {
      const inputs = drawTokens(spec, { seed, pattern, numTokens });
      await expectLowLatency(built, group, inputs, { keepsBuffers: true, hooks: seed % 2 === 1 });
    };
    const most = group.ranks.map(() => llOf(spec).maxTokensPerRank);
    // Through all buffers, and as often again with fewer tokens.
    for (let seed = 0; seed < 8; seed++) await exchange('distinct', most, seed);
    const few = group.ranks.map((_, r) => (r === 1 ? 1 : 0));
    const some = group.ranks.map((_, r) => 3 - Math.min(r, 3));
    for (let seed = 8; seed < 12; seed++) {
      await exchange('distinct', few, seed);
      await exchange('someNone', some, seed);
      await exchange('allNone', most, seed);
    }
  });
});
