import { describe, expect, test } from 'vitest';
import { at } from '../../native/reference/at.js';
import {
  cachedDispatchReference,
  dispatchLayoutReference,
  dispatchReference,
  dispatchWithoutTopkReference,
} from '../../native/reference/index.js';

const idx = (...values: number[]): BigInt64Array => BigInt64Array.from(values, BigInt);

// Two ranks own experts {0, 1} and {2, 3}. Rank 0 sends three tokens, rank 1 sends two:
// rank 0 gets tokens 0 and 1 of itself and 1 of rank 1; rank 1 gets 0 and 2 of rank 0 and 1 of itself.
const shape = { ranks: 2, experts: 4, topk: 2, hidden: 1, numChannels: 2 };
const perRank = [
  {
    numTokens: 3,
    x: Uint8Array.of(0xa0, 0xa1, 0xa2),
    topkIdx: idx(0, 3, 1, 1, -1, 2),
    topkWeights: Uint32Array.of(10, 11, 12, 13, 14, 15),
  },
  {
    numTokens: 2,
    x: Uint8Array.of(0xb0, 0xb1),
    topkIdx: idx(9, -1, 3, 0),
    topkWeights: Uint32Array.of(20, 21, 22, 23),
  },
];

describe('what travels beside a token', () => {
  const withScales = (first: number[], second: number[]) =>
    [first, second].map((scales, rank) => ({
      ...at(perRank, rank),
      xScales: Uint32Array.from(scales),
    }));

  test('scales in rows', () => {
    const [rank0, rank1] = dispatchReference({
      ...shape,
      scales: { words: 2 },
      perRank: withScales([1, 2, 3, 4, 5, 6], [7, 8, 9, 10]),
    });
    expect(rank0?.xScales).toEqual(Uint32Array.of(1, 2, 3, 4, 9, 10));
    expect(rank1?.xScales).toEqual(Uint32Array.of(1, 2, 5, 6, 9, 10));
  });

  test('scales in columns: of as many words as there are tokens when sent, as told when received', () => {
    const [rank0, rank1] = dispatchReference({
      ...shape,
      scales: { words: 2, columnWords: 8 },
      perRank: withScales([1, 3, 5, 2, 4, 6], [7, 9, 8, 10]),
    });
    const columns = (first: number[], second: number[]) =>
      Uint32Array.from([...first, 0, 0, 0, 0, 0, ...second, 0, 0, 0, 0, 0]);
    expect(rank0?.xScales).toEqual(columns([1, 3, 9], [2, 4, 10]));
    expect(rank1?.xScales).toEqual(columns([1, 5, 9], [2, 6, 10]));
  });

  test('extra bytes', () => {
    const [rank0, rank1] = dispatchReference({
      ...shape,
      extraBytes: 2,
      perRank: [
        { ...at(perRank, 0), extras: Uint8Array.of(1, 2, 3, 4, 5, 6) },
        { ...at(perRank, 1), extras: Uint8Array.of(7, 8, 9, 10) },
      ],
    });
    expect(rank0?.extras).toEqual(Uint8Array.of(1, 2, 3, 4, 9, 10));
    expect(rank1?.extras).toEqual(Uint8Array.of(1, 2, 5, 6, 9, 10));
  });

  test('nothing that was not asked for', () => {
    const [rank0] = dispatchReference({ ...shape, perRank });
    expect(rank0).not.toHaveProperty('xScales');
    expect(rank0).not.toHaveProperty('extras');
  });
});

test('i32 indices give what i64 indices give, as i32', () => {
  const narrow = perRank.map((input) => ({
    ...input,
    topkIdx: Int32Array.from(input.topkIdx, Number),
  }));
  const wide = dispatchReference({ ...shape, perRank });
  dispatchReference({ ...shape, perRank: narrow }).forEach((output, rank) => {
    const want = at(wide, rank);
    expect(output).toEqual({ ...want, topkIdx: Int32Array.from(want.topkIdx, Number) });
  });
});

test('an i64 index that is in range only in its lower half selects nothing', () => {
  const far = perRank.map((input) => ({
    ...input,
    topkIdx: input.topkIdx.map((one) => one + (1n << 32n)),
  }));
  const outputs = dispatchReference({ ...shape, perRank: far });
  expect(outputs.map(({ numRecvTokens }) => numRecvTokens)).toEqual([0, 0]);
});

test('counts per expert are rounded up to the alignment of the rank that receives', () => {
  const aligned = [{ ...at(perRank, 0), expertAlignment: 8 }, at(perRank, 1)];
  const [rank0, rank1] = dispatchReference({ ...shape, perRank: aligned });
  expect(rank0?.numTokensPerExpert).toEqual(Int32Array.of(8, 8));
  expect(rank1?.numTokensPerExpert).toEqual(Int32Array.of(1, 2));
});

