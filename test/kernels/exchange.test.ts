import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Group } from '../../native/index.js';
import { type Built, buildSpec } from '../support/built.js';
import { expectExchange, launches, windowBases } from '../support/exchange.js';
import { kernelSpecs } from '../support/kernel-specs.js';
import { dispatchInputs, type RoutingPattern, unequalTokens } from '../support/routing.js';

describe.each(Object.entries(kernelSpecs))('%s', (_, input) => {
  let built: Built;
  let group: Group;
  let bases: bigint[];

  beforeAll(async () => {
    built = await buildSpec(input);
    group = await built.open({ seed: 11 });
    bases = windowBases(group);
  });
  afterAll(() => group?.dispose());

  const inputs = (pattern: RoutingPattern, numTokens: readonly number[], seed = 5) => {
    const { ranks, experts, topk, hidden } = built.spec;
    return dispatchInputs({ ranks, experts, topk, hidden, seed, numTokens, pattern });
  };
  const everyRank = (numTokens: number) =>
    Array.from({ length: built.spec.ranks }, () => numTokens);
  const maxTokens = () => built.spec.ht.maxTokensPerRank;

  test('the maximum of tokens, distinct experts', async () => {
    await expectExchange(built, group, bases, inputs('distinct', everyRank(maxTokens())));
  });

  test('unequal tokens, none on one rank, combined from received rows in place', async () => {
    const numTokens = unequalTokens(built.spec.ranks, maxTokens(), 3);
    await expectExchange(built, group, bases, inputs('someNone', numTokens), {
      combineFrom: 'received',
    });
  });

  test('no token on any rank', async () => {
    await expectExchange(built, group, bases, inputs('distinct', everyRank(0)));
  });

  test.each([1, 31, 32, 33])(
    '%i tokens a rank, duplicate experts, combined from a tensor',
    async (numTokens) => {
      await expectExchange(
        built,
        group,
        bases,
        inputs('duplicates', everyRank(numTokens), numTokens),
        {
          combineFrom: 'tensor',
        },
      );
    },
  );

  test.each(['allNone', 'oneRank', 'oneExpert', 'noneToSelf'] as const)(
    'routing %s',
    async (pattern) => {
      await expectExchange(built, group, bases, inputs(pattern, everyRank(9)));
    },
  );

  test('any number of channels at once gives the same bytes', async () => {
    const call = inputs('distinct', unequalTokens(built.spec.ranks, maxTokens(), 9), 9);
    const count = built.spec.channels.memory.count;
    for (const numChannels of new Set([1, Math.ceil(count / 2), count])) {
      await expectExchange(built, group, bases, call, { numChannels });
    }
  });

  test('the addon counted the launches', () => {
    const counts = launches(group);
    expect(counts).toHaveLength(built.spec.ranks);
    for (const { dispatch, combine } of counts) {
      expect(dispatch).toBeGreaterThan(10);
      expect(combine).toBe(dispatch);
    }
  });
});
