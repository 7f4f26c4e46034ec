import { EpgenArgumentError, EpgenUnsupportedError } from 'epgen/runtime';
import { describe, expect, it } from 'vitest';
import type { RawCombineCall } from '../../native/addon-types.js';
import type { Received } from '../../native/index.js';
import { description, dispatchCall, openFake, openFakeOf } from './fake-addon.js';

type Pair<T> = readonly [T, T];

const { spec, sizes } = description;
const outputWeights = { offset: 6144, bytes: 128, stride: 128, numBuffers: 2 };
const module = {
  ...description,
  spec: {
    ...spec,
    combineDtype: 'f32',
    ht: { ...spec.ht, combineWeights: true, biases: 2 },
  },
  sizes: { ...sizes, regions: { ...sizes.regions, outputWeights } },
} as const;

/** A dispatch of 2 tokens on each of two ranks, which received 3 rows each. */
async function parts() {
  const { group, raw } = openFakeOf<typeof module.spec>(module);
  const [rank, other] = group.ranks as Pair<(typeof group.ranks)[0]>;
  const calls = [0, 1].map((i) => dispatchCall(group as never, i));
  const received = (await group.dispatch(calls)) as unknown as Pair<Received<typeof module.spec>>;
  const launched = () =>
    raw.launches
      .filter(({ op, rank }) => op === 'combine' && rank === 0)
      .map(({ call }) => call as RawCombineCall);
  const outputs = () =>
    [
      { x: rank.combineInput(received[0].handle), handle: received[0].handle },
      { x: other.combineInput(received[1].handle), handle: received[1].handle },
    ] as const;
  return { group, rank, other, received, outputs, launched };
}

