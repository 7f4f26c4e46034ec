import { describe, expect, test } from 'vitest';
import { at } from '../../native/reference/at.js';
import {
  type Bits,
  type DispatchOutput,
  dispatchLayoutReference,
  dispatchWithoutTopkReference,
  expertMajorReference,
  type Indices,
} from '../../native/reference/index.js';
import type { Spec } from '../../native/spec-types.js';
import {
  expertMajorDifferences,
  type GotReceived,
  receivedDifferences,
} from '../support/compare.js';
import { drawInputs } from '../support/draw.js';
import { expectedOutputs, shapeOf } from '../support/model.js';

const ht = {
  ...{ maxTokensPerRank: 6, liveResults: 2, credit: false, biases: 0, readyCounters: false },
  ...{ withoutTopk: false, cached: false, worstTokens: false, combineWeights: false },
  expertMajor: false,
} as const;
const plain: Spec = {
  ...{ name: 'compared', ranks: 3, hidden: 16, experts: 6, topk: 2, topkIdx: 'i64' },
  ...{ dtype: 'bf16', combineDtype: 'bf16', extraBytes: 0 },
  ...{ scaleBlock: 4, scaleDtype: 'f32', scaleLayout: 'row' },
  ht,
  ll: false,
  channels: { memory: { count: 2, placement: 'compact' }, ll: 'chip' },
};
const specs: Readonly<Record<string, Spec>> = {
  plain,
  'f16, i32 indices': { ...plain, dtype: 'f16', topkIdx: 'i32' },
  'fp8, f32 scales in rows': { ...plain, dtype: 'fp8_e4m3' },
  'fp8, packed scales in columns': {
    ...plain,
    dtype: 'fp8_e4m3',
    ...{ scaleDtype: 'ue8m0', scaleLayout: 'column' },
  },
  'bytes and extra bytes': { ...plain, dtype: 'u8', extraBytes: 8 },
  slotted: {
    ...plain,
    extraBytes: 4,
    channels: { memory: { count: 2, placement: 'slotted' }, ll: 'chip' },
  },
};

const tensor = (array: ArrayLike<number | bigint>, numRows: number) => ({
  shape: [numRows, array.length / numRows],
  toArray: async () => array,
});

/** A result with the bits of the model, in arrays that a test may change. */
function copyOf(want: DispatchOutput<Bits, Indices>): {
  readonly arrays: Readonly<Record<string, Bits | Indices>>;
  readonly got: GotReceived;
} {
  const fields = ['x', 'xScales', 'extras', 'topkIdx', 'topkWeights', 'srcIdx'] as const;
  const arrays = Object.fromEntries(
    fields.flatMap((field) => {
      const array = want[field];
      return array === undefined ? [] : [[field, array.slice()]];
    }),
  );
  const tensors = Object.fromEntries(
    Object.entries(arrays).map(([field, array]) => [field, tensor(array, want.numRows)]),
  );
  const handle = Object.fromEntries(
    Object.entries(want.handle).map(([field, array]) => [field, async () => array]),
  );
  const { numTokensPerExpert, numTokensPerRank } = want;
  const got = { ...tensors, numTokensPerExpert, numTokensPerRank, handle };
  return { arrays, got: got as unknown as GotReceived };
}

function flip(array: Bits | Indices, i: number): void {
  const one = at<number | bigint>(array, i);
  array[i] = typeof one === 'bigint' ? one ^ 1n : one ^ 1;
}

