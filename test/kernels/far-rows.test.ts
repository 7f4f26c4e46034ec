import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AnyTensor, Group, Handle, Rank } from '../../native/index.js';
import {
  type Bits,
  cachedDispatchReference,
  combineReference,
  combineWeightsReference,
  type DispatchOutput,
  type DispatchRows,
  expertMajorReference,
  expertSumReference,
  type Indices,
  type ReceivedRows,
} from '../../native/reference/index.js';
import type { Spec } from '../../native/spec-types.js';
import { type Built, buildSpec } from '../support/built.js';
import { bitsOf, difference } from '../support/compare.js';
import { drawInputs, drawRows, drawSummed } from '../support/draw.js';
import { dispatchCall, payloadTensors } from '../support/exchange.js';
import { farDifferences, type Stretch, writeFar } from '../support/far.js';
import { expectedOutputs, shapeOf } from '../support/model.js';
import { randomFrom } from '../support/random.js';

// Bytes and elements past 2^31: few rows, far apart in memory of which little else is ever touched.

// `npm run test:long` sets it: also what takes half a minute.
const isLong = Number(process.env.EPGEN_TEST_SCALE ?? 1) > 1;

const hidden = 16384;
const extraBytes = 65536;
/** Where the rows of each source, or of each expert, begin: so many rows apart. */
const gap = 65536;
/** The same in the model. */
const near = 8;

const row = { hidden, extraBytes, dtype: 'fp8_e4m3', scaleBlock: 1, combineDtype: 'f32' } as const;

interface FarRows {
  readonly x: AnyTensor;
  readonly xScales: AnyTensor;
  readonly extras: AnyTensor;
}

interface FarReceived extends FarRows {
  readonly topkIdx: AnyTensor;
  readonly topkWeights: AnyTensor;
  readonly srcIdx: AnyTensor;
  readonly handle: Handle;
}

interface FarCombined {
  readonly x: AnyTensor;
  readonly topkWeights: AnyTensor;
}

const elements = (name: string, width: number) => ({ name, width });
// Some of 16384: they lie in pages of their own.
const columns = Array.from({ length: 65 }, (_, i) => Math.min(i * 256, hidden - 1));
const linesOf = ({ scaleLayout }: Pick<Spec, 'scaleLayout'>) => ({
  x: elements('x', hidden),
  extras: elements('extras', extraBytes),
  xScales: { ...elements('xScales', hidden), ...(scaleLayout === 'column' ? { columns } : {}) },
});
const outputs = elements('expert outputs', hidden);

/** Rows of each source or expert, as they lie there and in the model. */
function stretchesOf(counts: ArrayLike<number>): Stretch[] {
  return Array.from(counts)
    .map((numRows, i) => ({ farRow: i * gap, modelRow: i * near, numRows }))
    .filter(({ numRows }) => numRows > 0);
}

/** Where a row of the model lies in truth. */
function farRow(modelRow: number): number {
  return modelRow < 0 ? -1 : Math.floor(modelRow / near) * gap + (modelRow % near);
}

async function expectPayload(
  rank: Rank,
  spec: Spec,
  got: FarRows,
  want: Pick<ReceivedRows, 'x' | 'xScales' | 'extras'>,
  stretches: readonly Stretch[],
): Promise<void> {
  const lines = linesOf(spec);
  const differences = [
    await farDifferences(rank, got.x, lines.x, want.x, stretches),
    await farDifferences(rank, got.xScales, lines.xScales, want.xScales!, stretches),
    await farDifferences(rank, got.extras, lines.extras, want.extras!, stretches),
  ];
  expect(differences.flat(), `rank ${rank.index}`).toEqual([]);
}

async function expectReceived(
  rank: Rank,
  spec: Spec,
  got: FarReceived,
  want: DispatchOutput<Bits, Indices>,
  stretches: readonly Stretch[],
): Promise<void> {
  await expectPayload(rank, spec, got, want, stretches);
  const topk = (name: string) => elements(name, spec.topk);
  const differences = [
    await farDifferences(rank, got.topkIdx, topk('topkIdx'), want.topkIdx, stretches),
    await farDifferences(rank, got.topkWeights, topk('weights'), want.topkWeights, stretches),
    await farDifferences(rank, got.srcIdx, elements('srcIdx', 1), want.srcIdx, stretches),
  ];
  expect(differences.flat(), `rank ${rank.index}`).toEqual([]);
}

async function bitsIn(tensor: AnyTensor): Promise<Uint32Array> {
  return bitsOf((await tensor.toArray()) as Float32Array);
}

