import fc from 'fast-check';
import { afterAll, beforeAll, describe, test } from 'vitest';
import type { SpecInput } from '../../generator/spec.js';
import type { Group } from '../../native/index.js';
import type { Spec } from '../../native/spec-types.js';
import { type Built, buildSpec } from './built.js';
import {
  drawTokens,
  expectLowLatency,
  type LowLatencyOptions,
  type LowLatencyTokens,
  llOf,
  patterns,
} from './low-latency.js';
import { unequalTokens } from './routing.js';

// `npm run test:long` sets it.
const scale = Number(process.env.EPGEN_TEST_SCALE ?? 1);

/** Every way of calling, in turns. */
function optionsOf(spec: Spec, turn: number): LowLatencyOptions {
  return {
    hooks: turn % 2 === 1,
    givesOut: turn % 3 === 1,
    ...(turn % 4 < 2
      ? {}
      : { numChannels: (rank: number) => 1 + ((turn + rank) % numChannelsOf(spec)) }),
    combineFrom: turn % 3 === 2 && llOf(spec).combineDtype === 'bf16' ? 'window' : 'tensor',
  };
}

function numChannelsOf({ channels, ...spec }: Spec): number {
  return channels.ll === 'chip' ? llOf({ channels, ...spec }).maxTokensPerRank : channels.ll;
}

/** Any routing: any number of tokens on each rank, any experts, none and the same one again among them. */
function anyTokens(spec: Spec): fc.Arbitrary<readonly LowLatencyTokens[]> {
  const { ranks, experts, topk } = spec;
  const choice = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: experts - 1 }) },
    { weight: 2, arbitrary: fc.integer({ min: 0, max: Math.min(experts, 2) - 1 }) },
    { weight: 1, arbitrary: fc.constant(-1) },
  );
  const token = fc.array(choice, { minLength: topk, maxLength: topk });
  const tokens = fc.array(token, { maxLength: llOf(spec).maxTokensPerRank, size: 'max' });
  return fc
    .tuple(fc.array(tokens, { minLength: ranks, maxLength: ranks }), fc.nat(1e6))
    .map(([perRank, seed]) => {
      const numTokens = perRank.map(({ length }) => length);
      const drawn = drawTokens(spec, { seed, numTokens, pattern: 'allNone' });
      return drawn.map((input, r) => {
        const experts = perRank[r]!.flat();
        const topkIdx =
          spec.topkIdx === 'i64' ? BigInt64Array.from(experts, BigInt) : Int32Array.from(experts);
        return { ...input, topkIdx };
      });
    });
}

/** Random rows on both ends, every bit compared: every pattern of routing, few tokens and as many as fit, for each spec. */
export function describeShapes(specs: Readonly<Record<string, SpecInput>>): void {
  describe.each(Object.entries(specs))('%s', (_, input) => {
    let built: Built;
    let group: Group;
    beforeAll(async () => {
      built = await buildSpec(input);
      group = await built.open({ seed: 23 });
    });
    afterAll(() => group?.dispose());

    test.each(patterns.map((pattern, turn) => [pattern, turn] as const))(
      'unequal tokens, none on one rank: %s',
      async (pattern, turn) => {
        const { spec } = built;
        const numTokens = unequalTokens(spec.ranks, llOf(spec).maxTokensPerRank, turn);
        const inputs = drawTokens(spec, { seed: turn, numTokens, pattern });
        await expectLowLatency(built, group, inputs, optionsOf(spec, turn));
      },
    );

    test.each([
      ['as many tokens as fit on each rank', Infinity],
      ['one token on each rank', 1],
      ['no tokens at all', 0],
    ])('%s', async (_, most) => {
      const { spec } = built;
      const numTokens = group.ranks.map(() => Math.min(most, llOf(spec).maxTokensPerRank));
      for (const turn of spec.hidden > 1024 ? [1] : [0, 1, 2]) {
        const inputs = drawTokens(spec, { seed: 30 + turn, numTokens, pattern: 'distinct' });
        await expectLowLatency(built, group, inputs, optionsOf(spec, turn));
      }
    });

    test('all tokens of all ranks for one expert fill all its rows', async () => {
      const { spec } = built;
      const numTokens = group.ranks.map(() => llOf(spec).maxTokensPerRank);
      const inputs = drawTokens(spec, { seed: 40, numTokens, pattern: 'oneExpert' });
      await expectLowLatency(built, group, inputs);
    });

    test('any routing', async () => {
      const { spec } = built;
      const numRuns = Math.max(
        2,
        Math.round((scale * 6) / (1 + (spec.ranks * spec.hidden) / 4096)),
      );
      await fc.assert(
        fc.asyncProperty(anyTokens(spec), fc.nat(11), async (inputs, turn) =>
          expectLowLatency(built, group, inputs, optionsOf(spec, turn)),
        ),
        { numRuns, seed: 20261122, endOnFailure: true },
      );
    }, 600_000);
  });
}
