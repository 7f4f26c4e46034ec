import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SpecInput } from '../../generator/spec.js';
import { EpgenArgumentError, type Group } from '../../native/index.js';
import { type Built, buildSpec } from '../support/built.js';
import { drawInputs } from '../support/draw.js';
import {
  dispatchByTopk,
  dispatchCall,
  expectCombine,
  expectExchange,
  windowBases,
} from '../support/exchange.js';
import { type RoutingPattern, unequalTokens } from '../support/routing.js';

// Where rows lie at the receiver, and what makes their buffers free: slotted rows, credit, and both.

const specs: Readonly<Record<string, SpecInput>> = {
  slotted: {
    ranks: 4,
    hidden: 2880,
    experts: 8,
    topk: 3,
    ht: { maxTokensPerRank: 40 },
    channels: { memory: { count: 5, placement: 'slotted' } },
  },
  'credit, one live result': {
    ranks: 7,
    hidden: 128,
    experts: 21,
    topk: 3,
    ht: { maxTokensPerRank: 40, liveResults: 1, credit: true },
    channels: { memory: { count: 7 } },
  },
  'credit, two live results, several pieces of a row': {
    ranks: 3,
    hidden: 8192,
    experts: 6,
    topk: 2,
    ht: { maxTokensPerRank: 33, liveResults: 2, credit: true },
    channels: { memory: { count: 2, pieceBytes: 2048, stages: 8 } },
  },
  'slotted, credit, four live results': {
    ranks: 8,
    hidden: 16,
    experts: 16,
    topk: 5,
    ht: { maxTokensPerRank: 33, liveResults: 4, credit: true },
    channels: { memory: { count: 3, placement: 'slotted' } },
  },
};

describe.each(Object.entries(specs))('%s', (_, input) => {
  let built: Built;
  let group: Group;
  let bases: bigint[];
  beforeAll(async () => {
    built = await buildSpec(input);
    group = await built.open({ seed: 29 });
    bases = windowBases(group);
  });
  afterAll(() => group?.dispose());

  const draw = (pattern: RoutingPattern, numTokens: readonly number[], seed: number) =>
    drawInputs(built.spec, { seed, numTokens, pattern });
  const everyRank = (numTokens: number) => group.ranks.map(() => numTokens);
  const unequal = (seed: number) =>
    unequalTokens(built.spec.ranks, built.spec.ht.maxTokensPerRank, seed);
  const liveResults = () => built.spec.ht.liveResults;

  test('has as many receive buffers as live results, and one more without credit', () => {
    const { numBuffers } = built.sizes.regions.recvX;
    expect(numBuffers).toBe(built.spec.ht.credit ? liveResults() : liveResults() + 1);
  });

  test('the maximum of tokens, combined from received rows in place', async () => {
    const inputs = draw('distinct', everyRank(built.spec.ht.maxTokensPerRank), 1);
    await expectExchange(built, group, bases, inputs, { combineFrom: 'received' });
  });

  test('unequal tokens, none on one rank, combined from a tensor', async () => {
    await expectExchange(built, group, bases, draw('someNone', unequal(3), 3), {
      combineFrom: 'tensor',
    });
  });

  test.each(['duplicates', 'allNone', 'oneRank', 'noneToSelf'] as const)(
    'routing %s',
    async (pattern) => {
      await expectExchange(built, group, bases, draw(pattern, everyRank(9), 9));
    },
  );

  test('no token on any rank', async () => {
    await expectExchange(built, group, bases, draw('distinct', everyRank(0), 1));
  });

  test('all live results stay whole while ranks run ahead of each other', async () => {
    for (let round = 0; round < 6; round++) {
      const calls = Array.from({ length: liveResults() }, (_, i) =>
        draw('distinct', unequal(10 * round + i), 10 * round + i),
      );
      const results = [];
      for (const inputs of calls) results.push(await dispatchByTopk(built.spec, group, inputs));
      // The oldest first: its buffer is the next to go.
      for (const { received, expected } of results) {
        await expectCombine(built.spec, group, received, expected, {
          seed: round,
          combineFrom: 'received',
        });
      }
    }
  });

  test('a result that goes with the call that sends it is refused', async () => {
    const inputs = draw('oneRank', everyRank(1), 2);
    const results: Awaited<ReturnType<typeof dispatchByTopk>>['received'][] = [];
    for (let i = 0; i < liveResults(); i++) {
      results.push((await dispatchByTopk(built.spec, group, inputs)).received);
    }
    // Rows that a rank may send: one, whatever came.
    const calls = (received: (typeof results)[number]) =>
      group.ranks.map((rank, r) => ({
        ...dispatchCall(rank, built.spec, inputs[r]!),
        x: rank.tensorFromPointer('bf16', [1, built.spec.hidden], received[r]!.x.pointer),
      }));
    if (built.spec.ht.credit) {
      const failure = group.dispatch(calls(results[0]!));
      await expect(failure).rejects.toBeInstanceOf(EpgenArgumentError);
      await expect(failure).rejects.toThrow(
        'Expected perRank[0].x to outlive this dispatch, but it lies in the receive buffer that the dispatch fills',
      );
    } else {
      await group.dispatch(calls(results[0]!));
    }
    const newest = results.at(-1)!;
    if (liveResults() > 1) await group.dispatch(calls(newest));
  });
});
