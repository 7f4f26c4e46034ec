import { afterAll, beforeAll, describe, test } from 'vitest';
import type { Group } from '../../native/index.js';
import { type Built, buildSpec } from '../support/built.js';
import { drawInputs } from '../support/draw.js';
import {
  allRegions,
  type ExchangeOptions,
  expectExchange,
  poisonRegions,
  windowBases,
} from '../support/exchange.js';
import { mixedSpecs } from '../support/kernel-specs.js';
import type { RoutingPattern } from '../support/routing.js';

// What lies in memory from before: a pattern everywhere, then the rows of a large call under those of a small one.

const names = [
  'six ranks, all options of compact rows',
  'seven ranks, all options of slotted rows',
] as const;

describe.each(names)('%s', (name) => {
  let built: Built;
  let group: Group;
  let bases: bigint[];
  beforeAll(async () => {
    built = await buildSpec(mixedSpecs[name]);
    group = await built.open({ seed: 43 });
    bases = windowBases(group);
  });
  afterAll(() => group?.dispose());

  /** Every buffer of the windows, and where the ranks' next tensors will lie. */
  async function fillMemory(byte: number): Promise<void> {
    const numBytes = 2 ** 21;
    for (const rank of group.ranks) {
      rank.tensor('u8', [numBytes], new Uint8Array(numBytes).fill(byte)).dispose();
    }
    await poisonRegions(built, group, bases, allRegions, byte);
  }

  const callsOf = (spec: Built['spec']): readonly ExchangeOptions[] => [
    {},
    { withoutTopk: true },
    { numCached: 2 },
    ...(spec.ht.expertMajor ? [{ byExpert: true }] : []),
  ];

  test.each([
    ['NaNs', 0xff],
    ['large numbers', 0x7f],
    ['zeros', 0],
  ])('few tokens after as many as fit, in memory full of %s', async (_, byte) => {
    const { spec } = built;
    const { ranks, ht } = spec;
    const exchange = (
      pattern: RoutingPattern,
      numTokens: readonly number[],
      options: ExchangeOptions,
      numWorstTokens?: number,
    ) => {
      const inputs = drawInputs(spec, { seed: byte, pattern, numTokens }).map((input) =>
        numWorstTokens === undefined ? input : { ...input, numWorstTokens },
      );
      return expectExchange(built, group, bases, inputs, { ...options, keepsBuffers: true });
    };
    const most = group.ranks.map(() => ht.maxTokensPerRank);
    const few = group.ranks.map((_, r) => (r === 1 ? 1 : 0));
    const some = group.ranks.map((_, r) => 5 - Math.min(r, 5));
    for (const options of callsOf(spec)) {
      await fillMemory(byte);
      await exchange('distinct', most, options);
      await exchange('distinct', few, options);
      await exchange('someNone', some, options);
    }
    if (!ht.worstTokens) return;
    await fillMemory(byte);
    await exchange('distinct', most, {}, ranks * ht.maxTokensPerRank);
    await exchange('distinct', few, {}, 9);
    await exchange('someNone', some, { withoutTopk: true }, 30);
  });
});
