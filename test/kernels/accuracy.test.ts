import { describe, expect, test } from 'vitest';
import type { AnyTensor, Handle } from '../../native/index.js';
import type { SummedDtype } from '../../native/reference/index.js';
import type { HighThroughputSpec } from '../../native/spec-types.js';
import { buildSpec } from '../support/built.js';
import { drawInputs } from '../support/draw.js';
import { bitsOf, dispatchCall } from '../support/exchange.js';
import { kernelSpecs, mixedSpecs } from '../support/kernel-specs.js';
import { magnitudeOf, narrowFloats } from '../support/narrow-floats.js';
import { type Random, randomFrom } from '../support/random.js';

// Random rows on both ends against sums in fp64: nothing here is shared with kernels or with their bit-exact model.

/** What the reference's own tests ask of a high-throughput combine. */
const mostDifference = 5e-6;

const specs = {
  bf16: kernelSpecs['eight ranks, hidden 7168']!,
  f16: mixedSpecs['seven ranks, all options of slotted rows'],
  f32: mixedSpecs['six ranks, all options of compact rows'],
} as const;

/** By definition of the formats. */
const formats = {
  bf16: { precision: 8, exponentBias: 127, numBits: 16 },
  f16: { precision: 11, exponentBias: 15, numBits: 16 },
  f32: { precision: 24, exponentBias: 127, numBits: 32 },
} as const;

function numberOf(dtype: SummedDtype, bits: number): number {
  if (dtype === 'f16') {
    const magnitude = magnitudeOf(narrowFloats.f16, bits & 0x7fff);
    return bits & 0x8000 ? -magnitude : magnitude;
  }
  const word = Uint32Array.of(dtype === 'bf16' ? bits * 0x10000 : bits);
  return new Float32Array(word.buffer)[0]!;
}

/** Bits of numbers of either sign, from 1/8 to 8. */
function drawNumbers(dtype: SummedDtype, length: number, random: Random) {
  const { precision, exponentBias, numBits } = formats[dtype];
  const mantissa = 2 ** (precision - 1);
  const bits = numBits === 32 ? new Uint32Array(length) : new Uint16Array(length);
  for (let i = 0; i < length; i++) {
    const exponent = exponentBias - 3 + random(6);
    bits[i] = random(2) * 2 ** (numBits - 1) + exponent * mantissa + random(mantissa);
  }
  return bits;
}

/** The distance that the reference's tests bound: 0 for the same vector, 1 for one at right angles. */
function calcDiff(got: Float64Array, want: Float64Array): number {
  let product = 0;
  let squares = 0;
  for (const [i, value] of got.entries()) {
    product += 2 * value * want[i]!;
    squares += value ** 2 + want[i]! ** 2;
  }
  return 1 - product / squares;
}

/** A token that a rank gets: the i-th of its source, in its row there. */
interface Arrival {
  readonly source: number;
  readonly token: number;
  readonly row: number;
}

type Inputs = ReturnType<typeof drawInputs>;

/** What each rank gets, by source and token: those tokens of which one expert is the rank's. */
function arrivalsOf(
  { ranks, experts, topk, ht, channels }: HighThroughputSpec,
  inputs: Inputs,
): Arrival[][] {
  const isSlotted = channels.memory.placement === 'slotted';
  return Array.from({ length: ranks }, (_, destination) => {
    const arrivals: Arrival[] = [];
    for (const [source, { topkIdx, numTokens }] of inputs.entries()) {
      let next = isSlotted ? source * ht.maxTokensPerRank : arrivals.length;
      for (let token = 0; token < numTokens; token++) {
        const chosen = Array.from(topkIdx.slice(token * topk, (token + 1) * topk), Number);
        if (!chosen.some((expert) => Math.floor((expert * ranks) / experts) === destination)) {
          continue;
        }
        arrivals.push({ source, token, row: next++ });
      }
    }
    return arrivals;
  });
}

async function expectRows(
  tensor: AnyTensor,
  sent: readonly ArrayLike<number>[],
  arrivals: readonly Arrival[],
): Promise<void> {
  const width = tensor.shape[1]!;
  const rows = (await tensor.toArray()) as Uint8Array;
  for (const { source, token, row } of arrivals) {
    const got = rows.subarray(row * width, (row + 1) * width);
    const want = Array.prototype.slice.call(sent[source], token * width, (token + 1) * width);
    expect(Array.from(got)).toEqual(want);
  }
}

