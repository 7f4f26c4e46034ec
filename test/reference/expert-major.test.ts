import { describe, expect, test } from 'vitest';
import { at } from '../../native/reference/at.js';
import {
  bf16FromFloat,
  dispatchReference,
  expertMajorReference,
  expertSumReference,
} from '../../native/reference/index.js';

const idx = (...values: number[]): BigInt64Array => BigInt64Array.from(values, BigInt);
const row = (...values: number[]): Uint16Array => Uint16Array.from(values, bf16FromFloat);

// One of two ranks, with three of six experts. Token 1 names expert 2 twice, token 2 goes elsewhere.
const call = {
  ...{ ranks: 2, experts: 6, topk: 3, hidden: 1, numChannels: 1 },
  perRank: [
    {
      numTokens: 4,
      x: row(1, 2, 3, 4),
      xScales: Uint32Array.of(10, 20, 30, 40, 11, 21, 31, 41),
      extras: Uint8Array.of(1, 2, 3, 4),
      topkIdx: idx(2, 0, 5, 2, 4, 2, 3, 4, -1, 0, -1, 2),
      topkWeights: Uint32Array.from({ length: 12 }, (_, i) => 100 + i),
    },
    {
      numTokens: 0,
      x: row(),
      xScales: new Uint32Array(0),
      extras: new Uint8Array(0),
      topkIdx: idx(),
      topkWeights: new Uint32Array(0),
    },
  ],
};
const shape = { hidden: 1, scales: { words: 2, columnWords: 8 }, extraBytes: 1 };
const received = at(dispatchReference({ ...call, ...shape }), 0);
const experts = { topk: 3, numLocalExperts: 3, received };

test('groups by expert, then received row, then k', () => {
  expect(expertMajorReference({ ...shape, ...experts })).toEqual({
    numRows: 6,
    x: row(1, 4, 1, 2, 2, 4),
    xScales: Uint32Array.of(10, 40, 10, 20, 20, 40, 11, 41, 11, 21, 21, 41),
    extras: Uint8Array.of(1, 4, 1, 2, 2, 4),
    topkWeights: Uint32Array.of(101, 109, 100, 103, 105, 111),
    slot: Int32Array.of(2, 0, -1, 3, -1, 4, 1, -1, 5),
    numTokensPerExpert: Int32Array.of(2, 0, 4),
    isPadding: new Uint8Array(6),
  });
});

test('fills up each group to the alignment; an expert without rows has none', () => {
  const output = expertMajorReference({ ...shape, ...experts, expertAlignment: 3 });
  expect(output).toMatchObject({
    numRows: 9,
    x: row(1, 4, 0, 1, 2, 2, 4, 0, 0),
    topkWeights: Uint32Array.of(101, 109, 0, 100, 103, 105, 111, 0, 0),
    slot: Int32Array.of(3, 0, -1, 4, -1, 5, 1, -1, 6),
    numTokensPerExpert: Int32Array.of(3, 0, 6),
    isPadding: Uint8Array.of(0, 0, 1, 0, 0, 0, 0, 1, 1),
  });
});

test('rows that did not arrive have no selections', () => {
  const { numRows, slot } = expertMajorReference({
    ...experts,
    hidden: 1,
    received: at(dispatchReference({ ...call, slotTokens: 5 }), 0),
  });
  expect(numRows).toBe(6);
  expect(slot).toHaveLength(10 * 3);
  expect(slot.slice(0, 9)).toEqual(Int32Array.of(2, 0, -1, 3, -1, 4, 1, -1, 5));
  expect(slot.slice(9).every((one) => one === -1)).toBe(true);
});

describe('sum', () => {
  const { slot } = expertMajorReference({ ...shape, ...experts });
  const sum = (...y: number[]) =>
    expertSumReference({ dtype: 'bf16', hidden: 1, topk: 3, y: row(...y), slot });

  test('adds the outputs of each received row', () => {
    expect(sum(1, 2, 4, 8, 16, 32)).toEqual(row(5, 24, 34));
  });

  test('in k order, in f32, whatever order the rows lie in', () => {
    const wide = (...values: number[]) => new Uint32Array(Float32Array.from(values).buffer);
    const three = expertSumReference({
      ...{ dtype: 'f32', hidden: 1, topk: 3 },
      y: wide(2 ** -24, -1, 1),
      slot: Int32Array.of(2, 0, 1, 2, 1, 0),
    });
    expect(three).toEqual(wide(0, 2 ** -24));
  });
});
