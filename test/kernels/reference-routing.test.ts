import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { bf16FromFloat } from '../../native/reference/index.js';
import { buildSpec } from '../support/built.js';
import { dispatchCall, launches } from '../support/exchange.js';

interface Fixture {
  readonly ranks: number;
  readonly tokensPerRank: number;
  readonly topk: number;
  readonly experts: number;
  readonly recv: readonly number[];
  readonly topkIdx: readonly (readonly (readonly number[])[])[];
}

const { cases } = JSON.parse(
  readFileSync(new URL('../fixtures/reference-routing.json', import.meta.url), 'utf8'),
) as { cases: Fixture[] };

test.each(cases)(
  "the reference's own routing on $ranks ranks: counts $recv, combine exact",
  async (fixture) => {
    const { ranks, tokensPerRank, topk, experts, recv } = fixture;
    const hidden = 256;
    const built = await buildSpec({
      ranks,
      hidden,
      experts,
      topk,
      ht: { maxTokensPerRank: tokensPerRank },
    });
    await using group = await built.open({ seed: 3 });

    const inputs = fixture.topkIdx.map((rows, rank) => ({
      numTokens: tokensPerRank,
      x: new Uint16Array(tokensPerRank * hidden).fill(bf16FromFloat(rank)),
      topkIdx: BigInt64Array.from(rows.flat(), BigInt),
      topkWeights: new Uint32Array(tokensPerRank * topk),
    }));
    const received = await group.dispatch(
      group.ranks.map((rank, r) => dispatchCall(rank, built.spec, inputs[r]!)),
    );
    expect(received.map(({ x }) => x.shape[0])).toEqual(recv);

    const combined = await group.combine(received.map(({ x, handle }) => ({ x, handle })));
    for (const [rank, { x }] of combined.entries()) {
      const values = await x.toFloat32();
      const wrong = fixture.topkIdx[rank]!.filter((chosen, tokenIdx) => {
        const numRanks = new Set(
          chosen.filter((e) => e >= 0).map((e) => Math.floor(e / (experts / ranks))),
        ).size;
        return values
          .subarray(tokenIdx * hidden, (tokenIdx + 1) * hidden)
          .some((value) => value !== rank * numRanks);
      });
      expect(wrong).toEqual([]);
    }
    expect(launches(group)).toEqual(
      Array.from({ length: ranks }, () => ({
        dispatch: 1,
        combine: 1,
        dispatchLayout: 0,
        llDispatch: 0,
        llCombine: 0,
      })),
    );
  },
);
