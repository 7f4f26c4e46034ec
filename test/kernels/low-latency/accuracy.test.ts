import { describe, expect, test } from 'vitest';
import { buildSpec } from '../../support/built.js';
import {
  combineTokens,
  dispatchTokens,
  drawTokens,
  llOf,
  rowsPerExpert,
} from '../../support/low-latency.js';
import { bf16Value, calcDiff, chosenBy, sumsInFp64 } from '../../support/low-latency-fp64.js';
import { type LowLatencySpecName, lowLatencySpecs } from '../../support/low-latency-specs.js';
import { type Random, randomFrom } from '../../support/random.js';
import { unequalTokens } from '../../support/routing.js';

// Random rows on both ends against sums in fp64: nothing here is shared with kernels or with their bit-exact model.

/** bf16 bits of numbers of either sign, from 1/8 to 8. */
function drawNumbers(length: number, random: Random): Uint16Array {
  return Uint16Array.from(
    { length },
    () => random(2) * 0x8000 + (124 + random(6)) * 0x80 + random(0x80),
  );
}

// What the reference's own tests ask of a low-latency combine.
describe.each([
  ['two ranks, 320 experts, hidden 2880', 1e-5],
  ['five ranks, top-6', 1e-5],
  ['eight ranks, hidden 7168', 1e-5],
  ['two ranks, top-32, UE8M0, fp8 both ways', 9e-4],
  ['three ranks, one block of scales, fp8 both ways', 9e-4],
  ['six ranks, rounded scales in rows, combined as fp8', 9e-4],
] as const satisfies readonly (readonly [LowLatencySpecName, number])[])(
  '%s',
  (name, mostDifference) => {
    test(`sums are within the rounding of their terms of sums in fp64, and within ${mostDifference} together`, async () => {
      const built = await buildSpec(lowLatencySpecs[name]);
      const { spec } = built;
      const { hidden, experts, ranks } = spec;
      const { maxTokensPerRank, combineDtype, dtype } = llOf(spec);
      await using group = await built.open({ seed: 79 });
      const shape = { ...spec, maxTokensPerRank };
      const random = randomFrom(79, ranks);
      const numTokens = unequalTokens(ranks, maxTokensPerRank, 3);
      const inputs = drawTokens(spec, { seed: 79, numTokens, pattern: 'distinct' }).map(
        (input) => ({
          ...input,
          x: drawNumbers(input.x.length, random),
          topkWeights: input.topkWeights.map(() => bitsOf(random(2 ** 24) / 2 ** 24)),
        }),
      );
      const received = dispatchTokens(group, spec, inputs);
      const numLocalExperts = experts / ranks;
      if (dtype === 'bf16') {
        for (const [r, { x }] of received.entries()) {
          const bits = await x.toArray();
          for (let expert = 0; expert < numLocalExperts; expert++) {
            const chosen = chosenBy(shape, inputs, r * numLocalExperts + expert);
            for (const [row, { source, token }] of chosen.entries()) {
              const first = (expert * rowsPerExpert(spec) + row) * hidden;
              const got = Array.from(bits.subarray(first, first + hidden));
              const sent = inputs[source]!.x.subarray(token * hidden, (token + 1) * hidden);
              expect(got).toEqual(Array.from(sent));
            }
          }
        }
      }
      const outputs = group.ranks.map(() =>
        drawNumbers(numLocalExperts * rowsPerExpert(spec) * hidden, random),
      );
      const combined = combineTokens(group, spec, { inputs, want: [], received, outputs });
      const want = sumsInFp64(shape, inputs, outputs, combineDtype);
      const all: number[] = [];
      for (const [r, { x }] of combined.entries()) {
        const got = Array.from(await x.toArray(), bf16Value);
        const { values, bounds } = want[r]!;
        const far = got.findIndex((value, i) => !(Math.abs(value - values[i]!) <= bounds[i]!));
        expect(far, `rank ${r}: got ${got[far]}, in fp64 ${values[far]}`).toBe(-1);
        all.push(...got);
      }
      expect(all.length).toBeGreaterThan(0);
      const sums = want.flatMap(({ values }) => [...values]);
      expect(calcDiff(all, sums)).toBeLessThan(mostDifference);
    });
  },
);

function bitsOf(value: number): number {
  return new Uint32Array(Float32Array.of(value).buffer)[0]!;
}
