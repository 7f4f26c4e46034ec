import fc from 'fast-check';
import { afterAll, beforeAll, describe, test } from 'vitest';
import type { Group } from '../../native/index.js';
import type { Bits, DispatchInput, Indices } from '../../native/reference/index.js';
import type { HighThroughputSpec } from '../../native/spec-types.js';
import { type Built, buildSpec } from '../support/built.js';
import { drawRows } from '../support/draw.js';
import { type ExchangeOptions, expectExchange, windowBases } from '../support/exchange.js';
import { kernelSpecs, matrixSpecs, mixedSpecs } from '../support/kernel-specs.js';
import { expectedOutputs } from '../support/model.js';
import { randomFrom } from '../support/random.js';

// `npm run test:long` sets it: more routings, and specs of every rank count with drawn shapes and options.
const scale = Number(process.env.EPGEN_TEST_SCALE ?? 1);
const specs = { ...kernelSpecs, ...mixedSpecs, ...(scale > 1 ? matrixSpecs(40) : {}) };

type Inputs = readonly DispatchInput<Bits, Indices>[];

/** Any routing that a spec allows: any number of tokens on each rank, any experts, −1 and duplicates among them. */
function anyInputs(spec: HighThroughputSpec): fc.Arbitrary<Inputs> {
  const { ranks, experts, topk, ht } = spec;
  const choice = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: experts - 1 }) },
    { weight: 2, arbitrary: fc.integer({ min: 0, max: Math.min(experts, 2) - 1 }) },
    { weight: 1, arbitrary: fc.constant(-1) },
  );
  const token = fc.array(choice, { minLength: topk, maxLength: topk });
  const tokens = fc.array(token, { maxLength: ht.maxTokensPerRank, size: 'max' });
  return fc
    .tuple(
      fc.array(tokens, { minLength: ranks, maxLength: ranks }),
      fc.nat(1e6),
      fc.constantFrom(1, 1, 3, 16),
    )
    .map(([perRank, seed, expertAlignment]) =>
      perRank.map((rows, rank) => ({
        ...drawRows(spec, randomFrom(seed, rank, 0x9d), rows.length),
        topkIdx:
          spec.topkIdx === 'i64'
            ? BigInt64Array.from(rows.flat(), BigInt)
            : Int32Array.from(rows.flat()),
        topkWeights: Uint32Array.from(rows.flat(), (_, i) => Math.imul(seed + i, 0x9e3779b1) >>> 0),
        expertAlignment,
      })),
    );
}

/** As `inputs`, with room for some rows more than any rank gets. */
function withSpareRows(
  { ranks, ht, ...spec }: HighThroughputSpec,
  inputs: Inputs,
  spare: number,
): Inputs {
  const outputs = expectedOutputs({ ranks, ht, ...spec }, inputs);
  const most = Math.max(1, ...outputs.map(({ numRecvTokens }) => numRecvTokens));
  const numWorstTokens = Math.min(most + spare, ranks * ht.maxTokensPerRank);
  return inputs.map((input) => ({ ...input, numWorstTokens }));
}

/** Any way of calling that a spec has the kernels for. */
function anyOptions({
  ht,
  dtype,
  combineDtype,
  channels,
}: HighThroughputSpec): fc.Arbitrary<ExchangeOptions> {
  const given = (isBuilt: boolean) => (isBuilt ? fc.boolean() : fc.constant(false));
  return fc
    .record({
      combineFrom: fc.constantFrom('window', 'received', 'tensor'),
      numChannels: fc.integer({ min: 1, max: channels.memory.count }),
      seed: fc.nat(1000),
      withoutTopk: given(ht.withoutTopk),
      numCached: ht.cached ? fc.integer({ min: 0, max: 2 }) : fc.constant(0),
      byExpert: given(ht.expertMajor),
      combineWeights: given(ht.combineWeights),
      numBiases: fc.integer({ min: 0, max: ht.biases }),
      weightsFrom: fc.constantFrom('received', 'tensor'),
    } as const)
    .map((options) => {
      // Views go with the calls that follow, and combine reads rows of its own type only.
      const isLive = options.numCached < ht.liveResults;
      const hasRows = isLive && dtype === combineDtype;
      const hasWeights = isLive && !options.withoutTopk;
      return {
        ...options,
        combineFrom: hasRows || options.combineFrom !== 'received' ? options.combineFrom : 'window',
        weightsFrom: hasWeights ? options.weightsFrom : 'tensor',
        byExpert: options.byExpert && !options.withoutTopk,
      };
    });
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
    const numRuns = Math.max(2, Math.round((scale * 6) / (1 + (spec.ranks * spec.hidden) / 4096)));
    await fc.assert(
      fc.asyncProperty(
        anyInputs(spec),
        anyOptions(spec),
        spec.ht.worstTokens ? fc.option(fc.nat(20)) : fc.constant(null),
        async (inputs, options, spare) => {
          const bases = windowBases(group);
          if (spare === null) return expectExchange(built, group, bases, inputs, options);
          const worst = withSpareRows(spec, inputs, spare);
          return expectExchange(built, group, bases, worst, { ...options, byExpert: false });
        },
      ),
      { numRuns, seed: 20261122, endOnFailure: true },
    );
  }, 600_000);
});