describe('combine with biases and top-k weights', () => {
  it('gives sums in the dtype of the spec, and null for weights that were not asked for', async () => {
    const { group, outputs, launched } = await parts();
    const [combined] = await group.combine(outputs());
    expect(combined?.x.dtype).toBe('f32');
    expect(combined?.x.shape).toEqual([2, 16]);
    expect(combined?.topkWeights).toBeNull();
    expect(launched()).toMatchObject([{ outWeights: 0n }]);
    expect(launched()[0]).not.toHaveProperty('weightsOffset');
    expect(launched()[0]).not.toHaveProperty('bias0');
  });

  it('reads received weights in place, and seals them', async () => {
    const { group, outputs, received, launched } = await parts();
    const [mine, others] = outputs();
    const [combined] = await group.combine([
      { ...mine, topkWeights: received[0].topkWeights },
      { ...others, topkWeights: received[1].topkWeights },
    ]);
    expect(combined?.topkWeights?.shape).toEqual([2, 2]);
    expect(launched()).toMatchObject([
      {
        weightsOffset: BigInt(sizes.regions.recvTopkWeights.offset),
        outWeights: combined?.topkWeights?.pointer,
      },
    ]);
    await expect(received[0].topkWeights.copyFrom(new Float32Array(6))).rejects.toThrow(
      'it was handed to combine, and peers may still be reading it',
    );
  });

  it('copies any other weights beside the outputs of the same combine', async () => {
    const { group, rank, other, outputs, launched } = await parts();
    for (let i = 0; i < 3; i += 1) {
      const [mine, others] = outputs();
      await group.combine([
        { ...mine, topkWeights: rank.tensor('f32', [3, 2]) },
        { ...others, topkWeights: other.tensor('f32', [3, 2]) },
      ]);
    }
    expect(launched().map(({ weightsOffset }) => weightsOffset)).toEqual(
      [0, 1, 0].map((buffer) => BigInt(outputWeights.offset + buffer * outputWeights.stride)),
    );
  });

  it('takes one bias or two, alone or in an array', async () => {
    const { group, rank, other, outputs, launched } = await parts();
    const one = rank.tensor('f32', [2, 16]);
    const two = rank.tensor('f32', [2, 16]);
    const theirs = other.tensor('f32', [2, 16]);
    const [mine, others] = outputs();
    await group.combine([
      { ...mine, bias: one },
      { ...others, bias: null },
    ]);
    const [again, othersAgain] = outputs();
    await group.combine([
      { ...again, bias: [one, two] },
      { ...othersAgain, bias: [theirs] },
    ]);
    expect(launched()).toMatchObject([
      { bias0: one.pointer },
      { bias0: one.pointer, bias1: two.pointer },
    ]);
    expect(launched()[0]).not.toHaveProperty('bias1');
  });

  it.each<[string, (made: CombineParts) => object, string]>([
    [
      'what dispatch moves where combine moves another dtype',
      ({ received }) => ({ x: received[0].x }),
      'Expected x to have the dtype f32, which ep2_h16_bf16 combines, but received bf16, which it dispatches\nrank.combineInput(handle) is memory for outputs of the right dtype.',
    ],
    [
      'any other dtype',
      ({ rank }) => ({ x: rank.tensor('f16', [3, 16]) }),
      'Expected x to have the dtype f32 but received f16',
    ],
    [
      'weights of other rows',
      ({ rank }) => ({ topkWeights: rank.tensor('f32', [2, 2]) }),
      'Expected topkWeights to have 3 rows, the rows that the handle received, but received 2',
    ],
    [
      'weights of another top-k',
      ({ rank }) => ({ topkWeights: rank.tensor('f32', [3, 4]) }),
      'Expected topkWeights to have the shape [tokens, 2] (topk of ep2_h16_bf16) but received [3, 4]',
    ],
    [
      'weights of another dtype',
      ({ rank }) => ({ topkWeights: rank.tensor('bf16', [3, 2]) }),
      'Expected topkWeights to have the dtype f32 but received bf16',
    ],
    [
      'a bias of other tokens',
      ({ rank }) => ({ bias: rank.tensor('f32', [3, 16]) }),
      'Expected bias to have 2 rows, the tokens that the handle sent, but received 3',
    ],
    [
      'a second bias of another dtype',
      ({ rank }) => ({ bias: [rank.tensor('f32', [2, 16]), rank.tensor('bf16', [2, 16])] }),
      'Expected bias[1] to have the dtype f32 but received bf16',
    ],
    [
      'no bias in an array',
      () => ({ bias: [] }),
      'Expected bias to be 1 to 2 tensors (ht.biases of ep2_h16_bf16) but received 0',
    ],
    [
      'three biases',
      ({ rank }) => ({ bias: [1, 2, 3].map(() => rank.tensor('f32', [2, 16])) }),
      'Expected bias to be 1 to 2 tensors (ht.biases of ep2_h16_bf16) but received 3',
    ],
    [
      'a hole between biases',
      // biome-ignore lint/suspicious/noSparseArray: what is tested
      ({ rank }) => ({ bias: [, rank.tensor('f32', [2, 16])] }),
      'Expected bias[0] to be a tensor of rank 0 with the dtype f32 but received undefined',
    ],
    [
      'something else as a bias',
      () => ({ bias: 'b' }),
      "Expected bias to be a tensor of rank 0 with the dtype f32 but received 'b'",
    ],
  ])('refuses %s', async (_name, change, message) => {
    const made = await parts();
    const call = { ...made.outputs()[0], ...change(made) };
    const pending = made.rank.combine(call as never);
    await expect(pending).rejects.toThrow(EpgenArgumentError);
    await expect(pending).rejects.toThrow(message);
    expect(made.launched()).toEqual([]);
  });

  it('refuses weights of some ranks only', async () => {
    const { group, rank, other, outputs, received, launched } = await parts();
    const [mine, others] = outputs();
    const { topkWeights } = received[0];
    await expect(group.combine([{ ...mine, topkWeights }, others])).rejects.toThrow(
      'Expected the call of rank 1 to be combine with topkWeights, as that of rank 0, but received combine',
    );
    expect(launched()).toEqual([]);
    await rank.combine({ ...mine, topkWeights });
    await expect(other.combine(others)).rejects.toThrow(
      'Expected call 2 of rank 1 to be combine with topkWeights, as on rank 0, but received combine',
    );
  });

  type CombineParts = Awaited<ReturnType<typeof parts>>;
});

describe('combine of a spec without them', () => {
  it.each([
    ['topkWeights', 'ht.combineWeights'],
    ['bias', 'ht.biases'],
  ])('refuses %s and names %s', async (name, field) => {
    const { group } = openFake();
    const [mine] = await group.dispatch([0, 1].map((i) => dispatchCall(group, i)));
    const call = { x: mine?.x, handle: mine?.handle, [name]: mine?.topkWeights };
    const pending = group.ranks[0]?.combine(call as never);
    await expect(pending).rejects.toThrow(EpgenUnsupportedError);
    await expect(pending).rejects.toThrow(
      `Expected the call to be without ${name}, which ep2_h16_bf16 was built without, but received a Tensor\nSet ${field} in the spec and build again.`,
    );
  });

  it.each(['topkWeights', 'bias'])('takes null for %s', async (name) => {
    const { group } = openFake();
    const received = await group.dispatch([0, 1].map((i) => dispatchCall(group, i)));
    const calls = received.map(({ x, handle }) => ({ x, handle, [name]: null }));
    const [combined] = await group.combine(calls as never);
    expect(combined).not.toHaveProperty('topkWeights');
  });
});
