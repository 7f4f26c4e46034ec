import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { stateOf } from '../../native/group.js';
import { rawSpec } from '../native/raw-exchange.js';
import { buildSpec } from '../support/built.js';
import { drawInputs } from '../support/draw.js';
import { dispatchCall, expectedOutputs } from '../support/exchange.js';

test.each([200, 12, 1])(
  'a loop that disposes nothing goes on where %i tensors fill the arena',
  async (numTensors) => {
    const built = await buildSpec(rawSpec);
    await using group = await built.open();
    const numBytes = Math.floor(built.sizes.arenaBytes / numTensors / 256) * 256;
    const values = new Uint8Array(numBytes);
    for (let i = 0; i < 5 * numTensors; i += 1) {
      values[0] = i % 256;
      const [first] = await group.ranks[0]!.tensor('u8', [numBytes], values).toArray();
      expect(first).toBe(values[0]);
    }
  },
);

test('tensors that nothing refers to stay whole until the kernels that read them have ended', async () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const built = await buildSpec(rawSpec);
  await using group = await built.open({ seed: 5, deadlineMs: 60_000 });
  const { spec } = built;
  const inputs = drawInputs(spec, { seed: 5, numTokens: [64, 40], pattern: 'distinct' });
  const expected = expectedOutputs(spec, inputs);
  const pointers: bigint[] = [];

  /** Calls that nothing keeps but what they give. */
  const enqueue = () => {
    const calls = group.ranks.map((rank, r) => ({
      ...dispatchCall(rank, spec, inputs[r]!),
      asyncFinish: true,
    }));
    pointers.push(...calls.map(({ x }) => x.pointer));
    return group.enqueueDispatch(calls).map(({ x, handle }) => ({ x, handle }));
  };
  /** Collects, and writes over what was given back; tells whether that was any of the calls' memory. */
  const overwrite = async () => {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 5));
    const tensors = group.ranks.flatMap((rank) =>
      Array.from({ length: 32 }, () => rank.tensor('u8', [512], new Uint8Array(512).fill(0xff))),
    );
    const found = pointers.some((old) =>
      tensors.some(({ pointer }) => pointer <= old && old < pointer + 512n),
    );
    for (const tensor of tensors) tensor.dispose();
    return found;
  };

  const { raw } = stateOf(group);
  raw.hold();
  for (const { index } of group.ranks) raw.delay(index, 1e6, 1);
  const received = enqueue();
  for (let i = 0; i < 5; i++) await overwrite();
  raw.release();
  for (const [r, { x }] of received.entries()) {
    const { numRows } = expected[r]!;
    expect((await x.toArray()).subarray(0, numRows * spec.hidden)).toEqual(expected[r]!.x);
  }
  await expect.poll(overwrite, { interval: 0 }).toBe(true);
});
