import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Group } from '../../../native/index.js';
import { bf16FromFloat, floatFromBf16, floatFromFp8 } from '../../../native/reference/index.js';
import { type Built, buildSpec } from '../../support/built.js';
import {
  castOf,
  combineTokens,
  dispatchTokens,
  drawOutputs,
  drawTokens,
  expectedRows,
  expectLowLatency,
  type LowLatencyTokens,
  llOf,
  receivedFlaws,
  rowsPerExpert,
  sumsFlaws,
} from '../../support/low-latency.js';
import { type LowLatencySpecName, lowLatencySpecs } from '../../support/low-latency-specs.js';
import { randomFrom } from '../../support/random.js';

// Blocks at the ends of what a cast can be given, one kind beside the other.

const names = [
  'two ranks, top-32, UE8M0, fp8 both ways',
  'three ranks, one block of scales, fp8 both ways',
  'four ranks, hidden 16384, rounded scales in columns',
  'six ranks, rounded scales in rows, combined as fp8',
  'eight ranks, hidden 7168',
] as const satisfies readonly LowLatencySpecName[];

const nan = 0x7fc1;
const infinity = 0x7f80;

/** 128 elements that begin with these bf16 bits. */
type Block = readonly number[];

const floats = (...values: number[]): Block => values.map(bf16FromFloat);

/** What a block's elements are, where they are easy to say: of the first ones. */
const blocks: Readonly<Record<string, Block>> = {
  zeros: floats(0, -0),
  'the smallest numbers': [1, 0x8001, 0x7f, 0x80],
  'tiny numbers': floats(1e-30, -1e-20, 1e-10, 1e-5),
  'just below the least amax': floats(9.9e-5, -5e-5),
  'just above the least amax': floats(1.01e-4, -5e-5),
  'largest numbers': [0x7f7f, 0xff7f, 0x7f00],
  'powers of two': floats(448, -224, 1, 2 ** -6, 2 ** -9, 2 ** -10, 2 ** -11),
  'just above a power of two': floats(450, 225, 1, 1.0625, 1.125, 1.1875),
  'halves of the last place': floats(448, 17, 19, 34, 38, 0.0029296875, 0.0009765625),
  'an infinity': [infinity, 0x3f80, 0xbf80, 0],
  'a negative infinity behind numbers': [0x3f80, 0x4380, 0xff80, 0],
  'NaNs between numbers': [nan, 0x43e0, 0xffc0, 0xc3e0, 0x7f81],
  'only NaNs': Array(128).fill(nan),
  'NaN and infinity': [nan, infinity, 0x3f80],
};

/** Rows of the blocks, each row beginning with another one. */
function rowsOf(hidden: number, numRows: number, firstRow: number): Uint16Array {
  const kinds = Object.values(blocks);
  const x = new Uint16Array(numRows * hidden);
  for (let first = 0; first < x.length; first += 128) {
    const number = firstRow * (hidden / 128) + first / 128;
    x.set(kinds[number % kinds.length]!, first);
  }
  return x;
}

