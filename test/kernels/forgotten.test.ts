import { expect, test } from 'vitest';
import { rawSpec } from '../native/raw-exchange.js';
import { buildSpec } from '../support/built.js';

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
