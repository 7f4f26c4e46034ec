import { expect, test } from 'vitest';
import { at } from '../../native/reference/at.js';
import { dispatchLayoutReference, dispatchReference } from '../../native/reference/index.js';
import {
  dispatchInputs,
  type RoutingPattern,
  routingPatterns,
  unequalTokens,
} from '../support/routing.js';

const idx = (...values: number[]): BigInt64Array => BigInt64Array.from(values, BigInt);

// Two ranks own experts {0, 1} and {2, 3}. Rank 0 sends three tokens, rank 1 sends two.
const routing = { ranks: 2, experts: 4, topk: 2 };
const byHand = {
  ...routing,
  hidden: 1,
  numChannels: 2,
  perRank: [
    {
      numTokens: 3,
      x: Uint16Array.of(0xa0, 0xa1, 0xa2),
      topkIdx: idx(0, 3, 1, 1, -1, 2),
      topkWeights: Uint32Array.of(10, 11, 12, 13, 14, 0x7fc12345),
    },
    {
      numTokens: 2,
      x: Uint16Array.of(0xb0, 0xb1),
      topkIdx: idx(9, -1, 3, 0),
      topkWeights: Uint32Array.of(20, 21, 22, 23),
    },
  ],
};

test('layout counts tokens for each rank once and selections for each expert', () => {
  expect(dispatchLayoutReference(routing, at(byHand.perRank, 0).topkIdx)).toEqual({
    numTokensPerRank: Int32Array.of(2, 2),
    numTokensPerExpert: Int32Array.of(1, 2, 1, 1),
    isTokenInRank: Uint8Array.of(1, 1, 1, 0, 0, 1),
  });
});

test('dispatch by hand: rows, local indices, weights, counts', () => {
  const [rank0, rank1] = dispatchReference(byHand);
  expect(rank0).toMatchObject({
    numRecvTokens: 3,
    x: Uint16Array.of(0xa0, 0xa1, 0xb1),
    topkIdx: idx(0, -1, 1, 1, -1, 0),
    topkWeights: Uint32Array.of(10, 0, 12, 13, 0, 23),
    srcIdx: Int32Array.of(0, 1, 1),
    numTokensPerExpert: Int32Array.of(2, 2),
  });
  expect(rank1).toMatchObject({
    numRecvTokens: 3,
    x: Uint16Array.of(0xa0, 0xa2, 0xb1),
    topkIdx: idx(-1, 1, -1, 0, 1, -1),
    topkWeights: Uint32Array.of(0, 11, 0, 0x7fc12345, 22, 0),
    srcIdx: Int32Array.of(0, 2, 1),
    numTokensPerExpert: Int32Array.of(1, 2),
  });
});

test('dispatch by hand: handles (of three tokens channel 0 carries two, of two tokens one)', () => {
  const [rank0, rank1] = dispatchReference(byHand);
  expect(rank0?.handle).toEqual({
    rankPrefixMatrix: Int32Array.of(2, 2, 3, 3),
    channelPrefixMatrix: Int32Array.of(2, 2, 1, 2),
    recvChannelPrefixMatrix: Int32Array.of(0, 2, 0, 0),
    isTokenInRank: Uint8Array.of(1, 1, 1, 0, 0, 1),
    slot: Int32Array.of(0, 0, 1, -1, -1, 1),
  });
  expect(rank1?.handle).toEqual({
    rankPrefixMatrix: Int32Array.of(2, 2, 3, 3),
    channelPrefixMatrix: Int32Array.of(0, 1, 0, 1),
    recvChannelPrefixMatrix: Int32Array.of(0, 1, 0, 0),
    isTokenInRank: Uint8Array.of(0, 0, 1, 1),
    slot: Int32Array.of(-1, -1, 2, 2),
  });
});

test('more channels than tokens: each token has a channel of its own, the rest are empty', () => {
  const [rank0] = dispatchReference({ ...byHand, numChannels: 5 });
  expect(rank0?.handle.channelPrefixMatrix).toEqual(Int32Array.of(1, 2, 2, 2, 2, 1, 1, 2, 2, 2));
  expect(rank0?.handle.recvChannelPrefixMatrix).toEqual(
    Int32Array.of(0, 1, 2, 2, 2, 0, 0, 1, 1, 1),
  );
});

test.each(Object.keys(routingPatterns) as RoutingPattern[])(
  '%s: matrices, slots and rows agree',
  (pattern) => {
    const shape = { ranks: 4, experts: 8, topk: 3, hidden: 8, numChannels: 3 };
    const perRank = dispatchInputs({
      ...shape,
      seed: 7,
      numTokens: unequalTokens(4, 20, 7),
      pattern,
    });
    const outputs = dispatchReference({ ...shape, perRank });
    outputs.forEach(({ handle }, src) => {
      const { numTokens, x } = at(perRank, src);
      outputs.forEach((output, dst) => {
        const rows = Array.from({ length: numTokens }, (_, t) =>
          at(handle.slot, t * 4 + dst),
        ).filter((row) => row >= 0);
        const first = src === 0 ? 0 : at(handle.rankPrefixMatrix, (src - 1) * 4 + dst);
        expect(rows).toEqual(rows.map((_, i) => first + i));
        expect(first + rows.length).toBe(handle.rankPrefixMatrix[src * 4 + dst]);
        expect(rows.length).toBe(handle.channelPrefixMatrix[dst * 3 + 2]);
        for (const channel of [1, 2]) {
          expect(output.handle.recvChannelPrefixMatrix[src * 3 + channel]).toBe(
            handle.channelPrefixMatrix[dst * 3 + channel - 1],
          );
        }
        for (const row of rows) {
          const tokenIdx = at(output.srcIdx, row);
          expect(output.x.subarray(row * 8, row * 8 + 8)).toEqual(
            x.subarray(tokenIdx * 8, tokenIdx * 8 + 8),
          );
        }
      });
    });
  },
);
