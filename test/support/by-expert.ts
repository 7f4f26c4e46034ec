import { expect } from 'vitest';
import type { AnyTensor, Group, Rank } from '../../native/index.js';
import {
  type Bits,
  combineReference,
  type DispatchOutput,
  type ExpertMajorOutput,
  expertMajorReference,
  expertSumReference,
  type Indices,
  type SummedBits,
  type SummedDtype,
} from '../../native/reference/index.js';
import type { Spec } from '../../native/spec-types.js';
import {
  bitsOf,
  difference,
  expertMajorDifferences,
  type GotExpertMajor,
  type GotReceived,
} from './compare.js';
import { drawSummed } from './draw.js';
import { shapeOf } from './model.js';
import { randomFrom } from './random.js';

/** What one rank's received rows became, grouped by expert. */
export interface Grouped {
  readonly rank: Rank;
  readonly handle: never;
  readonly byExpert: GotExpertMajor & { readonly x: AnyTensor };
  readonly want: ExpertMajorOutput;
  readonly expected: DispatchOutput<Bits, Indices>;
}

/** Leaves no zeros where the rank's next tensors will lie. */
function poisonArena(rank: Rank): void {
  const numBytes = 2 ** 20;
  rank.tensor('u8', [numBytes], new Uint8Array(numBytes).fill(0xa5)).dispose();
}

/** Groups what arrived by expert; compares every bit of the groups with the model. */
export async function expectGroups(
  spec: Spec,
  group: Group,
  received: readonly Pick<GotReceived, 'handle'>[],
  expected: readonly DispatchOutput<Bits, Indices>[],
  options: { readonly expertAlignment: number; readonly zeroPadding: boolean },
): Promise<Grouped[]> {
  const { expertAlignment, zeroPadding } = options;
  const grouped = group.ranks.map((rank, r): Grouped => {
    poisonArena(rank);
    const byExpert = rank.expertMajor(received[r] as never, { zeroPadding });
    const want = expertMajorReference({
      ...shapeOf(spec),
      topk: spec.topk,
      numLocalExperts: spec.experts / spec.ranks,
      expertAlignment,
      received: expected[r]!,
    });
    const { handle } = received[r]!;
    return { rank, handle: handle as never, byExpert, want, expected: expected[r]! };
  });
  const differences = await Promise.all(
    grouped.map(({ byExpert, want }, r) =>
      expertMajorDifferences(spec, r, byExpert, want, {
        received: expected[r]!,
        padsZeros: zeroPadding,
      }),
    ),
  );
  expect(differences.flat()).toEqual([]);
  return grouped;
}

/** Combines random rows by expert; compares the sums with the model. */
export async function expectSums(
  spec: Spec,
  group: Group,
  grouped: readonly Grouped[],
  { seed, asyncFinish = false }: { readonly seed: number; readonly asyncFinish?: boolean },
): Promise<void> {
  const { ranks, hidden, topk, combineDtype: dtype } = spec;
  const perRank = grouped.map(({ want, expected }, r) => {
    const y = drawSummed(dtype, want.numRows * hidden, randomFrom(seed, r, 0xe1));
    const x = expertSumReference({ dtype, hidden, topk, y, slot: want.slot });
    return { y, x, slot: expected.handle.slot };
  });
  const calls = grouped.map(({ rank, handle, byExpert, want }, r) => ({
    x: rowsOf(rank, spec, want.numRows, perRank[r]!.y),
    handle,
    expertMajor: byExpert,
    asyncFinish,
  }));
  const combined = await group.combine(calls as never);
  const sums = combineReference({ ranks, hidden, dtype, perRank });
  const got = await Promise.all(combined.map(({ x }) => x.toArray()));
  const differences = got.map((bits, r) =>
    difference(
      `rank ${r} combined`,
      hidden,
      bits instanceof Float32Array ? bitsOf(bits) : bits,
      sums[r]!,
    ),
  );
  expect(differences.filter(Boolean)).toEqual([]);
}

function rowsOf(
  rank: Rank,
  { combineDtype, hidden }: Spec,
  numRows: number,
  bits: SummedBits[SummedDtype],
) {
  const values =
    bits instanceof Uint32Array
      ? new Float32Array(bits.buffer, bits.byteOffset, bits.length)
      : bits;
  return rank.tensor(combineDtype, [numRows, hidden], values as never);
}
