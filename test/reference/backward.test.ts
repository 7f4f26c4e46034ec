import { expect, test } from 'vitest';
import { at } from '../../native/reference/at.js';
import { combineReference, dispatchReference } from '../../native/reference/index.js';
import { combineBackward, dispatchBackward } from '../support/backward.js';
import { randomFrom } from '../support/random.js';
import { dispatchInputs, unequalTokens } from '../support/routing.js';

const shape = { ranks: 3, experts: 6, topk: 2, hidden: 4, numChannels: 2 };
const numTokens = unequalTokens(3, 9, 5);
const { ranks, topk, hidden } = shape;

// Small whole numbers, whose sums and products are exact.
function wholeNumbers(seed: number, length: number): Uint32Array {
  const random = randomFrom(seed, length);
  return new Uint32Array(Float32Array.from({ length }, () => random(9) - 4).buffer);
}

function dot(left: readonly Uint32Array[], right: readonly Uint32Array[]): number {
  const floats = (words: Uint32Array) => new Float32Array(words.buffer);
  return left.reduce((sum, words, rank) => {
    const other = floats(at(right, rank));
    return floats(words).reduce((partial, value, i) => partial + value * at(other, i), sum);
  }, 0);
}

const inputs = dispatchInputs({ ...shape, seed: 5, numTokens, pattern: 'someNone' }).map(
  (input, rank) => ({
    ...input,
    x: wholeNumbers(10 + rank, input.numTokens * hidden),
    topkWeights: wholeNumbers(20 + rank, input.numTokens * topk),
  }),
);
const received = dispatchReference({ ...shape, perRank: inputs });

test('dispatch backward is the transpose of dispatch', () => {
  // A gradient of a weight that did not arrive is 0.
  const gradients = received.map(({ numRows, topkIdx, handle }, rank) => ({
    x: wholeNumbers(30 + rank, numRows * hidden),
    topkWeights: wholeNumbers(40 + rank, numRows * topk).map((bits, i) =>
      at<bigint>(topkIdx, i) < 0n ? 0 : bits,
    ),
    slot: handle.slot,
  }));
  const back = dispatchBackward({ ranks, hidden, topk, dtype: 'f32', perRank: gradients });
  for (const field of ['x', 'topkWeights'] as const) {
    const forward = dot(
      received.map((output) => output[field]),
      gradients.map((gradient) => gradient[field]),
    );
    expect(forward).not.toBe(0);
    const backward = dot(
      inputs.map((input) => input[field]),
      back.map((gradient) => gradient[field]),
    );
    expect(backward).toBe(forward);
  }
});

test('combine backward is the transpose of combine', () => {
  const outputs = received.map(({ numRows, handle }, rank) => ({
    x: wholeNumbers(50 + rank, numRows * hidden),
    slot: handle.slot,
  }));
  const gradients = inputs.map(({ numTokens }, rank) => ({
    numTokens,
    x: wholeNumbers(60 + rank, numTokens * hidden),
    slot: at(received, rank).handle.slot,
  }));
  const forward = dot(
    combineReference({ ranks, hidden, dtype: 'f32', perRank: outputs }),
    gradients.map(({ x }) => x),
  );
  const back = combineBackward<'f32'>({ ...shape, perRank: gradients });
  expect(forward).not.toBe(0);
  expect(
    dot(
      outputs.map(({ x }) => x),
      back.map(({ x }) => x),
    ),
  ).toBe(forward);
});