test('an expert without tokens has none, whatever the alignment', () => {
  const none = perRank.map((input) => ({
    ...input,
    topkIdx: input.topkIdx.map(() => -1n),
    expertAlignment: 128,
  }));
  const outputs = dispatchReference({ ...shape, perRank: none });
  expect(outputs.map((output) => [...output.numTokensPerExpert])).toEqual([
    [0, 0],
    [0, 0],
  ]);
});

describe('numWorstTokens', () => {
  const worst = (numWorstTokens: number) =>
    dispatchReference({
      ...shape,
      perRank: [{ ...at(perRank, 0), numWorstTokens }, at(perRank, 1)],
    });

  test('fills up with rows of no expert', () => {
    const [rank0, rank1] = worst(5);
    expect(rank0).toMatchObject({
      numRecvTokens: 3,
      numRows: 5,
      topkIdx: idx(0, -1, 1, 1, -1, 0, -1, -1, -1, -1),
    });
    expect(rank0?.arrivals.map(({ row }) => row)).toEqual([0, 1, 2]);
    expect(rank1?.numRows).toBe(3);
  });

  test('may fit exactly', () => {
    expect(worst(3)[0]?.topkIdx).toEqual(idx(0, -1, 1, 1, -1, 0));
  });

  test('one short is an error that names both numbers', () => {
    expect(() => worst(2)).toThrow('expected at most 2 rows at rank 0, received 3');
  });
});

test('slotted placement: the rows of each source begin at its slots', () => {
  const [rank0, rank1] = dispatchReference({ ...shape, slotTokens: 4, perRank });
  expect(rank0).toMatchObject({
    numRecvTokens: 3,
    numRows: 8,
    numTokensPerRank: Int32Array.of(2, 1),
    x: Uint8Array.of(0xa0, 0xa1, 0, 0, 0xb1, 0, 0, 0),
    srcIdx: Int32Array.of(0, 1, 0, 0, 1, 0, 0, 0),
  });
  expect(rank0?.arrivals.map(({ row }) => row)).toEqual([0, 1, 4]);
  expect(rank0?.handle.slot).toEqual(Int32Array.of(0, 0, 1, -1, -1, 1));
  expect(rank1?.handle.slot).toEqual(Int32Array.of(-1, -1, 4, 4));
  const [compact] = dispatchReference({ ...shape, perRank });
  expect(rank0?.handle.rankPrefixMatrix).toEqual(compact?.handle.rankPrefixMatrix);
  expect(rank0?.handle.recvChannelPrefixMatrix).toEqual(compact?.handle.recvChannelPrefixMatrix);
});

test('without top-k: from layouts come the same rows, handles and counts', () => {
  const withTopk = dispatchReference({ ...shape, perRank });
  const outputs = dispatchWithoutTopkReference({
    ...shape,
    perRank: perRank.map(({ numTokens, x, topkIdx }) => ({
      ...{ numTokens, x },
      ...dispatchLayoutReference(shape, topkIdx),
    })),
  });
  outputs.forEach((output, rank) => {
    const { topkIdx: _, topkWeights: __, ...rest } = at(withTopk, rank);
    expect(output).toEqual(rest);
  });
});

test('without top-k: counts are those that layouts name, aligned', () => {
  const outputs = dispatchWithoutTopkReference({
    ...shape,
    perRank: [
      {
        ...{ numTokens: 1, x: Uint8Array.of(1), expertAlignment: 4 },
        isTokenInRank: Uint8Array.of(1, 0),
        numTokensPerExpert: Int32Array.of(1, 5, 0, 7),
      },
      {
        ...{ numTokens: 0, x: new Uint8Array(0) },
        isTokenInRank: new Uint8Array(0),
        numTokensPerExpert: Int32Array.of(2, 0, 0, 1),
      },
    ],
  });
  expect(outputs.map((output) => [...output.numTokensPerExpert])).toEqual([
    [4, 8],
    [0, 8],
  ]);
});

test.each([
  ['compact', {}],
  ['slotted', { slotTokens: 4 }],
])('cached, %s: new rows lie where the old ones lay', (_, placement) => {
  const first = dispatchReference({ ...shape, ...placement, perRank });
  const outputs = cachedDispatchReference({
    ...shape,
    ...placement,
    perRank: perRank.map(({ numTokens, x }, rank) => ({
      ...{ numTokens, x: x.map((value) => value ^ 0xff) },
      slot: at(first, rank).handle.slot,
    })),
  });
  outputs.forEach((output, rank) => {
    const want = at(first, rank);
    expect(output.arrivals).toEqual(want.arrivals);
    expect(output.srcIdx).toEqual(want.srcIdx);
    for (const { row } of want.arrivals) expect(at(output.x, row)).toBe(at(want.x, row) ^ 0xff);
  });
});
