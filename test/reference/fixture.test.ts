import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import {
  bf16FromFloat,
  combineReference,
  dispatchReference,
} from '../../native/reference/index.js';

interface FixtureCase {
  readonly ranks: number;
  readonly tokensPerRank: number;
  readonly topk: number;
  readonly experts: number;
  readonly recv: readonly number[];
  readonly topkIdx: readonly (readonly (readonly number[])[])[];
}

const path = new URL('../fixtures/reference-routing.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(path, 'utf8')) as {
  readonly cases: readonly FixtureCase[];
};
const hidden = 16;

test('the fixture holds 2, 4 and 8 ranks; rank 0 receives 195, 371 and 456 tokens', () => {
  expect(cases.map(({ ranks, recv }) => [ranks, recv[0]])).toEqual([
    [2, 195],
    [4, 371],
    [8, 456],
  ]);
});

test.each(cases)(
  '$ranks ranks: counts match, combine is the input times the distinct ranks',
  (fixture) => {
    const { ranks, experts, topk, tokensPerRank: numTokens } = fixture;
    const perRank = fixture.topkIdx.map((tokens, rank) => ({
      numTokens,
      x: new Uint16Array(numTokens * hidden).fill(bf16FromFloat(rank)),
      topkIdx: BigInt64Array.from(tokens.flat(), BigInt),
      topkWeights: new Uint32Array(numTokens * topk).fill(0x3f800000),
    }));
    const received = dispatchReference({ ranks, experts, topk, hidden, numChannels: 16, perRank });
    expect(received.map((output) => output.numRecvTokens)).toEqual(fixture.recv);

    const combined = combineReference({
      ranks,
      hidden,
      perRank: received.map(({ x, handle }) => ({ x, slot: handle.slot })),
    });
    fixture.topkIdx.forEach((tokens, rank) => {
      const expected = tokens.flatMap((selected) => {
        const visited = new Set(selected.map((expert) => Math.floor(expert / (experts / ranks))));
        return Array<number>(hidden).fill(bf16FromFloat(rank * visited.size));
      });
      expect(combined[rank]).toEqual(Uint16Array.from(expected));
    });
  },
);
