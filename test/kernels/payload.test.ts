import { afterAll, beforeAll, describe, test } from 'vitest';
import type { SpecInput } from '../../generator/spec.js';
import type { Group } from '../../native/index.js';
import { type Built, buildSpec } from '../support/built.js';
import { drawInputs } from '../support/draw.js';
import { type ExchangeOptions, expectExchange, windowBases } from '../support/exchange.js';
import { type RoutingPattern, unequalTokens } from '../support/routing.js';

// Rows of every type with all that can travel beside them, routed by choices of either width and by layouts.

const specs: Readonly<Record<string, SpecInput>> = {
  'fp8, f32 scales in rows, the last block cut short, extras, i32 choices': {
    ...{ ranks: 3, hidden: 1040, experts: 9, topk: 4, topkIdx: 'i32' },
    ...{ dtype: 'fp8_e4m3', extraBytes: 12 },
    ht: { maxTokensPerRank: 70, withoutTopk: true },
    channels: { memory: { count: 3 } },
  },
  'fp8, packed scales in columns, extras of one word': {
    ...{ ranks: 2, hidden: 1024, experts: 6, topk: 3, extraBytes: 4 },
    ...{ dtype: 'fp8_e4m3', scaleBlock: 64, scaleDtype: 'ue8m0', scaleLayout: 'column' },
    ht: { maxTokensPerRank: 69, withoutTopk: true },
    channels: { memory: { count: 2 } },
  },
  'fp8, 56 f32 scales in columns, 8 ranks, i32 choices': {
    ...{ ranks: 8, hidden: 7168, experts: 256, topk: 8, topkIdx: 'i32' },
    ...{ dtype: 'fp8_e4m3', scaleLayout: 'column' },
    ht: { maxTokensPerRank: 33 },
    channels: { memory: { count: 5 } },
  },
  'bytes with extras of more words than a warp has lanes': {
    ...{ ranks: 4, hidden: 208, experts: 8, topk: 5, dtype: 'u8', extraBytes: 132 },
    ht: { maxTokensPerRank: 65, withoutTopk: true },
    channels: { memory: { count: 3 } },
  },
  'f16, one rank, i32 choices': {
    ...{ ranks: 1, hidden: 24, experts: 4, topk: 2, dtype: 'f16', topkIdx: 'i32' },
    ht: { maxTokensPerRank: 40, withoutTopk: true },
    channels: { memory: { count: 1 } },
  },
};

describe.each(Object.entries(specs))('%s', (_, input) => {
  let built: Built;
  let group: Group;
  let bases: bigint[];
  beforeAll(async () => {
    built = await buildSpec(input);
    group = await built.open({ seed: 31 });
    bases = windowBases(group);
  });
  afterAll(() => group?.dispose());

  const maxTokens = () => built.spec.ht.maxTokensPerRank;
  const everyRank = (numTokens: number) => group.ranks.map(() => numTokens);

  function check(
    pattern: RoutingPattern,
    numTokens: readonly number[],
    options: ExchangeOptions = {},
  ): Promise<void> {
    const seed = numTokens.length + (numTokens[0] ?? 0);
    const inputs = drawInputs(built.spec, { seed, numTokens, pattern });
    return expectExchange(built, group, bases, inputs, options);
  }

  const routings = typeof input.ht === 'object' && input.ht.withoutTopk ? [false, true] : [false];
  describe.each(routings)('without top-k: %s', (withoutTopk) => {
    test('the maximum of tokens, distinct experts', () =>
      check('distinct', everyRank(maxTokens()), { withoutTopk }));
    test('unequal tokens, none on one rank, some choices of none', () =>
      check('someNone', unequalTokens(built.spec.ranks, maxTokens(), 3), { withoutTopk }));
    test('no token on any rank', () => check('distinct', everyRank(0), { withoutTopk }));
    test.each([1, 31, 32, 33])('%i tokens a rank, duplicate experts', (numTokens) =>
      check('duplicates', everyRank(numTokens), { withoutTopk }),
    );
    test.each(['allNone', 'oneRank', 'oneExpert', 'noneToSelf'] as const)('routing %s', (pattern) =>
      check(pattern, everyRank(9), { withoutTopk }),
    );
    test('any number of channels at once gives the same bytes', async () => {
      for (const numChannels of new Set([1, built.spec.channels.memory.count])) {
        await check('distinct', unequalTokens(built.spec.ranks, maxTokens(), 9), {
          withoutTopk,
          numChannels,
        });
      }
    });
  });
});