describe('slotted rows', () => {
  let built: Built;
  let model: Spec;
  let group: Group;
  beforeAll(async () => {
    built = await buildSpec({
      ...row,
      ...{ ranks: 5, experts: 80, topk: 32, scaleLayout: 'column' },
      ht: {
        ...{ maxTokensPerRank: gap, liveResults: 1, credit: true },
        ...{ cached: true, combineWeights: true },
      },
      channels: { memory: { count: 2, placement: 'slotted' } },
      arenaBytes: 2 ** 30,
    });
    model = { ...built.spec, ht: { ...built.spec.ht, maxTokensPerRank: near } };
    group = await built.open({ seed: 71 });
  });
  afterAll(() => group?.dispose());

  test('the last source has its rows past 2^32 bytes, and scales past 2^32 elements', () => {
    const { recvX, recvXScales, recvExtras, output } = built.sizes.regions;
    const lastSource = 4 / 5;
    expect(recvX.bytes * lastSource).toBe(2 ** 32);
    expect((recvXScales!.bytes / 4) * (1 - 1 / hidden)).toBeGreaterThan(2 ** 32);
    expect(recvExtras!.bytes * lastSource).toBe(2 ** 34);
    expect(output.bytes * lastSource).toBe(2 ** 34);
    expect(recvExtras!.offset).toBeGreaterThan(2 ** 32);
  });

  test('go there with all beside them, again along the handle, and combine brings them back', async () => {
    const { ranks, topk } = model;
    const inputs = drawInputs(model, { seed: 1, numTokens: [4, 0, 0, 0, 7], pattern: 'someNone' });
    const calls = group.ranks.map((rank, r) => dispatchCall(rank, model, inputs[r]!));
    const received = (await group.dispatch(calls as never)) as unknown as FarReceived[];
    const expected = expectedOutputs(model, inputs);
    const stretches = expected.map(({ numTokensPerRank }) => stretchesOf(numTokensPerRank));
    for (const [r, rank] of group.ranks.entries()) {
      await expectReceived(rank, model, received[r]!, expected[r]!, stretches[r]!);
      const slot = Array.from(expected[r]!.handle.slot, farRow);
      expect([...(await received[r]!.handle.slot())]).toEqual(slot);
    }

    const perRank = expected.map(({ handle: { slot }, numRows }, r) => {
      const random = randomFrom(3, r);
      const topkWeights = drawSummed('f32', numRows * topk, random);
      return { slot, x: drawSummed('f32', numRows * hidden, random), topkWeights };
    });
    const weightsOfRow = elements('weights', topk);
    const combineCalls = await Promise.all(
      group.ranks.map(async (rank, r) => {
        const { handle, topkWeights } = received[r]!;
        const x = rank.combineInput(handle);
        await writeFar(rank, x, outputs, perRank[r]!.x, stretches[r]!);
        await writeFar(rank, topkWeights, weightsOfRow, perRank[r]!.topkWeights, stretches[r]!);
        return { x, handle, topkWeights };
      }),
    );
    const combined = (await group.combine(combineCalls as never)) as unknown as FarCombined[];
    const sums = combineReference({ ranks, hidden, dtype: 'f32', perRank });
    const weights = combineWeightsReference({ ranks, topk, perRank });
    for (const [r, { x, topkWeights }] of combined.entries()) {
      expect(difference('sums', hidden, await bitsIn(x), sums[r]!)).toBeUndefined();
      expect(difference('weights', topk, await bitsIn(topkWeights), weights[r]!)).toBeUndefined();
    }

    const again = expected.map(({ handle: { slot } }, r) => ({
      ...drawRows(model, randomFrom(2, r), inputs[r]!.numTokens),
      slot,
    }));
    const cached = (await group.dispatch(
      group.ranks.map((rank, r) => ({
        ...payloadTensors(rank, model, again[r]!),
        handle: received[r]!.handle,
      })) as never,
    )) as unknown as FarRows[];
    const want = cachedDispatchReference({ ...shapeOf(model), perRank: again });
    for (const [r, rank] of group.ranks.entries()) {
      await expectPayload(rank, model, cached[r]!, want[r]!, stretches[r]!);
    }
  });
});

