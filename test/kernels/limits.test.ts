import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EpgenArgumentError, type Group } from '../../native/index.js';
import { type Built, buildSpec } from '../support/built.js';
import { drawInputs } from '../support/draw.js';
import { dispatchCall, expectExchange, launches, windowBases } from '../support/exchange.js';
import { mixedSpecs } from '../support/kernel-specs.js';
import { type RoutingPattern, routingPatterns, unequalTokens } from '../support/routing.js';

// Sizes, numbers of tokens and routings at their limits, both ways, with options of all kinds.

describe.each(Object.entries(mixedSpecs))('%s', (_, input) => {
  let built: Built;
  let group: Group;
  beforeAll(async () => {
    built = await buildSpec(input);
    group = await built.open({ seed: 53 });
  });
  afterAll(() => group?.dispose());

  const everyRank = (numTokens: number) => group.ranks.map(() => numTokens);
  const check = (pattern: RoutingPattern, numTokens: readonly number[]) => {
    const inputs = drawInputs(built.spec, { seed: numTokens.length, numTokens, pattern });
    return expectExchange(built, group, windowBases(group), inputs, {
      byExpert: built.spec.ht.expertMajor,
    });
  };

  test('as many tokens as fit', () => check('distinct', everyRank(built.spec.ht.maxTokensPerRank)));

  test('as many on one rank, none on another', () =>
    check('someNone', unequalTokens(built.spec.ranks, built.spec.ht.maxTokensPerRank, 2)));

  test('one token of one rank', () =>
    check(
      'distinct',
      everyRank(0).map((_, r) => (r === 1 ? 1 : 0)),
    ));

  test.each(Object.keys(routingPatterns) as RoutingPattern[])('routing %s', (pattern) =>
    check(pattern, everyRank(3)),
  );

  test('one token more is refused on all ranks, whoever has it, with the maximum and the way out', async () => {
    const { maxTokensPerRank } = built.spec.ht;
    const numTokens = everyRank(1).with(-1, maxTokensPerRank + 1);
    const inputs = drawInputs(built.spec, { seed: 1, numTokens, pattern: 'oneExpert' });
    const before = launches(group);
    const failure = group.dispatch(
      group.ranks.map((rank, r) => dispatchCall(rank, built.spec, inputs[r]!)) as never,
    );
    await expect(failure).rejects.toBeInstanceOf(EpgenArgumentError);
    await expect(failure).rejects.toThrow(
      `at most ${maxTokensPerRank} tokens but received ${maxTokensPerRank + 1}\nRaise ht.maxTokensPerRank`,
    );
    expect(launches(group)).toEqual(before);
  });
});
