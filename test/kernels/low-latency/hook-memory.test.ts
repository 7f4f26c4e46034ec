import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { EpgenArgumentError, type Group } from '../../../native/index.js';
import { type Built, buildSpec } from '../../support/built.js';
import { drawInputs } from '../../support/draw.js';
import { dispatchCall } from '../../support/exchange.js';
import {
  callHooks,
  combineTokens,
  dispatchTokens,
  drawOutputs,
  drawTokens,
  expectedRows,
  sumsFlaws,
} from '../../support/low-latency.js';
import { lowLatencySpecs } from '../../support/low-latency-specs.js';

// What belongs to a receive that is still to come: nobody gets it sooner, and it goes back when nobody needs it.

describe('five ranks, top-6', () => {
  let built: Built;
  let group: Group;
  beforeAll(async () => {
    built = await buildSpec(lowLatencySpecs['five ranks, top-6']);
  });
  afterEach(() => group?.dispose());

  const flightOf = (seed: number, options: object) => {
    const { spec } = built;
    const inputs = drawTokens(spec, { seed, numTokens: [9, 0, 3, 1, 7], pattern: 'distinct' });
    const want = expectedRows(spec, inputs);
    const received = dispatchTokens(group, spec, inputs, options);
    return { inputs, want, received, outputs: drawOutputs(spec, want, seed) };
  };

  test('tensors that the receive of a combine uses may be disposed before its hook is called', async () => {
    group = await built.open({ seed: 81 });
    const { spec } = built;
    const flight = flightOf(1, {});
    const weights = flight.inputs.map(({ numTokens, topkWeights }, r) =>
      group.ranks[r]!.tensor('f32', [numTokens, spec.topk], new Float32Array(topkWeights.buffer)),
    );
    const waited = group.ranks.map((rank) =>
      rank.tensor('i64', [spec.ranks], new BigInt64Array(spec.ranks)),
    );
    const combined = combineTokens(group, spec, flight, (r) => ({
      ...{ returnRecvHook: true, topkWeights: weights[r], waitStats: waited[r] },
    }));
    for (const tensor of [...weights, ...waited]) tensor.dispose();
    // What is allocated now must not get that memory.
    for (const rank of group.ranks) rank.tensor('f32', [4096], new Float32Array(4096).fill(1e30));
    callHooks(combined);
    expect(await sumsFlaws(spec, 'disposed', combined, flight)).toEqual([]);
  });

  test('stats of a dispatch too', async () => {
    group = await built.open({ seed: 82 });
    const numLocalExperts = built.spec.experts / built.spec.ranks;
    const stats = group.ranks.map((rank) =>
      rank.tensor('i32', [numLocalExperts], new Int32Array(numLocalExperts)),
    );
    const { received } = flightOf(2, (r: number) => ({
      ...{ returnRecvHook: true, cumulativeStats: stats[r] },
    }));
    for (const tensor of stats) tensor.dispose();
    const values = group.ranks.map((rank) =>
      rank.tensor('i32', [numLocalExperts], new Int32Array(numLocalExperts).fill(7)),
    );
    callHooks(received);
    for (const tensor of values) expect(new Set(await tensor.toArray())).toEqual(new Set([7]));
  });

  test('a recovery gives back what hooks that were never called had kept', async () => {
    group = await built.open({ seed: 83 });
    const [rank] = group.ranks;
    const firstFree = () => {
      const probe = rank!.tensor('u8', [16]);
      const { pointer } = probe;
      probe.dispose();
      return pointer;
    };
    const start = firstFree();
    for (let round = 0; round < 5; round++) {
      const tokens = group.ranks.map((one) => ({
        x: one.tensor('bf16', [1, built.spec.hidden]),
        topkIdx: one.tensor('i64', [1, built.spec.topk], new BigInt64Array(built.spec.topk)),
        returnRecvHook: true,
      }));
      const received = group.lowLatencyDispatch(tokens as never);
      for (const { x, topkIdx } of tokens) {
        x.dispose();
        topkIdx.dispose();
      }
      for (const { handle } of received) handle.dispose();
      await group.cleanLowLatencyBuffer();
      expect(firstFree()).toBe(start);
    }
  });

  test("another handle's buffer is refused, with low latency and without", async () => {
    group = await built.open({ seed: 84 });
    const { spec } = built;
    const first = flightOf(3, {});
    const second = flightOf(4, {});
    const buffers = group.ranks.map((rank, r) =>
      rank.getNextLowLatencyCombineBuffer(first.received[r]!.handle),
    );
    expect(() => combineTokens(group, spec, second, (r) => ({ x: buffers[r] }))).toThrow(
      EpgenArgumentError,
    );
    expect(() => combineTokens(group, spec, second, (r) => ({ x: buffers[r] }))).toThrow(
      'Expected perRank[0].x to be the buffer of perRank[0].handle but received what rank.getNextLowLatencyCombineBuffer gave for another handle',
    );
    await Promise.all(buffers.map((buffer, r) => buffer.copyFrom(first.outputs[r]!)));
    const combined = combineTokens(group, spec, first, (r) => ({ x: buffers[r] }));
    expect(await sumsFlaws(spec, 'own buffer', combined, first)).toEqual([]);

    const calls = drawInputs(spec, { seed: 5, numTokens: [4, 4, 4, 4, 4], pattern: 'distinct' });
    const dispatch = () =>
      group.dispatch(group.ranks.map((rank, r) => dispatchCall(rank, spec, calls[r]!)) as never);
    const [one, other] = [await dispatch(), await dispatch()];
    const inputs = group.ranks.map((rank, r) => rank.combineInput(one[r]!.handle));
    await expect(
      group.combine(inputs.map((x, r) => ({ x, handle: other[r]!.handle })) as never),
    ).rejects.toThrow('what rank.combineInput gave for another handle');
  });
});