describe.each(isLong ? (['row', 'column'] as const) : (['row'] as const))(
  'one rank, scales by %s',
  (scaleLayout) => {
    let built: Built;
    let group: Group;
    let rank: Rank;
    beforeAll(async () => {
      built = await buildSpec({
        ...row,
        ...{ ranks: 1, experts: 3, topk: 2, scaleLayout, arenaBytes: 2 ** 36 },
        ht: { maxTokensPerRank: gap, cached: true, biases: 1, expertMajor: true },
        channels: { memory: { count: 2 } },
      });
      group = await built.open({ seed: 72 });
      rank = group.ranks[0]!;
    });
    afterAll(() => group?.dispose());

    const numBefore = 33_000;
    const behind = [{ farRow: numBefore, modelRow: 0, numRows: near }];
    const shapeOfFar = [numBefore + near, hidden] as const;

    /** Tensors of a few tokens behind many others. */
    async function farPayload(rows: DispatchRows): Promise<FarRows> {
      const lines = linesOf(built.spec);
      const [numTokens] = shapeOfFar;
      const x = rank.tensor('fp8_e4m3', shapeOfFar);
      const scaleShape = scaleLayout === 'row' ? shapeOfFar : [hidden, numTokens];
      const xScales = rank.tensor('f32', scaleShape);
      const extras = rank.tensor('u8', [numTokens, extraBytes]);
      await writeFar(rank, x, lines.x, rows.x, behind);
      await writeFar(rank, xScales, lines.xScales, rows.xScales!, behind);
      await writeFar(rank, extras, lines.extras, rows.extras!, behind);
      return { x, xScales, extras };
    }

    async function one<T>(results: Promise<readonly unknown[]>): Promise<T> {
      const [result] = await results;
      return result as T;
    }

    test('tokens whose scales and extras lie past 2^31 bytes, and their sums and biases', async () => {
      const { spec } = built;
      const { topk } = spec;
      const [few] = drawInputs(spec, { seed: 4, numTokens: [near], pattern: 'distinct' });
      const [expected] = expectedOutputs(spec, [few!]);
      const { slot } = expected!.handle;
      const topkIdx = new BigInt64Array((numBefore + near) * topk).fill(-1n);
      topkIdx.set(few!.topkIdx as BigInt64Array, numBefore * topk);
      const weights = new Float32Array(topkIdx.length);
      bitsOf(weights).set(few!.topkWeights, numBefore * topk);
      const received = await one<FarReceived>(
        group.dispatch([
          {
            ...(await farPayload(few!)),
            topkIdx: rank.tensor('i64', [numBefore + near, topk], topkIdx),
            topkWeights: rank.tensor('f32', [numBefore + near, topk], weights),
          },
        ] as never),
      );
      const rows = [{ farRow: 0, modelRow: 0, numRows: near }];
      const srcIdx = expected!.srcIdx.map((token) => token + numBefore);
      await expectReceived(rank, spec, received, { ...expected!, srcIdx }, rows);

      const again = { ...drawRows(spec, randomFrom(5), near), slot };
      const cached = await one<FarRows>(
        group.dispatch([{ ...(await farPayload(again)), handle: received.handle }] as never),
      );
      const [want] = cachedDispatchReference({ ...shapeOf(spec), perRank: [again] });
      await expectPayload(rank, spec, cached, want!, rows);

      const x = drawSummed('f32', near * hidden, randomFrom(6));
      const bias = drawSummed('f32', near * hidden, randomFrom(7));
      const input = rank.combineInput(received.handle);
      await writeFar(rank, input, outputs, x, rows);
      const biases = rank.tensor('f32', shapeOfFar);
      await writeFar(rank, biases, outputs, bias, behind);
      const combined = await one<FarCombined>(
        group.combine([{ x: input, handle: received.handle, bias: biases }] as never),
      );
      const perRank = [{ x, slot, biases: [bias] }];
      const [sums] = combineReference({ ranks: 1, hidden, dtype: 'f32', perRank });
      expect(await farDifferences(rank, combined.x, outputs, sums!, behind)).toEqual([]);
    });

    test('rows by expert past 2^31 bytes and elements, and their sums', async () => {
      const { spec } = built;
      const { topk } = spec;
      const inputs = drawInputs(spec, { seed: 6, numTokens: [near], pattern: 'distinct' });
      const received = await one<FarReceived>(
        group.dispatch([
          { ...dispatchCall(rank, spec, inputs[0]!), expertAlignment: gap },
        ] as never),
      );
      const [expected] = expectedOutputs(spec, inputs);
      const grouped = rank.expertMajor(received as never) as unknown as FarReceived & {
        readonly slot: AnyTensor;
      };
      const want = expertMajorReference({
        ...{ ...shapeOf(spec), topk, numLocalExperts: 3, expertAlignment: near },
        received: expected!,
      });
      expect(grouped.x.shape).toEqual([3 * gap, hidden]);
      const stretches = stretchesOf(expected!.numTokensPerExpert);
      await expectPayload(rank, spec, grouped, want, stretches);
      const weights = elements('weights', 1);
      expect(
        await farDifferences(rank, grouped.topkWeights, weights, want.topkWeights, stretches),
      ).toEqual([]);
      expect([...(await grouped.slot.toArray())]).toEqual(Array.from(want.slot, farRow));

      const y = drawSummed('f32', want.numRows * hidden, randomFrom(7));
      const farY = rank.tensor('f32', [3 * gap, hidden]);
      await writeFar(rank, farY, outputs, y, stretches);
      const { handle } = received;
      const combined = await one<FarCombined>(
        group.combine([{ x: farY, handle, expertMajor: grouped }] as never),
      );
      const x = expertSumReference({ dtype: 'f32', hidden, topk, y, slot: want.slot });
      const perRank = [{ x, slot: expected!.handle.slot }];
      const [sums] = combineReference({ ranks: 1, hidden, dtype: 'f32', perRank });
      expect(difference('sums', hidden, await bitsIn(combined.x), sums!)).toBeUndefined();
    });
  },
);