describe.each(names)('%s', (name) => {
  let built: Built;
  let group: Group;
  beforeAll(async () => {
    built = await buildSpec(lowLatencySpecs[name]);
    group = await built.open({ seed: 29 });
  });
  afterAll(() => group?.dispose());

  /** As many tokens as fit on each rank, whose rows are those of the round. */
  function tokens(round: number): LowLatencyTokens[] {
    const { spec } = built;
    const most = llOf(spec).maxTokensPerRank;
    const numTokens = group.ranks.map(() => most);
    const inputs = drawTokens(spec, { seed: round, numTokens, pattern: 'distinct' });
    return inputs.map((input, r) => {
      const firstRow = (round * spec.ranks + r) * most;
      return { ...input, x: rowsOf(spec.hidden, most, firstRow) };
    });
  }

  const numRounds = 4;

  test('zero, tiny, largest, NaN and infinite blocks are cast as the model casts them', async () => {
    const { spec } = built;
    for (let round = 0; round < (spec.hidden > 4096 ? 2 : numRounds); round++) {
      const inputs = tokens(round);
      const received = dispatchTokens(group, spec, inputs);
      expect(
        await receivedFlaws(spec, `round ${round}`, received, expectedRows(spec, inputs)),
      ).toEqual([]);
    }
  });

  test('and travel so in combine', async () => {
    const { spec } = built;
    for (let round = 0; round < (spec.hidden > 4096 ? 2 : numRounds); round++) {
      const inputs = tokens(round);
      const received = dispatchTokens(group, spec, inputs);
      const want = expectedRows(spec, inputs);
      const outputs = drawOutputs(spec, want, round).map((bits, r) => {
        want[r]!.numTokensPerExpert.forEach((count, expert) => {
          const first = expert * rowsPerExpert(spec);
          bits.set(rowsOf(spec.hidden, count, first + round), first * spec.hidden);
        });
        return bits;
      });
      const flight = { inputs, want, received, outputs };
      const combined = combineTokens(group, spec, flight);
      expect(await sumsFlaws(spec, `round ${round}`, combined, flight)).toEqual([]);
    }
  });

  test('what arrives is what was sent, within half a unit of fp8, wherever numbers were sent', async () => {
    const { spec } = built;
    const cast = castOf(spec)!;
    const random = randomFrom(31, spec.ranks);
    const numTokens = group.ranks.map(() => llOf(spec).maxTokensPerRank);
    const inputs = drawTokens(spec, { seed: 31, numTokens, pattern: 'distinct' }).map((input) => ({
      ...input,
      x: input.x.map(() => bf16FromFloat((random(2 ** 24) / 2 ** 23 - 1) * 2 ** (random(16) - 8))),
    }));
    const received = dispatchTokens(group, spec, inputs);
    for (const [r, got] of received.entries()) {
      const [x, ranges, srcIdx, words] = await Promise.all([
        got.x.toArray(),
        got.handle.layoutRange(),
        got.handle.srcInfo(),
        (
          got as unknown as { xScales: { toArray(): Promise<Float32Array | Int32Array> } }
        ).xScales.toArray(),
      ]);
      const bits = new Uint32Array(words.buffer, words.byteOffset, words.length);
      const scales = new Float32Array(words.buffer, words.byteOffset, words.length);
      for (let row = 0; row < x.length / spec.hidden; row++) {
        const expert = Math.floor(row / rowsPerExpert(spec));
        const rowOfExpert = row % rowsPerExpert(spec);
        const src = group.ranks.findIndex((_, s) => {
          const range = ranges[expert * spec.ranks + s]!;
          const begin = Number(range >> 32n);
          return rowOfExpert >= begin && rowOfExpert < begin + Number(range & 0xffffffffn);
        });
        if (src < 0) continue;
        const first = srcIdx[row]! * spec.hidden;
        const sent = Float32Array.from(
          inputs[src]!.x.subarray(first, first + spec.hidden),
          floatFromBf16,
        );
        for (let i = 0; i < spec.hidden; i++) {
          const block = Math.floor(i / 128);
          const { columnWords, words: perRow } = cast.scales;
          const word = cast.scaleDtype === 'ue8m0' ? block >> 2 : block;
          const numRows = columnWords ?? rowsPerExpert(spec);
          const at =
            columnWords === undefined
              ? (expert * numRows + rowOfExpert) * perRow + word
              : (expert * perRow + word) * columnWords + rowOfExpert;
          const scale =
            cast.scaleDtype === 'ue8m0'
              ? 2 ** (((bits[at]! >>> (8 * (block & 3))) & 0xff) - 127)
              : scales[at]!;
          if (i % 128 === 0) {
            const amax = Math.max(...sent.subarray(i, i + 128).map(Math.abs));
            const isRounded = cast.roundScales || cast.scaleDtype === 'ue8m0';
            expect(scale / (amax / 448)).toBeGreaterThan(1 - 2 ** -22);
            expect(scale / (amax / 448)).toBeLessThan(isRounded ? 2 : 1 + 2 ** -22);
            if (isRounded) expect(Number.isInteger(Math.log2(scale))).toBe(true);
          }
          const bound = Math.max(Math.abs(sent[i]!) / 16, scale * 2 ** -10) * (1 + 2 ** -20);
          const off = Math.abs(floatFromFp8(Number(x[row * spec.hidden + i])) * scale - sent[i]!);
          if (!(off <= bound)) {
            expect.fail(`rank ${r} row ${row} element ${i}: off by ${off}, more than ${bound}`);
          }
        }
      }
    }
  });
});

test('the same with hooks, in a window full of other bytes', async () => {
  const built = await buildSpec(lowLatencySpecs['three ranks, one block of scales, fp8 both ways']);
  await using group = await built.open({ seed: 30 });
  const inputs = drawTokens(built.spec, { seed: 1, numTokens: [7, 7, 7], pattern: 'distinct' });
  const special = inputs.map((input, r) => ({ ...input, x: rowsOf(128, 7, 7 * r) }));
  await expectLowLatency(built, group, special, { hooks: true });
});
