import fc from 'fast-check';
import { afterAll, beforeAll, describe, test } from 'vitest';
import type { Group } from '../../native/index.js';
import type { DispatchInput } from '../../native/reference/index.js';
import type { Spec } from '../../native/spec-types.js';
import { type Built, buildSpec } from '../support/built.js';
import { expectExchange, windowBases } from '../support/exchange.js';
import { kernelSpecs, matrixSpecs } from '../support/kernel-specs.js';
import { rowBits } from '../support/routing.js';

// `npm run test:long` sets it: more routings, and specs of every rank count with drawn shapes.
const scale = Number(process.env.EPGEN_TEST_SCALE ?? 1);
const specs = { ...kernelSpecs, ...(scale > 1 ? matrixSpecs(24) : {}) };

/** Any routing that a spec allows: any number of tokens on each rank, any experts, −1 and duplicates among them. */
function anyInputs({ ranks, hidden, experts, topk, ht }: Spec): fc.Arbitrary<DispatchInput[]> {
  const choice = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: experts - 1 }) },
    { weight: 2, arbitrary: fc.integer({ min: 0, max: Math.min(experts, 2) - 1 }) },
    { weight: 1, arbitrary: fc.constant(-1) },
  );
  const token = fc.array(choice, { minLength: topk, maxLength: topk });
  const tokens = fc.array(token, { maxLength: ht.maxTokensPerRank, size: 'max' });
  return fc
    .tuple(fc.array(tokens, { minLength: ranks, maxLength: ranks }), fc.nat(1e6))
    .map(([perRank, seed]) =>
      perRank.map((rows, rank) => {
        const x = new Uint16Array(rows.length * hidden);
        for (const tokenIdx of rows.keys())
          x.set(rowBits(seed, rank, tokenIdx, hidden), tokenIdx * hidden);
        return {
          numTokens: rows.length,
          x,
          topkIdx: BigInt64Array.from(rows.flat(), BigInt),
          topkWeights: Uint32Array.from(
            rows.flat(),
            (_, i) => Math.imul(seed + i, 0x9e3779b1) >>> 0,
          ),
        };
      }),
    );
}

describe.each(Object.entries(specs))('%s', (_, input) => {
  let built: Built;
  let group: Group;

  beforeAll(async () => {
    built = await buildSpec(input);
    group = await built.open({ seed: 19 });
  });
  afterAll(() => group?.dispose());

  test('dispatch and combine give the bits of the model for any routing', async () => {
    const { spec } = built;
    // Large rows take the emulator longer, and pieces of rows add little to routing.
    const numRuns = Math.max(2, Math.round((scale * 12) / (1 + (spec.ranks * spec.hidden) / 4096)));
    await fc.assert(
      fc.asyncProperty(
        anyInputs(spec),
        fc.constantFrom('window', 'received', 'tensor'),
        fc.integer({ min: 1, max: spec.channels.memory.count }),
        fc.nat(1000),
        async (inputs, combineFrom, numChannels, seed) => {
          await expectExchange(built, group, windowBases(group), inputs, {
            combineFrom,
            numChannels,
            seed,
          });
        },
      ),
      { numRuns, seed: 20261122, endOnFailure: true },
    );
  }, 600_000);
});
