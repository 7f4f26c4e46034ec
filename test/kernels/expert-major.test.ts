import { describe, expect, test } from 'vitest';
import type { SpecInput } from '../../generator/spec.js';
import type { Group } from '../../native/index.js';
import {
  type Bits,
  type DispatchInput,
  expertMajorReference,
  type Indices,
} from '../../native/reference/index.js';
import type { HighThroughputSpec } from '../../native/spec-types.js';
import { type Built, buildSpec } from '../support/built.js';
import { expectGroups, expectSums, type Grouped } from '../support/by-expert.js';
import { expertMajorDifferences } from '../support/compare.js';
import { drawInputs, drawRows } from '../support/draw.js';
import { dispatchCall, expectedOutputs } from '../support/exchange.js';
import { shapeOf } from '../support/model.js';
import { randomFrom } from '../support/random.js';
import { type RoutingPattern, unequalTokens } from '../support/routing.js';

const specs: Readonly<Record<string, SpecInput>> = {
  'bf16, several rows to a step, extras': {
    ranks: 2,
    hidden: 64,
    experts: 10,
    topk: 3,
    extraBytes: 12,
    ht: { expertMajor: true, maxTokensPerRank: 70 },
    channels: { memory: { count: 2 } },
  },
  'fp8 with scales in columns to f32, i32 indices, one local expert': {
    ranks: 3,
    hidden: 128,
    experts: 3,
    topk: 2,
    dtype: 'fp8_e4m3',
    scaleBlock: 32,
    scaleLayout: 'column',
    combineDtype: 'f32',
    topkIdx: 'i32',
    ht: { expertMajor: true, maxTokensPerRank: 33 },
    channels: { memory: { count: 2 } },
  },
  'bytes in several steps of a warp to f16, top-32': {
    ranks: 2,
    hidden: 4096,
    experts: 96,
    topk: 32,
    dtype: 'u8',
    combineDtype: 'f16',
    ht: { expertMajor: true, maxTokensPerRank: 20 },
    channels: { memory: { count: 2 } },
  },
  'fp8 with packed scales in rows to f32, more experts than lanes': {
    ranks: 1,
    hidden: 128,
    experts: 70,
    topk: 7,
    dtype: 'fp8_e4m3',
    scaleBlock: 16,
    scaleDtype: 'ue8m0',
    combineDtype: 'f32',
    ht: { expertMajor: true, maxTokensPerRank: 60 },
    channels: { memory: { count: 2 } },
  },
};

interface CallOptions {
  readonly expertAlignment: number;
  readonly zeroPadding: boolean;
  /** Whether dispatch and combine run on a stream of their own. */
  readonly asyncFinish?: boolean;
}

/** Dispatches, groups what arrived, and compares every bit of the groups with the model. */
async function dispatchGroups(
  { spec }: Built,
  group: Group,
  inputs: readonly DispatchInput<Bits, Indices>[],
  { expertAlignment, zeroPadding, asyncFinish = false }: CallOptions,
): Promise<Grouped[]> {
  const aligned = inputs.map((input) => ({ ...input, expertAlignment }));
  const calls = group.ranks.map((rank, r) => ({
    ...dispatchCall(rank, spec, aligned[r]!),
    asyncFinish,
  }));
  const received = await group.dispatch(calls as never);
  const expected = expectedOutputs(spec, aligned);
  return expectGroups(spec, group, received, expected, { expertAlignment, zeroPadding });
}

const rounds: readonly (CallOptions & {
  readonly name: string;
  readonly pattern: RoutingPattern;
  numTokens(spec: HighThroughputSpec): readonly number[];
})[] = [
  {
    name: 'as many tokens as fit',
    pattern: 'distinct',
    numTokens: ({ ranks, ht }) => Array<number>(ranks).fill(ht.maxTokensPerRank),
    expertAlignment: 1,
    zeroPadding: false,
  },
  {
    name: 'unequal tokens, aligned groups, zeros',
    pattern: 'someNone',
    numTokens: ({ ranks, ht }) => unequalTokens(ranks, ht.maxTokensPerRank, 3),
    expertAlignment: 16,
    zeroPadding: true,
  },
  {
    name: 'one expert named several times by a token',
    pattern: 'duplicates',
    numTokens: ({ ranks }) => Array<number>(ranks).fill(17),
    expertAlignment: 8,
    zeroPadding: true,
  },
  {
    name: 'all tokens to one expert',
    pattern: 'oneExpert',
    numTokens: ({ ranks }) => Array<number>(ranks).fill(9),
    expertAlignment: 128,
    zeroPadding: true,
  },
  {
    name: 'no tokens on one rank',
    pattern: 'distinct',
    numTokens: ({ ranks }) => Array.from({ length: ranks }, (_, r) => (r === 0 ? 0 : 5)),
    expertAlignment: 1,
    zeroPadding: true,
  },
  {
    name: 'no tokens at all',
    pattern: 'distinct',
    numTokens: ({ ranks }) => Array<number>(ranks).fill(0),
    expertAlignment: 4,
    zeroPadding: true,
  },
  {
    name: 'no selections at all',
    pattern: 'allNone',
    numTokens: ({ ranks }) => Array<number>(ranks).fill(6),
    expertAlignment: 4,
    zeroPadding: true,
  },
];