describe.each(Object.entries(specs))('%s', (_, spec) => {
  const inputs = drawInputs(spec, { seed: 2, numTokens: [6, 0, 5], pattern: 'someNone' });
  const expected = expectedOutputs(spec, inputs);
  const want = at(expected, 1);
  const { columnWords } = shapeOf(spec).scales ?? {};
  const rowOf = (field: string, i: number, length: number) =>
    field === 'xScales' && columnWords !== undefined
      ? i % columnWords
      : Math.floor(i / (length / want.numRows));

  test('a result with the bits of the model does not differ', async () => {
    for (const [rank, output] of expected.entries()) {
      expect(await receivedDifferences(spec, rank, copyOf(output).got, output)).toEqual([]);
    }
  });

  test('every wrong bit of a row that arrived is found; others do not count', async () => {
    const arrived = new Set(want.arrivals.map(({ row }) => row));
    expect(arrived.size).toBeGreaterThan(2);
    const { arrays, got } = copyOf(want);
    for (const [field, array] of Object.entries(arrays)) {
      for (let i = 0; i < array.length; i++) {
        flip(array, i);
        const found = await receivedDifferences(spec, 1, got, want);
        flip(array, i);
        const isDefined = arrived.has(rowOf(field, i, array.length));
        if (found.length !== (isDefined ? 1 : 0)) expect.fail(`${field}[${i}]: ${found}`);
        if (isDefined) expect(found[0]).toContain(`rank 1 ${field}`);
      }
    }
  });

  test('a missing row, scale or extra byte is found', async () => {
    const { arrays, got } = copyOf(want);
    for (const field of Object.keys(arrays)) {
      const shorter = tensor(at([arrays[field]], 0)!.slice(1), want.numRows);
      const found = await receivedDifferences(spec, 1, { ...got, [field]: shorter }, want);
      expect(found.join(), field).toContain(`rank 1 ${field}`);
    }
  });

  test('wrong counts and handles are found', async () => {
    const { got } = copyOf(want);
    const other = at(expected, 0);
    const numTokensPerExpert = want.numTokensPerExpert.map((count) => count + 1);
    for (const wrong of [
      { numTokensPerExpert },
      { handle: copyOf(other).got.handle },
      { topkIdx: null },
    ]) {
      expect(await receivedDifferences(spec, 1, { ...got, ...wrong }, want)).not.toEqual([]);
    }
  });

  test('without top-k: choices have to be null', async () => {
    const shape = shapeOf(spec);
    const perRank = inputs.map((input) => ({
      ...input,
      ...dispatchLayoutReference(shape, input.topkIdx),
    }));
    const unrouted = at(dispatchWithoutTopkReference({ ...shape, perRank }), 1);
    const { got } = copyOf(want);
    const none = { ...got, topkIdx: null, topkWeights: null };
    expect(await receivedDifferences(spec, 1, none, unrouted)).toEqual([]);
    expect(await receivedDifferences(spec, 1, got, unrouted)).toHaveLength(2);
  });

  test('rows by expert: padding counts only if it is to be zero', async () => {
    const { topk, experts, ranks } = spec;
    const call = { ...shapeOf(spec), topk, numLocalExperts: experts / ranks, received: want };
    const grouped = expertMajorReference({ ...call, expertAlignment: 4 });
    expect(grouped.isPadding).toContain(1);
    const arrays = {
      ...{ x: grouped.x.slice(), topkWeights: grouped.topkWeights.slice() },
      ...(grouped.extras && { extras: grouped.extras.slice() }),
    };
    const got = {
      x: tensor(arrays.x, grouped.numRows),
      topkWeights: tensor(arrays.topkWeights, grouped.numRows),
      slot: tensor(grouped.slot, want.numRows),
      numTokensPerExpert: grouped.numTokensPerExpert,
      ...(arrays.extras && { extras: tensor(arrays.extras, grouped.numRows) }),
      ...(grouped.xScales && { xScales: tensor(grouped.xScales, grouped.numRows) }),
    };
    for (const [field, array] of Object.entries(arrays)) {
      for (let i = 0; i < array.length; i++) {
        const row = Math.floor(i / (array.length / grouped.numRows));
        flip(array, i);
        for (const padsZeros of [false, true]) {
          const found = await expertMajorDifferences(spec, 1, got, grouped, {
            ...{ received: want, padsZeros },
          });
          const counts = padsZeros || grouped.isPadding[row] === 0;
          if (found.length !== (counts ? 1 : 0)) expect.fail(`${field}[${i}]: ${found}`);
        }
        flip(array, i);
      }
    }
  });
});

test('numWorstTokens: rows that fill up must be for no expert', async () => {
  const [first, ...rest] = drawInputs(plain, {
    seed: 3,
    numTokens: [3, 3, 3],
    pattern: 'distinct',
  });
  const inputs = [{ ...first!, numWorstTokens: 12 }, ...rest];
  const want = at(expectedOutputs(plain, inputs), 0);
  expect(want.numRecvTokens).toBeLessThan(12);
  const { arrays, got } = copyOf(want);
  expect(await receivedDifferences(plain, 0, got, want)).toEqual([]);
  flip(arrays.topkIdx!, 23);
  expect(await receivedDifferences(plain, 0, got, want)).toEqual([
    'rank 0 topkIdx[11][1]: got -2, expected -1',
  ]);
});
