import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SpecInput } from '../../generator/spec.js';
import type { Group } from '../../native/index.js';
import { type Built, buildSpec } from '../support/built.js';
import { drawInputs } from '../support/draw.js';
import {
  dispatchCall,
  type ExchangeOptions,
  expectExchange,
  windowBases,
} from '../support/exchange.js';
import { type RoutingPattern, unequalTokens } from '../support/routing.js';

// Every type that combine sums, with biases and top-k weights, bit for bit.

const specs: Readonly<Record<string, SpecInput>> = {
  'bf16 to f32, a row in two pieces, 2 biases, top-5': {
    ...{ ranks: 3, hidden: 2888, experts: 9, topk: 5, combineDtype: 'f32' },
    ht: { maxTokensPerRank: 33, combineWeights: true, biases: 2 },
    channels: { memory: { count: 3 } },
  },
  'f16 both ways, 1 bias, top-6': {
    ...{ ranks: 4, hidden: 72, experts: 12, topk: 6, dtype: 'f16', combineDtype: 'f16' },
    ht: { maxTokensPerRank: 33, combineWeights: true, biases: 1 },
    channels: { memory: { count: 3 } },
  },
  'bf16 both ways, 2 biases, top-4 of 8 ranks': {
    ...{ ranks: 8, hidden: 64, experts: 16, topk: 4 },
    ht: { maxTokensPerRank: 33, combineWeights: true, biases: 2 },
    channels: { memory: { count: 3 } },
  },
  'bf16 to f32, rows of 64 KiB, top-32': {
    ...{ ranks: 2, hidden: 16384, experts: 64, topk: 32, combineDtype: 'f32' },
    ht: { maxTokensPerRank: 5, combineWeights: true },
    channels: { memory: { count: 3 } },
  },
};

describe.each(Object.entries(specs))('%s', (_, input) => {
  let built: Built;
  let group: Group;
  let bases: bigint[];
  beforeAll(async () => {
    built = await buildSpec(input);
    group = await built.open({ seed: 21 });
    bases = windowBases(group);
  });
  afterAll(() => group?.dispose());

  const maxTokens = () => built.spec.ht.maxTokensPerRank;
  const everyRank = (numTokens: number) => group.ranks.map(() => numTokens);

  function check(
    options: ExchangeOptions,
    numTokens: readonly number[] = everyRank(maxTokens()),
    pattern: RoutingPattern = 'distinct',
  ): Promise<void> {
    const inputs = drawInputs(built.spec, { seed: options.seed ?? 1, numTokens, pattern });
    return expectExchange(built, group, bases, inputs, options);
  }

  test('the maximum of tokens, weights in place of those received, all biases', () =>
    check({ weightsFrom: 'received' }));

  test('unequal tokens, none on one rank, rows and weights of tensors', () =>
    check({ combineFrom: 'tensor' }, unequalTokens(built.spec.ranks, maxTokens(), 4)));

  test('one bias', () => check({ numBiases: Math.min(1, built.spec.ht.biases) }, everyRank(3)));

  test('calls with weights and biases and calls without them follow each other', async () => {
    const { dtype, combineDtype } = built.spec;
    const combineFrom = dtype === combineDtype ? 'received' : 'window';
    for (const [seed, combineWeights] of [false, true, false, true].entries()) {
      const numBiases = combineWeights ? built.spec.ht.biases : 0;
      await check({ seed, combineFrom, combineWeights, numBiases }, everyRank(4));
    }
  });

  test.each(['duplicates', 'someNone', 'allNone', 'oneRank', 'noneToSelf'] as const)(
    'routing %s: a token that went nowhere gets its biases, and weights of 0',
    (pattern) => check({ weightsFrom: 'received' }, everyRank(5), pattern),
  );

  test('no token on any rank', () => check({}, everyRank(0)));

  test('tokens of one rank only', () =>
    check(
      { weightsFrom: 'received' },
      group.ranks.map((_, r) => (r === 0 ? 4 : 0)),
    ));

  test('any number of channels at once gives the same bits', async () => {
    for (const numChannels of [1, 2, 3]) await check({ numChannels });
  });

  test('a call without weights gives null for them', async () => {
    const inputs = drawInputs(built.spec, {
      seed: 1,
      numTokens: everyRank(1),
      pattern: 'distinct',
    });
    const received = await group.dispatch(
      group.ranks.map((rank, r) => dispatchCall(rank, built.spec, inputs[r]!)) as never,
    );
    const combined = await group.combine(
      received.map(({ handle }, r) => ({ x: group.ranks[r]!.combineInput(handle), handle })),
    );
    for (const result of combined) expect(result).toMatchObject({ topkWeights: null });
  });
});
