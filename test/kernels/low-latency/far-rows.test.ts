import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AnyTensor, Group } from '../../../native/index.js';
import type { Spec } from '../../../native/spec-types.js';
import { type Built, buildSpec } from '../../support/built.js';
import { difference } from '../../support/compare.js';
import { farDifferences, type Stretch, writeFar } from '../../support/far.js';
import {
  castOf,
  combineTokens,
  dispatchTokens,
  drawOutputs,
  drawTokens,
  expectedRows,
  expectedSums,
  llOf,
  outputTensor,
  rowsPerExpert,
} from '../../support/low-latency.js';

// Bytes and elements past 2^31 and 2^32: few rows, of experts whose rows lie far apart in memory that is hardly touched.

// `npm run test:long` sets it: also what takes half a minute.
const isLong = Number(process.env.EPGEN_TEST_SCALE ?? 1) > 1;

const hidden = 16384;
const numLocalExperts = 10;
/** Rows that an expert has here, and in the model. */
const far = 2 * 16384;
const near = 2 * 4;

const shape = { ranks: 2, hidden, experts: 2 * numLocalExperts, topk: 6, arenaBytes: 2 ** 34 };
const ll = { maxTokensPerRank: far / 2, inFlight: 1, credit: true } as const;

const kinds = {
  bf16: ll,
  fp8_e4m3: { ...ll, dtype: 'fp8_e4m3', combineDtype: 'fp8_e4m3' },
} as const;

/** Where a row of the model lies in truth. */
function farRow(modelRow: number): number {
  return modelRow < 0 ? -1 : Math.floor(modelRow / near) * far + (modelRow % near);
}

describe.each(isLong ? (['bf16', 'fp8_e4m3'] as const) : (['bf16'] as const))('%s', (kind) => {
  let built: Built;
  let model: Spec;
  let group: Group;
  beforeAll(async () => {
    built = await buildSpec({
      ...{ ...shape, ll: kinds[kind] },
      ht: { maxTokensPerRank: 16 },
      channels: { memory: { count: 2 }, ll: 2 },
    });
    const { spec } = built;
    model = { ...spec, ll: { ...llOf(spec), maxTokensPerRank: near / 2 } };
    group = await built.open({ seed: 121 });
  });
  afterAll(() => group?.dispose());

  test('the last expert has its rows past 2^32 bytes and elements', () => {
    const { llRecvX, llOutput } = built.sizes.regions;
    const first = (numLocalExperts - 1) * far * hidden;
    expect(first).toBeGreaterThan(2 ** 32);
    expect(llRecvX!.bytes).toBeGreaterThan(first);
    expect(llOutput!.bytes).toBeGreaterThan(first);
  });

  test('rows go there, and combine brings them back: in place and from tensors', async () => {
    const inputs = drawTokens(model, { seed: 1, numTokens: [4, 3], pattern: 'distinct' });
    const want = expectedRows(model, inputs);
    const received = dispatchTokens(group, built.spec, inputs);
    const stretches = want.map(({ numTokensPerExpert }) =>
      Array.from(numTokensPerExpert, (numRows, expert): Stretch => {
        return { farRow: expert * far, modelRow: expert * near, numRows };
      }).filter(({ numRows }) => numRows > 0),
    );
    expect(stretches.some((of) => of.some(({ modelRow }) => modelRow === 9 * near))).toBe(true);
    for (const [r, rank] of group.ranks.entries()) {
      const { x, handle } = received[r]!;
      const lines = { name: `rank ${r} x`, width: hidden };
      expect(await farDifferences(rank, x, lines, want[r]!.x, stretches[r]!)).toEqual([]);
      expect([...(await handle.slot())]).toEqual(Array.from(want[r]!.slot, farRow));
      expect([...(await handle.layoutRange())]).toEqual([...want[r]!.layoutRange]);
      if (castOf(model) === undefined) continue;
      const { xScales } = received[r] as unknown as { readonly xScales: AnyTensor };
      const scales = { name: `rank ${r} xScales`, width: hidden / 128 };
      const wantScales = want[r]!.xScales!;
      expect(await farDifferences(rank, xScales, scales, wantScales, stretches[r]!)).toEqual([]);
    }

    const outputs = drawOutputs(model, want, 1);
    const sums = expectedSums(model, inputs, want, outputs);
    const flight = { inputs, want, received, outputs };
    const canCopyZero = llOf(built.spec).combineDtype === 'bf16';
    for (const fromWindow of canCopyZero ? [true, false] : [false]) {
      const xs = await Promise.all(
        group.ranks.map(async (rank, r) => {
          const x = fromWindow
            ? rank.getNextLowLatencyCombineBuffer(received[r]!.handle)
            : outputTensor(rank, built.spec);
          const lines = { name: 'outputs', width: hidden };
          await writeFar(rank, x, lines, outputs[r]!, stretches[r]!);
          return x;
        }),
      );
      const combined = combineTokens(group, built.spec, flight, (r) => ({ x: xs[r] }));
      for (const [r, { x }] of combined.entries()) {
        expect(difference(`rank ${r}`, hidden, await x.toArray(), sums[r]!)).toBeUndefined();
      }
    }
    expect(rowsPerExpert(built.spec)).toBe(far);
  });
});