/** Sums of terms in fp64, and of their magnitudes. */
class Sums {
  readonly values: Float64Array;
  readonly magnitudes: Float64Array;

  constructor(
    readonly dtype: SummedDtype,
    length: number,
  ) {
    this.values = new Float64Array(length);
    this.magnitudes = new Float64Array(length);
  }

  /** Adds terms to those from `first` on. */
  add(first: number, terms: ArrayLike<number>): void {
    for (let i = 0; i < terms.length; i++) {
      const value = numberOf(this.dtype, terms[i]!);
      this.values[first + i]! += value;
      this.magnitudes[first + i]! += Math.abs(value);
    }
  }

  /** Checks sums that were made with at most `numTerms` additions in f32, and rounded to the type. */
  expectNear(got: Float64Array, numTerms: number): void {
    const unit = 2 ** -formats[this.dtype].precision;
    const worst = got.findIndex((value, i) => {
      const additions = numTerms * 2 ** -24 * this.magnitudes[i]!;
      const rounding = unit * (Math.abs(this.values[i]!) + additions) + 2 ** -25;
      return !(Math.abs(value - this.values[i]!) <= additions + rounding);
    });
    expect(worst, `got ${got[worst]}, in fp64 ${this.values[worst]}`).toBe(-1);
    if (got.length > 0) expect(calcDiff(got, this.values)).toBeLessThan(mostDifference);
  }
}

describe.each(['bf16', 'f16', 'f32'] as const)('%s', (dtype) => {
  test('rows arrive bit for bit, sums are within the rounding of their terms of sums in fp64', async () => {
    const built = await buildSpec(specs[dtype]);
    const { spec } = built;
    const { hidden, ht } = spec;
    expect(spec.combineDtype).toBe(dtype);
    await using group = await built.open({ seed: 61 });
    const numTokens = group.ranks.map((_, r) => (r === 1 ? 0 : 2 + r));
    const inputs = drawInputs(spec, { seed: 9, numTokens, pattern: 'distinct' });
    const arrivals = arrivalsOf(spec, inputs);

    const received = (await group.dispatch(
      group.ranks.map((rank, r) => dispatchCall(rank, spec, inputs[r]!)) as never,
    )) as unknown as readonly {
      readonly x: AnyTensor;
      readonly extras?: AnyTensor;
      readonly handle: Handle;
    }[];
    const sent = inputs.map(({ x }) => x);
    const extras = inputs.map((input) => input.extras ?? new Uint8Array());
    for (const [r, got] of received.entries()) {
      await expectRows(got.x, sent, arrivals[r]!);
      if (got.extras !== undefined) await expectRows(got.extras, extras, arrivals[r]!);
    }

    const draw = (numRows: number, ...seed: readonly number[]) =>
      drawNumbers(dtype, numRows * hidden, randomFrom(...seed));
    const outputs = received.map(({ x }, r) => draw(x.shape[0]!, 8, r));
    const biases = numTokens.map((count, r) =>
      Array.from({ length: ht.biases }, (_, i) => draw(count, 7, r, i)),
    );
    const combined = await group.combine(
      group.ranks.map((rank, r) => {
        const rows = (bits: Uint16Array | Uint32Array) => {
          const values = bits instanceof Uint32Array ? new Float32Array(bits.buffer) : bits;
          return rank.tensor(dtype, [bits.length / hidden, hidden], values as never);
        };
        const { handle } = received[r]!;
        const bias = biases[r]!.map(rows);
        return { x: rows(outputs[r]!), handle, ...(bias.length > 0 && { bias }) };
      }) as never,
    );

    for (const [source, { x }] of combined.entries()) {
      const sums = new Sums(dtype, numTokens[source]! * hidden);
      for (const bias of biases[source]!) sums.add(0, bias);
      for (const [destination, rows] of arrivals.entries()) {
        for (const { source: from, token, row } of rows) {
          if (from !== source) continue;
          const terms = outputs[destination]!.subarray(row * hidden, (row + 1) * hidden);
          sums.add(token * hidden, terms);
        }
      }
      const array = await x.toArray();
      const bits = array instanceof Float32Array ? bitsOf(array) : (array as Uint16Array);
      const got = Float64Array.from(bits, (word) => numberOf(dtype, word));
      sums.expectNear(got, spec.ranks + ht.biases);
    }
  });
});