describe.each(Object.entries(specs))('%s', (_, input) => {
  test('groups and sums are the model bit for bit', { timeout: 240_000 }, async () => {
    const built = await buildSpec(input);
    await using group = await built.open();
    for (const [seed, { pattern, numTokens, ...options }] of rounds.entries()) {
      const inputs = drawInputs(built.spec, { seed, pattern, numTokens: numTokens(built.spec) });
      const grouped = await dispatchGroups(built, group, inputs, options);
      await expectSums(built.spec, group, grouped, { seed });
    }
  });
});

test('after a dispatch and before a combine on a stream of their own', async () => {
  const built = await buildSpec(Object.values(specs)[0]!);
  await using group = await built.open();
  const order = { asyncFinish: true };
  for (let seed = 0; seed < 4; seed++) {
    const inputs = drawInputs(built.spec, { seed, pattern: 'distinct', numTokens: [40, 30] });
    const options = { ...order, expertAlignment: 4, zeroPadding: false };
    const grouped = await dispatchGroups(built, group, inputs, options);
    await expectSums(built.spec, group, grouped, { ...order, seed });
  }
});

test('other rows along the experts of an earlier dispatch', async () => {
  const built = await buildSpec(Object.values(specs)[0]!);
  const { spec } = built;
  await using group = await built.open();
  const inputs = drawInputs(spec, { seed: 1, pattern: 'duplicates', numTokens: [20, 12] });
  const received = await group.dispatch(
    group.ranks.map((rank, r) => dispatchCall(rank, spec, inputs[r]!)) as never,
  );
  const expected = expectedOutputs(spec, inputs);
  const differences = await Promise.all(
    group.ranks.map(async (rank, r) => {
      const { numRows } = expected[r]!;
      const { x } = drawRows(spec, randomFrom(2, r, 0), numRows);
      const tensor = rank.tensor('bf16', [numRows, spec.hidden], x as Uint16Array);
      const got = rank.expertMajor({ ...received[r]!, x: tensor } as never);
      const want = expertMajorReference({
        ...shapeOf(spec),
        topk: spec.topk,
        numLocalExperts: spec.experts / spec.ranks,
        received: { ...expected[r]!, x },
      });
      return expertMajorDifferences(spec, r, got, want, {
        received: expected[r]!,
        padsZeros: false,
      });
    }),
  );
  expect(differences.flat()).toEqual([]);
});

test('in a graph: its memory, the scratch too, is the graph’s as long as that lives', async () => {
  const built = await buildSpec(Object.values(specs)[0]!);
  const { spec } = built;
  await using group = await built.open();
  const inputs = drawInputs(spec, { seed: 5, pattern: 'distinct', numTokens: [40, 30] });
  const calls = group.ranks.map((rank, r) => ({
    ...dispatchCall(rank, spec, inputs[r]!),
    copy: true,
  }));
  const received = await group.dispatch(calls as never);
  const options = { zeroPadding: true };
  const sums = () => {
    const byExpert = group.ranks.map((rank, r) => rank.expertMajor(received[r]! as never, options));
    const combined = group.enqueueCombine(
      byExpert.map((expertMajor, r) => ({
        x: expertMajor.x,
        handle: received[r]!.handle,
        expertMajor,
      })) as never,
    );
    return { byExpert, combined };
  };
  const bits = async ({ byExpert, combined }: ReturnType<typeof sums>) =>
    Promise.all(
      [
        ...byExpert.flatMap(({ x, slot, topkWeights }) => [x, slot, topkWeights]),
        ...combined.map(({ x }) => x),
      ].map((tensor) => tensor.toArray()),
    );
  const want = await bits(sums());
  await using graph = await group.capture(sums);
  // What the graph's kernels write must not be among these.
  const others: { toArray(): Promise<Uint8Array>; dispose(): void }[] = [];
  for (const numBytes of [1 << 16, 1 << 10, 256]) {
    for (let i = 0; i < 8; i++) {
      const tensor = group.ranks[0]!.tensor('u8', [numBytes], new Uint8Array(numBytes).fill(255));
      others.push(tensor);
    }
  }
  for (let replay = 0; replay < 3; replay++) expect(await bits(graph.replay())).toEqual(want);
  for (const tensor of others) {
    expect((await tensor.toArray()).every((byte) => byte === 255)).toBe(true);
  }
});
