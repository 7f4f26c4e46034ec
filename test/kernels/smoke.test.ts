import { beforeAll, describe, expect, test } from 'vitest';
import { parseSpec } from '../../generator/spec.js';
import { stateOf } from '../../native/group.js';
import type { Group } from '../../native/index.js';
import { type Built, buildSpec } from '../support/built.js';
import { dispatchCall, expectExchange, windowBases } from '../support/exchange.js';
import { dispatchInputs } from '../support/routing.js';

// As the reference's own smoke test: one rank, constants round trip, sizes against their formula, a refused mode.
describe('one rank', () => {
  const shape = { ranks: 1, hidden: 128, experts: 4, topk: 2 };
  let built: Built;
  beforeAll(async () => {
    built = await buildSpec({ ...shape, ht: { maxTokensPerRank: 16 } });
  });

  test('constants come back', async () => {
    await using group = await built.open();
    const rank = group.ranks[0]!;
    const [received] = await group.dispatch([
      {
        x: rank.tensor('bf16', [4, 128], new Float32Array(4 * 128).fill(3)),
        topkIdx: rank.tensor('i64', [4, 2], [0, 1, 2, 3, 0, -1, -1, -1]),
        topkWeights: rank.tensor('f32', [4, 2], new Float32Array(8).fill(0.5)),
      },
    ]);
    expect(received!.x.shape).toEqual([3, 128]);
    expect([...received!.numTokensPerExpert]).toEqual([2, 1, 1, 1]);
    const [combined] = await group.combine([{ x: received!.x, handle: received!.handle }]);
    const values = await combined!.x.toFloat32();
    expect(values.subarray(0, 3 * 128).every((value) => value === 3)).toBe(true);
    expect(values.subarray(3 * 128).every((value) => value === 0)).toBe(true);
  });

  test('a NaN weight is transported bit for bit', async () => {
    await using group = await built.open();
    const [input] = dispatchInputs({ ...shape, seed: 1, numTokens: [1], pattern: 'distinct' });
    input!.topkWeights.set([0x7fc01234, 0xff800001]);
    const [received] = await group.dispatch([dispatchCall(group.ranks[0]!, built.spec, input!)]);
    const weights = await received!.topkWeights.toArray();
    expect([...new Uint32Array(weights.buffer, weights.byteOffset, 2)]).toEqual([
      0x7fc01234, 0xff800001,
    ]);
  });

  test('the window has the bytes that its regions add up to', () => {
    const { regions, windowBytes } = built.sizes;
    const last = regions.output.offset + regions.output.numBuffers * regions.output.stride;
    expect(regions.recvX.bytes).toBe(16 * 128 * 2);
    expect(regions.recvX.numBuffers).toBe(3);
    expect(windowBytes).toBe(Math.ceil(last / 4096) * 4096);
  });

  test('a mode of a later version is refused by name', () => {
    const port = { perPeer: 1 };
    expect(() => parseSpec({ ...shape, channels: { port } }, 'test')).toThrow(/\bport\b/);
  });
});

test('epochs wrap around 2^32', async () => {
  const shape = { ranks: 2, hidden: 64, experts: 4, topk: 2 };
  const built = await buildSpec({
    ...shape,
    ht: { maxTokensPerRank: 12 },
    channels: { memory: { count: 3 } },
  });
  await using group: Group = await built.open({ seed: 8 });
  await stateOf(group).call((raw) => raw.reset(2 ** 32 - 3));
  for (let call = 0; call < 8; call++) {
    const inputs = dispatchInputs({
      ...shape,
      seed: call,
      numTokens: [12, call],
      pattern: 'distinct',
    });
    await expectExchange(built, group, windowBases(group), inputs, { seed: call });
  }
});
