import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SpecInput } from '../../generator/spec.js';
import type { Group, Handle, Tensor } from '../../native/index.js';
import type { SummedDtype } from '../../native/reference/index.js';
import { combineBackward, dispatchBackward } from '../support/backward.js';
import { type Built, buildSpec } from '../support/built.js';
import { bitsOf, difference, rowDifferences } from '../support/compare.js';
import { drawInputs, drawSummed } from '../support/draw.js';
import { dispatchCall } from '../support/exchange.js';
import { expectedOutputs, shapeOf } from '../support/model.js';
import { randomFrom } from '../support/random.js';

// A training step: forward through dispatch and combine, and back through both.

const input: SpecInput = {
  ...{ ranks: 4, hidden: 72, experts: 12, topk: 3 },
  ht: { maxTokensPerRank: 20, cached: true, combineWeights: true },
  channels: { memory: { count: 3 } },
};

interface Step {
  readonly x: Tensor<'bf16'>;
  readonly topkWeights: Tensor<'f32'>;
  readonly handle: Handle;
}

describe('the backward passes', () => {
  let built: Built;
  let group: Group;
  beforeAll(async () => {
    built = await buildSpec(input);
    group = await built.open({ seed: 5 });
  });
  afterAll(() => group?.dispose());

  test.each([1, 2])(
    'combine backward sends gradients along the handle, dispatch backward sums them and those of weights, step %i',
    async (seed) => {
      const { spec } = built;
      const { hidden, topk, ranks } = spec;
      const dtype = 'bf16' satisfies SummedDtype;
      const numTokens = [20, 0, 7, 13];
      const inputs = drawInputs(spec, { seed, numTokens, pattern: 'someNone' });
      const expected = expectedOutputs(spec, inputs);
      const slotOf = (r: number) => expected[r]!.handle.slot;
      const forward = (await group.dispatch(
        group.ranks.map((rank, r) => dispatchCall(rank, spec, inputs[r]!)) as never,
      )) as unknown as readonly Step[];
      await group.combine(forward.map(({ x, handle }) => ({ x, handle })) as never);

      const outputGradients = group.ranks.map((_, r) => ({
        numTokens: numTokens[r]!,
        x: drawSummed(dtype, numTokens[r]! * hidden, randomFrom(seed, r, 0xb0)),
        slot: slotOf(r),
      }));
      const rowGradients = (await group.dispatch(
        group.ranks.map((rank, r) => ({
          x: rank.tensor(dtype, [numTokens[r]!, hidden], outputGradients[r]!.x),
          handle: forward[r]!.handle,
        })) as never,
      )) as unknown as readonly Pick<Step, 'x'>[];
      const wantRows = combineBackward({ ...shapeOf(spec), perRank: outputGradients });
      const rows = await Promise.all(
        rowGradients.map((got, r) => rowDifferences(spec, r, got, wantRows[r]!)),
      );
      expect(rows.flat()).toEqual([]);

      // The experts' own backward pass makes gradients of what they were given, and of its weights.
      const gradients = expected.map(({ numRows }, r) => ({
        x: drawSummed(dtype, numRows * hidden, randomFrom(seed, r, 0xb1)),
        topkWeights: drawSummed('f32', numRows * topk, randomFrom(seed, r, 0xb2)),
        slot: slotOf(r),
      }));
      const combined = (await group.combine(
        (await Promise.all(
          group.ranks.map(async (rank, r) => {
            const { x, topkWeights } = gradients[r]!;
            const shape = [expected[r]!.numRows, topk] as const;
            await rowGradients[r]!.x.copyFrom(x);
            return {
              x: rowGradients[r]!.x,
              handle: forward[r]!.handle,
              topkWeights: rank.tensor('f32', shape, new Float32Array(topkWeights.buffer)),
            };
          }),
        )) as never,
      )) as unknown as readonly Omit<Step, 'handle'>[];
      const want = dispatchBackward({ ranks, hidden, topk, dtype, perRank: gradients });
      const differences = await Promise.all(
        combined.map(async ({ x, topkWeights }, r) => [
          difference(`rank ${r} x`, hidden, await x.toArray(), want[r]!.x),
          difference(
            `rank ${r} topkWeights`,
            topk,
            bitsOf(await topkWeights.toArray()),
            want[r]!.topkWeights,
          ),
        ]),
      );
      expect(differences.flat().filter(Boolean)).toEqual([]);
    },
  );
});
